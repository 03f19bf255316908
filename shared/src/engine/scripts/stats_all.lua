-- Reads every node's report.
-- KEYS  1 times  2 reports, as in stats_report.lua
-- ARGV  1 now  2 how long a report is kept, in ms
-- Answers how many there are, then of each the node, its millisecond, the report.

local since = milliseconds(ARGV[1]) - tonumber(ARGV[2])
local times = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. since, '+inf', 'WITHSCORES')
local reply = { #times / 2 }
for n = 1, #times, 2 do
  reply[#reply + 1] = times[n]
  reply[#reply + 1] = times[n + 1]
  reply[#reply + 1] = redis.call('HGET', KEYS[2], times[n]) or ''
end
return reply
