-- Buries a session in one partition: marks it as ended and leaves tombstones under its tokens.
-- KEYS  1 the mark  2… the entries of its tokens that are in this partition
-- ARGV  1 now  2 how long the mark lives, in ms  3 how long tombstones live, in ms
-- Answers 1.

local now = milliseconds(ARGV[1])
write(KEYS[1], now, tonumber(ARGV[2]), '-')
for n = 2, #KEYS do write(KEYS[n], now, tonumber(ARGV[3]), '-') end
return 1
