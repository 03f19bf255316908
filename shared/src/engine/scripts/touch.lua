-- Keeps rooms that a node is in, or was in until now. All of one partition.
-- KEYS  rooms   ARGV  1 now
-- Answers how many are there.

local now, there = milliseconds(ARGV[1]), 0
for _, room in ipairs(KEYS) do
  local used = redis.call('HGET', room, 'used')
  if used then
    redis.call('HSET', room, 'used', math.max(tonumber(used), now))
    redis.call('PEXPIRE', room, 900000)
    there = there + 1
  end
end
return there
