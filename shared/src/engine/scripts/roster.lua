-- Put before the presence scripts, after the prelude. Who is present; see `engine/presence/mod.rs` for the contract.
-- KEYS 1 of every one of them is any key of the roster; the others are named here from ARGV 1, the common beginning.
--
--   leases            zset  incarnation -> last renewal
--   numbers           string  the newest number
--   names             hash  incarnation -> number of its present lease, new each time a lease begins
--   servers           hash  number -> the server that told the node that this lease is a new one
--   lease:<number>    set   users with a connection under it
--   dead              zset  number -> last renewal: leases that ended and are being worked off
--   user:<user>       hash  "status", "v" as announced last; "<number>/<connection>" -> status of a connection
--   due               zset  user -> when the grace of a user without connections is over
--   here              string  how many users are present

local LEASE, GRACE, REMEMBER = 10000, 15000, 86400000
local base, publish, now = ARGV[1], ARGV[2], milliseconds(ARGV[3])

local function key(name) return base .. name end

-- Number of the incarnation's lease, begun now if there is none.
local function lease(incarnation)
  local number = redis.call('HGET', key('names'), incarnation)
  if not number then
    number = redis.call('INCR', key('numbers'))
    redis.call('HSET', key('names'), incarnation, number)
    redis.call('ZADD', key('leases'), now, incarnation)
  end
  return tostring(number)
end

-- The announced status and version, the merged status of the connections (nil without any), how many there are.
local function look(user)
  local got = redis.call('HGETALL', key('user:' .. user))
  local status, version, merged, devices = 'f', 0, nil, 0
  for n = 1, #got, 2 do
    local field, value = got[n], got[n + 1]
    if field == 'status' then status = value
    elseif field == 'v' then version = tonumber(value)
    else
      devices = devices + 1
      if value == 'o' or not merged then merged = value end
    end
  end
  return status, version, merged, devices
end

local function announce(user, status, version, devices)
  version = math.max(version + 1, now)
  redis.call('HSET', key('user:' .. user), 'status', status, 'v', version)
  redis.call(publish, key('ch:' .. user), 'p' .. status .. ' ' .. version .. ' ' .. devices)
end

-- Brings what is announced in line with the connections; without any, the grace runs from `since`.
local function settle(user, since)
  local status, version, merged, devices = look(user)
  if not merged then
    if status ~= 'f' then redis.call('ZADD', key('due'), 'NX', since + GRACE, user) end
    return
  end
  redis.call('ZREM', key('due'), user)
  if status == 'f' then
    redis.call('PERSIST', key('user:' .. user))
    redis.call('INCR', key('here'))
  end
  if status ~= merged then announce(user, merged, version, devices) end
end

-- A lease ends: what was under it is worked off by whoever sweeps.
local function bury(incarnation, since)
  local number = redis.call('HGET', key('names'), incarnation)
  redis.call('ZREM', key('leases'), incarnation)
  if not number then return end
  redis.call('HDEL', key('names'), incarnation)
  redis.call('HDEL', key('servers'), number)
  redis.call('ZADD', key('dead'), since, number)
end

-- Works off at most `most` users of one dead lease; returns how many there were.
local function clear(number, since, most)
  local users = redis.call('SPOP', key('lease:' .. number), most)
  local prefix = number .. '/'
  for _, user in ipairs(users) do
    local gone = {}
    for _, field in ipairs(redis.call('HKEYS', key('user:' .. user))) do
      if string.sub(field, 1, #prefix) == prefix then gone[#gone + 1] = field end
    end
    if #gone > 0 then redis.call('HDEL', key('user:' .. user), unpack(gone)) end
    settle(user, since)
  end
  if #users < most then redis.call('ZREM', key('dead'), number) end
  return #users
end
