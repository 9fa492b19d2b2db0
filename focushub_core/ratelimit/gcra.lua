-- GCRA over several buckets at once: all admit, or none is charged (the same arithmetic as `grant` in gcra.py).
-- ARGV[1]: a lease is at most this part of what is left. KEYS[i]: a bucket. ARGV[4i-2] to ARGV[4i+1]: its interval,
-- its tolerance, what is needed, what is wanted beyond that as a lease. All times are whole microseconds.
-- Answers {admitted, debt of bucket 1 before, lease from bucket 1, debt of bucket 2 before, ...}.
local time = redis.call('TIME') -- Redis' own clock: those of the callers do not count
local now = time[1] * 1000000 + time[2]
local part = tonumber(ARGV[1])
local answer = { 1 }

for i = 1, #KEYS do
  local tolerance, need = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
  -- pcall: a key of another type is somebody's mistake; it counts as a full bucket and SET replaces it
  local stored = redis.pcall('GET', KEYS[i])
  local tat = type(stored) == 'string' and tonumber(stored) or 0
  local debt = math.floor(tat - now)
  if not (debt > 0) then -- also when what is stored is not a number
    debt = 0
  elseif debt > tolerance then
    debt = tolerance
  end
  if debt + need > tolerance then
    answer[1] = 0
  end
  answer[2 * i] = debt
  answer[2 * i + 1] = 0
end

if answer[1] == 1 then
  for i = 1, #KEYS do
    local interval, tolerance = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
    local need, wanted = tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
    local debt = answer[2 * i]
    local lease = math.max(0, math.min(wanted, math.floor((tolerance - debt) / part) - need))
    lease = lease - lease % interval
    answer[2 * i + 1] = lease
    debt = debt + need + lease
    -- %.0f: tostring() would round to 14 digits. The key leaves when the bucket is full again
    redis.call('SET', KEYS[i], string.format('%.0f', now + debt), 'PX', math.ceil(debt / 1000))
  end
end
return answer
