-- Moves a cursor forward, never back; a new one queues up at the end of the line.
-- KEYS  as in cursors.lua
-- ARGV  1 owner  2 position  3 how many may wait
-- Answers how many wait.

local owner, seq = ARGV[1], ARGV[2]
local there = redis.call('HGET', KEYS[1], owner)
if there and tonumber(there) >= tonumber(seq) then return redis.call('ZCARD', KEYS[2]) end
redis.call('HSET', KEYS[1], owner, seq)
redis.call('ZADD', KEYS[2], 'NX', last_place(), owner)
local waiting = redis.call('ZCARD', KEYS[2])
if waiting > tonumber(ARGV[3]) then
  redis.call('HDEL', KEYS[1], redis.call('ZPOPMIN', KEYS[2])[1])
  waiting = waiting - 1
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, LIVES) end
return waiting
