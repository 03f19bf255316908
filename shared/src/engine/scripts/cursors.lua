-- Put before the scripts about cursors on their way to the store.
-- KEYS  1 seqs, a hash: a cursor's position by its owner (the user's id, then the device)
--       2 line, a sorted set: owners by their place in the line for the store

local LIVES = 86400000

-- The place behind everybody else's.
local function last_place()
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  return (tonumber(last[2]) or 0) + 1
end
