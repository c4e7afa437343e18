-- Every script begins with this: the server's clock, and an answer of names and values in turn. A script only reads.
local time = redis.call('TIME')
local now = time[1] .. string.format('.%06d', tonumber(time[2]))
local now_ms = string.format('%.0f', math.floor(tonumber(now) * 1000))
local answer = {'now', now}

local function tell(name, value)
  answer[#answer + 1] = name
  answer[#answer + 1] = type(value) == 'number' and string.format('%.17g', value) or value
end

-- So many bytes of jobs are looked into, so that none of them holds the server up.
local left, is_cut = 262144, false
local function decode(text)
  if not text then return {} end
  if #text > left then
    is_cut = true
    return {}
  end
  left = left - #text
  local is_json, value = pcall(cjson.decode, text)
  return is_json and type(value) == 'table' and value or {}
end

local function part(value, name)
  return type(value) == 'table' and value[name] or nil
end

-- Seconds since 1970 from a date in ISO 8601. Years begin in March here, so that a leap day is the last of its year.
local function from_date(text)
  local year, month, day, hour, minute, second, zone =
    string.match(text, '^(%d+)-(%d+)-(%d+)[T ](%d+):(%d+):(%d+%.?%d*)(.*)$')
  if not year then return nil end
  if tonumber(month) < 3 then year, month = year - 1, month + 12 end
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    + math.floor((153 * month - 457) / 5) + day - 719469
  local sign, hours, minutes = string.match(zone, '^([+-])(%d%d):?(%d%d)')
  local offset = sign and (hours * 3600 + minutes * 60) * (sign == '+' and 1 or -1) or 0
  return days * 86400 + hour * 3600 + minute * 60 + second - offset
end

-- A moment as a number in whatever unit, or nil.
local function moment(value)
  if type(value) == 'string' then return tonumber(value) or from_date(value) end
  return type(value) == 'number' and value or nil
end

-- The moment since when a job could have started.
local function ready_since(value)
  local since = moment(value)
  if since then tell('since', since) end
end

-- The jobs of a sorted set that are due now, by their score in the unit of `at`, with the score of the first one.
local function due(key, at)
  local first = redis.call('ZRANGEBYSCORE', key, '-inf', at, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] then ready_since(first[2]) end
  return redis.call('ZCOUNT', key, '-inf', at)
end

local function later(key, at)
  return redis.call('ZCOUNT', key, '(' .. at, '+inf')
end
