-- Replaces a node's report, and forgets those that are old or too many.
-- KEYS  1 times, a sorted set: nodes by the millisecond of their report  2 reports, a hash by node
-- ARGV  1 now  2 how long a report is kept, in ms  3 how many are kept  4 node  5 report
-- Answers how many there are.

local now, kept, most = milliseconds(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[4])
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - kept)
local nodes = redis.call('ZCARD', KEYS[1])
if nodes - #gone > most then
  gone = redis.call('ZRANGE', KEYS[1], 0, nodes - most - 1)
end
for _, node in ipairs(gone) do
  redis.call('ZREM', KEYS[1], node)
  redis.call('HDEL', KEYS[2], node)
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, kept + 60000) end
return nodes - #gone
