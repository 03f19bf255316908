-- Reads a cursor.
-- KEYS  as in cursors.lua
-- ARGV  1 owner
-- Answers its position, or nil.

return redis.call('HGET', KEYS[1], ARGV[1])
