-- Starts or prolongs an incarnation's lease.
-- ARGV  1-3 see roster.lua  4 incarnation
-- Answers 1 if the node is to join its connections (again), else 0.

local number = lease(ARGV[4])
-- A clock that stepped back does not shorten a lease.
redis.call('ZADD', key('leases'), 'GT', now, ARGV[4])
return redis.call('SADD', key('told'), number)
