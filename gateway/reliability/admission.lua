-- Admits a request when no limit of its project and of its key stands against it, then counts it.
-- One subject is a project or a key; nothing is counted unless all limits of all subjects allow it.
--
-- KEYS     five for each subject: list of the times of admitted requests (oldest first, us of this
--          server's clock), hash of tokens by second, sorted set of what is in flight
--          (`<id> <reserved micro-dollars>`, scored by the end of its lease), micro-dollars spent in
--          the day, in the month
-- ARGV[1]  id of the request    ARGV[2]  window in us    ARGV[3]  lease of what is in flight in us
-- then nine for each subject, 0 for no limit: requests in a window, tokens in a window, requests in
--          flight, micro-dollars a day, a month; and what is known: tokens and micro-dollars to
--          reserve, micro-dollars that the day and the month have cost at least
-- Returns  {admitted (1|0), now in us, refusing subject, refusing limit, us until it may be admitted}
--          and for each subject: requests left, us until all are, tokens left, us until all are,
--          micro-dollars spent in the day, in the month
local REQUESTS, TOKENS, FLIGHT, DAY, MONTH = 1, 2, 3, 4, 5
local A_YEAR = 31536000000000  -- a spent budget outlasts whatever else stands against a request
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local second = tonumber(time[1])
local id, window, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local window_seconds = window / 1000000
local refusal

local function refuse(subject, limit, wait)
  if not refusal or wait > refusal[3] then refusal = {subject, limit, wait} end
end

-- Cuts the log of requests to the window; returns how many count and when the newest came.
local function counted_requests(key)
  local count = redis.call('LLEN', key)
  if count == 0 then return 0, now end
  local newest = tonumber(redis.call('LINDEX', key, -1))
  if newest > now then
    -- The clock was set back: what the log says about the future would shut the project out.
    redis.call('DEL', key)
    return 0, now
  end
  local edge = now - window
  if tonumber(redis.call('LINDEX', key, 0)) <= edge then
    -- Halving finds the first entry that still counts, so that a long log is cut in one step.
    local low, high = 1, count
    while low < high do
      local middle = math.floor((low + high) / 2)
      if tonumber(redis.call('LINDEX', key, middle)) <= edge then low = middle + 1 else high = middle end
    end
    redis.call('LTRIM', key, low, -1)
    count = count - low
  end
  return count, newest
end

-- The tokens of the window, oldest second first; seconds that do not count are dropped.
local function counted_tokens(key)
  local flat, buckets, used = redis.call('HGETALL', key), {}, 0
  for i = 1, #flat, 2 do
    local at, tokens = tonumber(flat[i]), tonumber(flat[i + 1])
    if at <= second - window_seconds or at > second + 1 then
      redis.call('HDEL', key, flat[i])
    else
      buckets[#buckets + 1] = {at, tokens}
      used = used + tokens
    end
  end
  table.sort(buckets, function(a, b) return a[1] < b[1] end)
  return buckets, used
end

-- Microseconds until the bucket of that second has left the window.
local function leaves_in(at) return (at + window_seconds + 1) * 1000000 - now end

-- Forgets what is in flight no longer; returns how many are, and the dollars they have reserved.
local function in_flight(key, budgeted)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', key, '(' .. string.format('%.0f', now + 2 * lease), '+inf')
  if not budgeted then return redis.call('ZCARD', key), 0 end
  local members, reserved = redis.call('ZRANGE', key, 0, -1), 0
  for i = 1, #members do reserved = reserved + tonumber(string.match(members[i], ' (%d+)$')) end
  return #members, reserved
end

-- What a period has cost: what is counted here, or more where somebody knows of more.
local function spent(key, known)
  local counted = tonumber(redis.call('GET', key) or 0)
  if known > counted then
    redis.call('SET', key, string.format('%.0f', known), 'EX', 3456000)
    return known
  end
  return counted
end

local states = {}
for subject = 1, #KEYS / 5 do
  local at, k = 3 + (subject - 1) * 9, (subject - 1) * 5
  local limits = {}
  for i = 1, 9 do limits[i] = tonumber(ARGV[at + i]) end
  local state = {left = -1, all_left_in = 0, tokens_left = -1, tokens_all_left_in = 0, day = 0, month = 0}
  state.limits, state.keys = limits, k
  states[subject] = state

  if limits[REQUESTS] > 0 then
    local count, newest = counted_requests(KEYS[k + 1])
    state.left = limits[REQUESTS] - count
    state.all_left_in = count > 0 and newest + window - now or 0
    if state.left <= 0 then
      -- With a limit that was lowered meanwhile, more than the oldest entry has to go first.
      local frees = tonumber(redis.call('LINDEX', KEYS[k + 1], -state.left))
      refuse(subject, REQUESTS, frees + window - now)
    end
  end

  if limits[TOKENS] > 0 then
    local buckets, used = counted_tokens(KEYS[k + 2])
    local wanted = math.min(limits[6], limits[TOKENS])
    state.tokens_left = limits[TOKENS] - used
    if #buckets > 0 then state.tokens_all_left_in = leaves_in(buckets[#buckets][1]) end
    local missing, i = wanted - state.tokens_left, 1
    while missing > 0 and i <= #buckets do
      missing = missing - buckets[i][2]
      if missing <= 0 then refuse(subject, TOKENS, leaves_in(buckets[i][1])) end
      i = i + 1
    end
  end

  local budgeted = limits[DAY] > 0 or limits[MONTH] > 0
  if budgeted or limits[FLIGHT] > 0 then
    local flying, reserved = in_flight(KEYS[k + 3], budgeted)
    if limits[FLIGHT] > 0 and flying >= limits[FLIGHT] then refuse(subject, FLIGHT, 1000000) end
    if budgeted then
      state.day, state.month = spent(KEYS[k + 4], limits[8]), spent(KEYS[k + 5], limits[9])
      if limits[DAY] > 0 and state.day + reserved >= limits[DAY] then refuse(subject, DAY, A_YEAR) end
      if limits[MONTH] > 0 and state.month + reserved >= limits[MONTH] then refuse(subject, MONTH, 2 * A_YEAR) end
    end
  end
end

local reply = {refusal and 0 or 1, now, 0, 0, 0}
if refusal then
  for i = 1, 3 do reply[2 + i] = refusal[i] end
end
for _, state in ipairs(states) do
  local limits, k = state.limits, state.keys
  if not refusal then
    if limits[REQUESTS] > 0 then
      redis.call('RPUSH', KEYS[k + 1], string.format('%.0f', now))
      redis.call('PEXPIRE', KEYS[k + 1], math.ceil(window / 1000) + 1000)
      state.left, state.all_left_in = state.left - 1, window
    end
    if limits[TOKENS] > 0 then
      local wanted = math.min(limits[6], limits[TOKENS])
      redis.call('HINCRBY', KEYS[k + 2], time[1], wanted)
      redis.call('EXPIRE', KEYS[k + 2], window_seconds + 2)
      state.tokens_left = math.max(0, state.tokens_left - wanted)
      state.tokens_all_left_in = leaves_in(second)
    end
    if limits[FLIGHT] > 0 or limits[DAY] > 0 or limits[MONTH] > 0 then
      redis.call('ZADD', KEYS[k + 3], string.format('%.0f', now + lease), id .. ' ' .. string.format('%.0f', limits[7]))
      redis.call('PEXPIRE', KEYS[k + 3], math.ceil(lease / 500))
    end
  end
  for _, value in ipairs({
    math.max(0, state.left), state.all_left_in, math.max(0, state.tokens_left), state.tokens_all_left_in,
    state.day, state.month,
  }) do reply[#reply + 1] = math.floor(value) end
end
return reply
