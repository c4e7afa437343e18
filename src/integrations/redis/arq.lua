-- KEYS: the queue. ARGV: what the keys of the marks of running jobs and those of jobs begin with.

-- When a job was enqueued, in ms: it is the last number of its pickle.
local function enqueued(id)
  local pickle = redis.call('GETRANGE', ARGV[2] .. id, -15, -1)
  if string.sub(pickle, 1, 7) ~= '\140\2et\148\138\6' or string.sub(pickle, 14) ~= 'u.' then return 0 end
  local number = 0
  for i = 13, 8, -1 do number = number * 256 + string.byte(pickle, i) end
  return number
end

local running, looked_at = 0, 0
-- A running job stays where it was, before those that wait.
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'WITHSCORES', 'LIMIT', 0, 500)
for i = 1, #found, 2 do
  if redis.call('EXISTS', ARGV[1] .. found[i]) == 1 then
    running = running + 1
  elseif looked_at < 10 then
    looked_at = looked_at + 1
    -- A job may be deferred to a time before it was enqueued.
    ready_since(math.max(tonumber(found[i + 1]), enqueued(found[i])))
  end
end
tell('depth', redis.call('ZCOUNT', KEYS[1], '-inf', now_ms) - running)
tell('running', running)
tell('scheduled', later(KEYS[1], now_ms))
