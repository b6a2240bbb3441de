-- Replaces what an admitted request has reserved by what it has used.
-- KEYS     four for each subject: hash of tokens by second, sorted set of what is in flight,
--          micro-dollars spent in the day, in the month
-- ARGV[1]  id of the request    ARGV[2]  window in us    ARGV[3]  when it was admitted, us of this
--          server's clock    ARGV[4]  tokens it has used    ARGV[5]  micro-dollars it has cost
-- then three for each subject: tokens and micro-dollars it had reserved, whether dollars are counted
local time = redis.call('TIME')
local second, window_seconds = tonumber(time[1]), tonumber(ARGV[2]) / 1000000
local admitted = math.floor(tonumber(ARGV[3]) / 1000000)
local tokens, cost = tonumber(ARGV[4]), tonumber(ARGV[5])

for subject = 1, #KEYS / 4 do
  local k, at = (subject - 1) * 4, 5 + (subject - 1) * 3
  local reserved = tonumber(ARGV[at + 1])
  if reserved > 0 then
    local more = tokens - reserved
    if admitted > second - window_seconds and redis.call('HEXISTS', KEYS[k + 1], admitted) == 1 then
      redis.call('HINCRBY', KEYS[k + 1], admitted, more)
    elseif more > 0 then
      -- The second it was admitted in counts no longer; what it used since then does.
      redis.call('HINCRBY', KEYS[k + 1], time[1], more)
      redis.call('EXPIRE', KEYS[k + 1], window_seconds + 2)
    end
  end
  redis.call('ZREM', KEYS[k + 2], ARGV[1] .. ' ' .. ARGV[at + 2])
  if ARGV[at + 3] == '1' and cost > 0 then
    for period = 3, 4 do
      redis.call('INCRBY', KEYS[k + period], cost)
      redis.call('EXPIRE', KEYS[k + period], 3456000)
    end
  end
end
return 1
