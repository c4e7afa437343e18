-- KEYS: the list. ARGV: the index of the oldest item, where its time stands, and the names that lead there.
tell('depth', redis.call('LLEN', KEYS[1]))
local oldest = redis.call('LINDEX', KEYS[1], ARGV[1])
if oldest and ARGV[2] == 'json' then
  local value = decode(oldest)
  for name in string.gmatch(ARGV[3], '[^.]+') do value = part(value, name) end
  ready_since(value)
elseif oldest and ARGV[2] == 'hash' then
  ready_since(redis.pcall('HGET', ARGV[3] .. oldest, ARGV[4]))
end
