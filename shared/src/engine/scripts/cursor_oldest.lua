-- Reads the cursors that wait longest.
-- KEYS  as in cursors.lua
-- ARGV  1 at most so many
-- Answers how many, then of each the owner and the position.

local most = tonumber(ARGV[1])
local owners = most > 0 and redis.call('ZRANGE', KEYS[2], 0, most - 1) or {}
local reply = { 0 }
for _, owner in ipairs(owners) do
  local seq = redis.call('HGET', KEYS[1], owner)
  if seq then
    reply[1], reply[#reply + 1] = reply[1] + 1, owner
    reply[#reply + 1] = seq
  else
    -- Only half of it was evicted: nobody is to wait behind a place without an owner.
    redis.call('ZREM', KEYS[2], owner)
  end
end
return reply
