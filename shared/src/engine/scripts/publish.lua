-- Publishes an event: dedupe, number, remember, deliver, in one step.
-- KEYS  1 room  2 log  3 ids  4 older ids
-- ARGV  1 now  2 channel  3 PUBLISH or SPUBLISH  4 NUMSUB or SHARDNUMSUB  5 an epoch in case a new one begins
--       6 who and which (32 bytes)  7 the frame before the position  8 the frame after it
-- Answers the position, with "=" in front if the event was published before.

local now, channel, id = milliseconds(ARGV[1]), ARGV[2], ARGV[6]

for n = 3, 4 do
  local known = redis.call('HGET', KEYS[n], id)
  if known then
    local at, pos = string.match(known, '(%d+) (.+)')
    if now - tonumber(at) < AGE then return '=' .. pos end
  end
end

local room = open(KEYS, now, channel, ARGV[4], ARGV[5])
room.seq = room.seq + 1
local pos = room.epoch .. ':' .. room.seq
local frame = ARGV[7] .. pos .. ARGV[8]

redis.call('XADD', KEYS[2], room.seq .. '-' .. now, 'f', frame)
local events = redis.call('XLEN', KEYS[2])
if events == 1 then room.bytes, room.oldest = 0, now end
room.bytes = room.bytes + #frame

-- Tidies the old end, when enough has gathered there.
if events > EVENTS + SLACK_EVENTS or room.bytes > BYTES + SLACK_BYTES or now - room.oldest > AGE + SLACK_AGE then
  local from, done = nil, false
  repeat
    local page = redis.call('XRANGE', KEYS[2], from or '-', '+', 'COUNT', SLACK_EVENTS)
    for _, entry in ipairs(page) do
      local seq, at = numbers(entry)
      room.oldest = at
      done = not (events > EVENTS or room.bytes > BYTES or now - at >= AGE)
      if done then break end
      events, room.bytes, from = events - 1, room.bytes - #entry[2][2], (seq + 1) .. '-0'
    end
  until done or #page == 0
  if from then redis.call('XTRIM', KEYS[2], 'MINID', from) end
end

-- The younger half of the ids becomes the older one when it is old or large enough.
local ids = redis.call('HLEN', KEYS[3])
if ids > 0 and (now - room.ids >= AGE or ids >= IDS) then
  redis.call('UNLINK', KEYS[4])
  redis.call('RENAME', KEYS[3], KEYS[4])
  ids = 0
end
redis.call('HSET', KEYS[3], id, now .. ' ' .. pos)
if ids == 0 then
  room.ids = now
  redis.call('PEXPIRE', KEYS[3], IDS_LIVE)
end

if close(KEYS, room, now) or events == 1 then redis.call('PEXPIRE', KEYS[2], LOG_LIVES) end
redis.call(ARGV[3], channel, 'e' .. pos .. '\n' .. frame)
return pos
