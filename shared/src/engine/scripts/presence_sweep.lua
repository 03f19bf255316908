-- Works off what is due: leases that ran out, graces that are over. A bounded share at a time.
-- ARGV  1-3 see roster.lua  4 at most so many users
-- Answers how many went offline, and 1 if there is more to do.

local most = tonumber(ARGV[4])

for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', key('leases'), '-inf', now - LEASE, 'LIMIT', 0, 16)) do
  bury(incarnation, redis.call('ZSCORE', key('leases'), incarnation))
end

local done = 0
local dead = redis.call('ZRANGE', key('dead'), 0, 0, 'WITHSCORES')
if dead[1] then done = clear(dead[1], tonumber(dead[2]), most) end

local offline = redis.call('ZRANGEBYSCORE', key('due'), '-inf', now, 'LIMIT', 0, most)
for _, user in ipairs(offline) do
  local status, version = look(user)
  redis.call('ZREM', key('due'), user)
  if status ~= 'f' then
    announce(user, 'f', version, 0)
    redis.call('PEXPIRE', key('user:' .. user), REMEMBER)
    redis.call('DECR', key('here'))
  end
end

local more = done == most or #offline == most or redis.call('EXISTS', key('dead')) == 1
  or #redis.call('ZRANGEBYSCORE', key('leases'), '-inf', now - LEASE, 'LIMIT', 0, 1) > 0
return { #offline, more and 1 or 0 }
