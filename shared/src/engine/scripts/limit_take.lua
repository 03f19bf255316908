-- Takes one from a bucket: the lines of engine/limits/gcra.rs.
-- KEYS  1 the bucket, a string: the microsecond in which it is full again; none is a full one
-- ARGV  1 now in microseconds, or nothing: then Redis says  2 what one costs, in microseconds  3 the burst
-- Answers 1 or 0 (allowed or not), then in how many microseconds the bucket is full again.
-- Microseconds since 1970 have 16 digits: exact as Lua's numbers, but not in Lua's own text of them.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local cost, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local whole = cost * burst

local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), now + whole)
local after = full_at + cost
if after - now > whole then return { 0, full_at - now } end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil(whole / 1000) + 60000)
return { 1, after - now }
