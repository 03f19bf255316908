-- Reads what a mailbox has after a position.
-- KEYS  1 the mailbox's hash  2 its frames
-- ARGV  1 the position  2 at most so many frames
-- Answers 1 and the frames; 0 if the mailbox is missing, does not reach back so far, or is behind the reader.

local head, after, limit = find(KEYS), tonumber(ARGV[1]), tonumber(ARGV[2])
if not head or after > tonumber(head) then return { 0 } end
local skip = after - (tonumber(head) - redis.call('LLEN', KEYS[2]))
if skip < 0 then return { 0 } end
local frames = limit > 0 and redis.call('LRANGE', KEYS[2], skip, skip + limit - 1) or {}
-- Seldom: a reader is no reason to replicate a write.
if redis.call('PTTL', KEYS[1]) < HEAD_LIVES - FRAMES_LIVE / 2 then touch(KEYS) end
table.insert(frames, 1, 1)
return frames
