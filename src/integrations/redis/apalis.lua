-- KEYS: scheduled, active, workers, dead. ARGV: what the keys of the sets of claimed jobs begin with.

-- The first ten letters of a ULID are the time in ms.
local function from_ulid(id)
  local number = 0
  for i = 1, 10 do
    local digit = string.find('0123456789ABCDEFGHJKMNPQRSTVWXYZ', string.sub(id, i, i), 1, true)
    if not digit or #id ~= 26 then return nil end
    number = number * 32 + digit - 1
  end
  return number
end

local oldest = redis.call('LINDEX', KEYS[2], 0)
if oldest then ready_since(from_ulid(oldest)) end
tell('depth', redis.call('LLEN', KEYS[2]) + due(KEYS[1], now))
if redis.call('ZCARD', KEYS[3]) <= 1000 then
  local claimed = 0
  for _, worker in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    claimed = claimed + redis.call('SCARD', ARGV[1] .. worker)
  end
  tell('running', claimed)
end
tell('scheduled', later(KEYS[1], now))
tell('dead', redis.call('SCARD', KEYS[4]))
