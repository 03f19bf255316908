-- Notes who of a node is in a room, and looks who of the others is.
-- KEYS  1 the room
-- ARGV  1 now  2 how long it is believed, in ms  3 incarnation  4 how many and which users, or empty
--       5 at most so many users
-- Answers how many connections of other nodes, then some of their users, each once.

local now, most = milliseconds(ARGV[1]), tonumber(ARGV[5])
note(KEYS[1], now, tonumber(ARGV[2]), ARGV[3], ARGV[4])

local count, users, seen = 0, {}, {}
local told = redis.call('HGETALL', KEYS[1])
for n = 1, #told, 2 do
  local dies, here, list = string.match(told[n + 1], '^(%d+) (%d+)(.*)$')
  if tonumber(dies) <= now then
    redis.call('HDEL', KEYS[1], told[n])
  elseif told[n] ~= ARGV[3] then
    count = count + tonumber(here)
    for user in string.gmatch(list, '%S+') do
      if #users < most and not seen[user] then
        seen[user] = true
        users[#users + 1] = user
      end
    end
  end
end
return { count, unpack(users) }
