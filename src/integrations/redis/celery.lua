-- KEYS: unacked, unacked_index, the lists of the queue by priority. ARGV: the queue's name.
local depth, ahead, is_whole = 0, 0, true

-- Whether a task could start now. If not, it is counted.
local function look_at(message)
  local eta = moment(part(message.headers, 'eta'))
  if eta and eta > tonumber(now) then
    ahead = ahead + 1
    return false
  end
  local enqueued = moment(part(message.headers, 'enqueued_at'))
  if enqueued then ready_since(math.max(enqueued, eta or 0)) end
  return true
end

for i = 3, #KEYS do
  local length = redis.call('LLEN', KEYS[i])
  is_whole = is_whole and length <= 25
  depth = depth + length
  -- The next is the last.
  local found = redis.call('LRANGE', KEYS[i], -25, -1)
  for n = #found, 1, -1 do
    if not look_at(decode(found[n])) then depth = depth - 1 end
  end
end
-- Tasks that a worker has taken and not started. All queues share these two.
is_whole = is_whole and redis.call('HLEN', KEYS[1]) <= 100
for _, tag in ipairs(redis.call('ZRANGE', KEYS[2], 0, 99)) do
  local taken = decode(redis.call('HGET', KEYS[1], tag))
  if taken[3] == ARGV[1] and look_at(part(taken, 1) or {}) then depth = depth + 1 end
end
tell('depth', depth)
if is_whole and not is_cut then tell('scheduled', ahead) end
