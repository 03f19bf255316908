-- Reads an entry of a cache.
-- KEYS  1 the entry
-- ARGV  1 now
-- Answers 1 and the value, or 0.

local value = living(KEYS[1], milliseconds(ARGV[1]))
if value then return { 1, value } end
return { 0 }
