-- Put before the scripts of the caches, after the prelude. An entry is a string: the millisecond it dies in, a space, its
-- value. The value "-" is a tombstone. Redis removes an entry a minute after its death; nobody sees it in between.

local function living(key, now)
  local entry = redis.call('GET', key)
  if not entry then return nil end
  local dies, value = string.match(entry, '^(%d+) (.*)$')
  if now < tonumber(dies) then return value end
end

local function write(key, now, lives, value)
  redis.call('SET', key, (now + lives) .. ' ' .. value, 'PX', lives + 60000)
end
