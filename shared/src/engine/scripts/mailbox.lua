-- Put before the scripts about one user's mailbox, after the prelude.
-- A mailbox is a hash (head: the newest position; server: whose history of writes it belongs to; bytes: what its frames
-- are charged with; d:<device>: what the device acked by the store's word, and when that was noted) and a list of its
-- newest frames, which end at the head without gaps. Either may be evicted: without the hash there is no mailbox, without
-- the list one that holds nothing. One of another server is none either: it may lack what was acknowledged last, which
-- the store takes for delivered.

-- How long frames live after the last use, and how long it is remembered where a mailbox stood.
local FRAMES_LIVE, HEAD_LIVES = 3600000, 90000000
-- What an entry is charged with besides its frame.
local ENTRY = 64

-- The mailbox's head and what one of its other fields says; nil if the mailbox is missing.
local function find(keys, field)
  local got = redis.call('HMGET', keys[1], 'server', 'head', field or 'head')
  if got[1] ~= server() then return nil end
  return got[2], got[3]
end

-- A missing mailbox begins after a position; what may be left of an earlier one goes.
local function begin(keys, head)
  redis.call('UNLINK', keys[1], keys[2])
  redis.call('HSET', keys[1], 'head', head, 'server', server())
end

local function touch(keys)
  redis.call('PEXPIRE', keys[1], HEAD_LIVES)
  redis.call('PEXPIRE', keys[2], FRAMES_LIVE)
end
