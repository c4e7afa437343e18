-- KEYS: wait, prioritized, delayed, active, failed, meta. ARGV: what the key of a job begins with.
local function look_at(id)
  local job = redis.call('HMGET', ARGV[1] .. id, 'timestamp', 'opts', 'processedOn')
  local added, delay = tonumber(job[1]), tonumber(decode(job[2]).delay)
  if not added then return end
  local due_at = added + (delay or 0)
  -- A job that waits long before it is due was promoted, and nothing says when.
  if due_at > now_ms + 60000 then due_at = added end
  ready_since(math.max(due_at, tonumber(job[3]) or 0))
end

-- The score of a delayed job is its time in ms times 4096, with a counter in the lowest bits.
local due_until = string.format('%.0f', (now_ms + 1) * 4096 - 1)
local depth = 0
-- Of a paused queue nothing can start.
if not redis.call('HGET', KEYS[6], 'paused') then
  depth = redis.call('LLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2])
    + redis.call('ZCOUNT', KEYS[3], '-inf', due_until)
  -- The next is the last. Jobs that were added with `lifo` go there too, and the oldest is then at the other end.
  for _, ends in ipairs({{-3, -1}, {0, 2}}) do
    for _, id in ipairs(redis.call('LRANGE', KEYS[1], ends[1], ends[2])) do look_at(id) end
  end
  -- The score of a prioritized job is its priority times 2^32, with a counter in the lower bits.
  local from = '0'
  for _ = 1, 32 do
    local first = redis.call('ZRANGEBYSCORE', KEYS[2], from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[1] then break end
    look_at(first[1])
    from = string.format('%.0f', (math.floor(first[2] / 4294967296) + 1) * 4294967296)
  end
  local first = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', due_until, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] then ready_since(first[2] / 4096) end
end
tell('depth', depth)
tell('running', redis.call('LLEN', KEYS[4]))
tell('scheduled', later(KEYS[3], due_until))
tell('dead', redis.call('ZCARD', KEYS[5]))
