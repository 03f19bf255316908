-- Put before the scripts about one room, after the prelude.

local AGE, EVENTS, BYTES, IDS = 600000, 500, 1048576, 32768
-- What may lie beyond the bounds before it is tidied away: readers go by the bounds, Redis by these.
local SLACK_EVENTS, SLACK_BYTES, SLACK_AGE = 100, 131072, 60000
-- How long keys live, and how often they are told so.
local ROOM_LIVES, LOG_LIVES, IDS_LIVE, KEEP = 900000, 720000, 1200000, 60000

-- The room, born anew if it is not there, over, or of a server whose last writes may be lost.
local function open(keys, now, channel, numsub, epoch)
  local got = redis.call('HMGET', keys[1], 'epoch', 'seq', 'used', 'server', 'bytes', 'oldest', 'ids', 'kept')
  local here = server()
  local over = not got[1] or got[4] ~= here
  if not over and now - tonumber(got[3]) >= AGE then
    over = redis.call('PUBSUB', numsub, channel)[2] == 0
  end
  if over then
    redis.call('UNLINK', keys[2])
    return { epoch = epoch, seq = 0, used = now, server = here, bytes = 0, oldest = now,
      ids = tonumber(got[7] or now), kept = 0 }
  end
  -- A clock that steps back forgets nothing early.
  return { epoch = got[1], seq = tonumber(got[2]), used = math.max(tonumber(got[3]), now), server = here,
    bytes = tonumber(got[5]), oldest = tonumber(got[6]), ids = tonumber(got[7]), kept = tonumber(got[8]) }
end

local function close(keys, room, now)
  local keep = math.abs(now - room.kept) > KEEP
  if keep then room.kept = now end
  redis.call('HSET', keys[1], 'epoch', room.epoch, 'seq', room.seq, 'used', room.used, 'server', room.server,
    'bytes', room.bytes, 'oldest', room.oldest, 'ids', room.ids, 'kept', room.kept)
  if keep then redis.call('PEXPIRE', keys[1], ROOM_LIVES) end
  return keep
end

-- Of an entry of the log: its number and its time.
local function numbers(entry)
  local seq, at = string.match(entry[1], '(%d+)-(%d+)')
  return tonumber(seq), tonumber(at)
end
