-- KEYS: the queue's list, its registries of running, scheduled and failed jobs. ARGV: what the key of a job begins with.
-- A job that was added with `at_front` is before older ones.
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, 9)) do
  local job = redis.call('HMGET', ARGV[1] .. id, 'enqueued_at', 'created_at')
  ready_since(moment(job[1]) or job[2])
end
tell('depth', redis.call('LLEN', KEYS[1]) + due(KEYS[3], now))
-- The scores of these two are the times at which an entry is no longer valid.
tell('running', later(KEYS[2], now))
tell('scheduled', later(KEYS[3], now))
tell('dead', redis.call('ZCARD', KEYS[4]) - redis.call('ZCOUNT', KEYS[4], 0, now))
