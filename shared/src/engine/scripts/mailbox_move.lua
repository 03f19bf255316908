-- Moves the place of a device that a mailbox remembers; never back.
-- KEYS  1 the mailbox's hash  2 its frames
-- ARGV  1 the device  2 what it acked
-- Answers 1 or 0: moved or not.

local field = 'd:' .. ARGV[1]
local known = redis.call('HGET', KEYS[1], field)
if not known then return 0 end
local acked, noted = known:match('^(%d+) (-?%d+)$')
if tonumber(acked) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], field, ARGV[2] .. ' ' .. noted)
return 1
