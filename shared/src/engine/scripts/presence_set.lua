-- A connection's status changed, or (an empty status) the connection is gone.
-- ARGV  1-3 see roster.lua  4 incarnation  5 user  6 number of the connection  7 status, or empty
-- Answers 1 if the connection was there, else 0.

local number = redis.call('HGET', key('names'), ARGV[4])
if not number then return 0 end
local user, field = ARGV[5], number .. '/' .. ARGV[6]
if redis.call('HEXISTS', key('user:' .. user), field) == 0 then return 0 end

if ARGV[7] ~= '' then
  redis.call('HSET', key('user:' .. user), field, ARGV[7])
else
  redis.call('HDEL', key('user:' .. user), field)
  local prefix, others = number .. '/', false
  for _, other in ipairs(redis.call('HKEYS', key('user:' .. user))) do
    others = others or string.sub(other, 1, #prefix) == prefix
  end
  if not others then redis.call('SREM', key('lease:' .. number), user) end
end
settle(user, now)
return 1
