-- Starts or prolongs an incarnation's lease. One that another server knew ends: who came and went last may be wrong in it.
-- ARGV  1-3 see roster.lua  4 incarnation
-- Answers 1 if the node is to join its connections (again), else 0; and the number of a lease that ended, or empty.

local here, number, ended = server(), lease(ARGV[4]), ''
local told = redis.call('HGET', key('servers'), number)
if told and told ~= here then
  bury(ARGV[4], now)
  number, ended = lease(ARGV[4]), number
end
-- A clock that stepped back does not shorten a lease.
redis.call('ZADD', key('leases'), 'GT', now, ARGV[4])
if told == here then return { 0, '' } end
redis.call('HSET', key('servers'), number, here)
return { 1, ended }
