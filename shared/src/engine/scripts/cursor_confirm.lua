-- Takes cursors out that are in the store; one that moved on meanwhile goes to the end of the line.
-- KEYS  as in cursors.lua
-- ARGV  owner and position of each
-- Answers how many went.

local gone = 0
for n = 1, #ARGV, 2 do
  local owner = ARGV[n]
  local there = redis.call('HGET', KEYS[1], owner)
  if there and tonumber(there) > tonumber(ARGV[n + 1]) then
    redis.call('ZADD', KEYS[2], last_place(), owner)
  elseif there then
    redis.call('HDEL', KEYS[1], owner)
    gone = gone + redis.call('ZREM', KEYS[2], owner)
  end
end
return gone
