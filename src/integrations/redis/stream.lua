-- KEYS: the stream. ARGV: the group.
local function fields(list)
  local named = {}
  for i = 1, #list, 2 do named[list[i]] = list[i + 1] end
  return named
end

local function find_group()
  if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
  for _, listed in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = fields(listed)
    if group.name == ARGV[1] then return group end
  end
end

local group = find_group()
if group then
  local ms, sequence = string.match(group['last-delivered-id'], '^(%d+)-(%d+)$')
  local next_id = ms .. '-' .. string.format('%.0f', sequence + 1)
  local function count(most) return #redis.call('XRANGE', KEYS[1], next_id, '+', 'COUNT', most) end
  local first = redis.call('XRANGE', KEYS[1], next_id, '+', 'COUNT', 1)[1]
  if first then ready_since(string.match(first[1], '^%d+')) end
  -- The lag is wrong after a trim, and unknown after a deletion, so few entries are counted. It is never below the truth.
  local depth = count(33)
  if depth > 32 then
    depth = group.lag and math.min(group.lag, redis.call('XLEN', KEYS[1])) or count(1000)
  end
  tell('depth', depth)
  tell('running', group.pending)
end
