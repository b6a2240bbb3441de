-- Sliding window over a log of admitted requests: exact, one entry a request, never over the limit.
-- KEYS[1]  list of the times of admitted requests, oldest first, microseconds of this server's clock
-- ARGV[1]  limit: requests in a window        ARGV[2]  window in microseconds
-- Returns  {admitted (1|0), remaining, microseconds until a slot frees, until all slots are free}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit = tonumber(ARGV[1])
local window = tonumber(ARGV[2])
local edge = now - window

local count = redis.call('LLEN', KEYS[1])
local newest = count > 0 and tonumber(redis.call('LINDEX', KEYS[1], -1))
if newest and newest > now then
  -- The clock was set back: what the log says about the future would shut the project out.
  redis.call('DEL', KEYS[1])
  count, newest = 0, nil
end

if count > 0 and tonumber(redis.call('LINDEX', KEYS[1], 0)) <= edge then
  -- Halving finds the first entry that still counts, so that a long log is cut in one step.
  local low, high = 1, count
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', KEYS[1], middle)) <= edge then
      low = middle + 1
    else
      high = middle
    end
  end
  redis.call('LTRIM', KEYS[1], low, -1)
  count = count - low
end

if count >= limit then
  -- With a limit that was lowered meanwhile, more than the oldest entry has to go first.
  local frees = tonumber(redis.call('LINDEX', KEYS[1], count - limit))
  return {0, 0, frees + window - now, newest + window - now}
end

redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000) + 1000)
return {1, limit - count - 1, 0, window}
