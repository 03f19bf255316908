-- Tells a reader where a mailbox begins and ends, and where the reader's device stands.
-- KEYS  1 the mailbox's hash  2 its frames
-- ARGV  1 the device
-- Answers the head, the position before the oldest frame, then, if the device is known, what it acked and when that was
-- noted; nil if the mailbox is missing.

local head, place = find(KEYS, 'd:' .. ARGV[1])
if not head then return false end
-- Seldom: a reader is no reason to replicate a write.
if redis.call('PTTL', KEYS[1]) < HEAD_LIVES - FRAMES_LIVE / 2 then touch(KEYS) end
local reply = { head, string.format('%.0f', tonumber(head) - redis.call('LLEN', KEYS[2])) }
if place then
  reply[3], reply[4] = place:match('^(%d+) (-?%d+)$')
end
return reply
