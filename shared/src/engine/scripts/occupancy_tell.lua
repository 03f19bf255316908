-- Notes who of a node is in rooms. All of one partition.
-- KEYS  rooms
-- ARGV  1 now  2 how long it is believed, in ms  3 incarnation  then for each room: how many and which users, or empty
-- Answers how many rooms.

local now, lives = milliseconds(ARGV[1]), tonumber(ARGV[2])
for n, room in ipairs(KEYS) do note(room, now, lives, ARGV[3], ARGV[n + 3]) end
return #KEYS
