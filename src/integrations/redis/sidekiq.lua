-- KEYS: the queue's list, schedule, retry, dead, processes. ARGV: the queue's name, the prefix of all keys.
local depth = redis.call('LLEN', KEYS[1])
local oldest = decode(redis.call('LINDEX', KEYS[1], -1))
ready_since(moment(oldest.enqueued_at) or oldest.created_at)
-- What is due stays in these sets, which all queues share, until a process looks at them.
for set = 2, 3 do
  local found = redis.call('ZRANGEBYSCORE', KEYS[set], '-inf', now, 'WITHSCORES', 'LIMIT', 0, 50)
  for i = 1, #found, 2 do
    if decode(found[i]).queue == ARGV[1] then
      depth = depth + 1
      ready_since(found[i + 1])
    end
  end
end
tell('depth', depth)
tell('scheduled', later(KEYS[2], now))
tell('retrying', later(KEYS[3], now))
tell('dead', redis.call('ZCARD', KEYS[4]))
if redis.call('SCARD', KEYS[5]) <= 1000 then
  local running = 0
  for _, process in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    running = running + (tonumber(redis.call('HGET', ARGV[2] .. process, 'busy')) or 0)
  end
  tell('running', running)
end
