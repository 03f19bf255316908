-- Put before the scripts about one user's mailbox.
-- A mailbox is a hash (head: the newest position; bytes: what its frames are charged with; d:<device>: what the device
-- acked by the store's word, and when that was noted) and a list of its newest frames, which end at the head without gaps.
-- Either may be evicted: without the hash there is no mailbox, without the list one that holds nothing.

-- How long frames live after the last use, and how long it is remembered where a mailbox stood.
local FRAMES_LIVE, HEAD_LIVES = 3600000, 90000000
-- What an entry is charged with besides its frame.
local ENTRY = 64

local function touch(keys)
  redis.call('PEXPIRE', keys[1], HEAD_LIVES)
  redis.call('PEXPIRE', keys[2], FRAMES_LIVE)
end
