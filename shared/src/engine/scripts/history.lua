-- Reads a room's top, and events after a position.
-- KEYS  1 room  2 log
-- ARGV  1 now  2 channel  3 NUMSUB or SHARDNUMSUB  4 an epoch in case a new one begins
--       5 the position's epoch, or empty  6 its number  7 at most so many events
-- Answers the top, then 1 or 0 (the position was recovered or not), then the frames, numbered from the position on.

local now, wanted, since, limit = milliseconds(ARGV[1]), ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local room = open(KEYS, now, ARGV[2], ARGV[3], ARGV[4])
close(KEYS, room, now)
local top = room.epoch .. ':' .. room.seq

if wanted == '' then return { top, 1 } end
if wanted ~= room.epoch or since > room.seq or room.seq - since > EVENTS then return { top, 0 } end
if since == room.seq then return { top, 1 } end

local page = redis.call('XRANGE', KEYS[2], (since + 1) .. '-0', '+', 'COUNT', math.max(limit, 1))
if #page == 0 then return { top, 0 } end
local seq, at = numbers(page[1])
if seq ~= since + 1 or now - at >= AGE then return { top, 0 } end
local reply = { top, 1 }
if limit > 0 then
  for n, entry in ipairs(page) do reply[n + 2] = entry[2][2] end
end
return reply
