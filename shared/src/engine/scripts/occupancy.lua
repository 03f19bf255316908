-- Put before the scripts of rooms' occupants, after the prelude. A room's hash has a field for each node (incarnation):
-- the millisecond its word ends, how many of its connections are in, the users it tells of.

local function note(room, now, lives, node, who)
  if who == '' then return redis.call('HDEL', room, node) end
  redis.call('HSET', room, node, (now + lives) .. ' ' .. who)
  redis.call('PEXPIRE', room, lives + 60000)
end
