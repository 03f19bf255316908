-- Connections came up.
-- ARGV  1-3 see roster.lua  4 incarnation  then for each connection: user, number of the connection, status
-- Answers how many.

local number = lease(ARGV[4])
for n = 5, #ARGV, 3 do
  local user = ARGV[n]
  redis.call('SADD', key('lease:' .. number), user)
  redis.call('HSET', key('user:' .. user), number .. '/' .. ARGV[n + 1], ARGV[n + 2])
  settle(user, now)
end
return (#ARGV - 4) / 3
