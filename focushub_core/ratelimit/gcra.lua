-- GCRA over several buckets at once: all admit, or none is charged (the same arithmetic as gcra.py).
-- KEYS[i]: a bucket. ARGV[3i-2], ARGV[3i-1], ARGV[3i]: interval, tolerance (microseconds), cost.
-- Answers {admitted, debt of bucket 1 before, debt of bucket 2 before, ...}; debts in whole microseconds.
local time = redis.call('TIME') -- Redis' own clock: those of the callers do not count
local now = time[1] * 1000000 + time[2]
local answer = { 1 }

for i = 1, #KEYS do
  local interval, tolerance, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  -- pcall: a key of another type is somebody's mistake; it counts as a full bucket and SET replaces it
  local stored = redis.pcall('GET', KEYS[i])
  local tat = type(stored) == 'string' and tonumber(stored) or 0
  local debt = math.floor(tat - now)
  if not (debt > 0) then -- also when what is stored is not a number
    debt = 0
  elseif debt > tolerance then
    debt = tolerance
  end
  if debt + cost * interval > tolerance then
    answer[1] = 0
  end
  answer[i + 1] = debt
end

if answer[1] == 1 then
  for i = 1, #KEYS do
    local debt = answer[i + 1] + tonumber(ARGV[3 * i]) * tonumber(ARGV[3 * i - 2])
    -- %.0f: tostring() would round to 14 digits. The key leaves when the bucket is full again
    redis.call('SET', KEYS[i], string.format('%.0f', now + debt), 'PX', math.ceil(debt / 1000))
  end
end
return answer
