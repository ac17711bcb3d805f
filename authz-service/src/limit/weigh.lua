-- Weighs one request against all of its limits, and charges it to all or to none. See limit/gcra.rs.
--
-- KEYS: one counter for each limit. ARGV, three for each: microseconds between requests, requests at once,
-- 1 when the limit refuses and 0 when it is only tried out; behind them, how many more are wanted in advance.
-- Returns for each the microseconds to wait, 0 when it allows; how many more were taken: half of what the tightest
-- leaves, see limit.rs; and for each the microseconds until its bucket is full again.
--
-- The clock is Redis's own, so that replicas with different clocks count the same. Numbers stay far below
-- 2^53, up to which Lua's are exact: microseconds since 1970 are 1.8e15, and a full bucket is at most a week.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local waits, nexts, debts, passes = {}, {}, {}, true
local more = tonumber(ARGV[#KEYS * 3 + 1])
for i, key in ipairs(KEYS) do
  local interval = tonumber(ARGV[i * 3 - 2])
  local full = interval * tonumber(ARGV[i * 3 - 1])
  local kept = tonumber(redis.call('GET', key) or now) or now
  -- More ahead than a full burst: the limit was made smaller, or the clock was stepped back. Written down, or a whole
  -- burst would be owed at every look until the clock is where it was before.
  if kept > now + full then
    kept = now + full
    redis.call('SET', key, string.format('%.0f', kept), 'PX', math.ceil(full / 1000))
  end
  kept = math.max(kept, now)
  nexts[i] = kept + interval
  debts[i] = kept - now
  waits[i] = math.max(nexts[i] - now - full, 0)
  if waits[i] > 0 and ARGV[i * 3] == '1' then passes = false end
  local left = math.max(math.floor((full - (nexts[i] - now)) / interval), 0)
  more = math.min(more, math.floor(left / 2))
end
if not passes then more = 0 end
if passes then
  for i, key in ipairs(KEYS) do
    if waits[i] == 0 then
      nexts[i] = nexts[i] + more * tonumber(ARGV[i * 3 - 2])
      debts[i] = nexts[i] - now
      -- A bucket that is full again says no more than none.
      local life = math.ceil((nexts[i] - now) / 1000)
      redis.call('SET', key, string.format('%.0f', nexts[i]), 'PX', life)
    end
  end
end
return {waits, more, debts}
