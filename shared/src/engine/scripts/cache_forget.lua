-- Removes an entry of a cache that is no tombstone.
-- KEYS  1 the entry
-- ARGV  1 now
-- Answers 1 or 0: removed or not.

local there = living(KEYS[1], milliseconds(ARGV[1]))
if not there or there == '-' then return 0 end
return redis.call('UNLINK', KEYS[1])
