-- Put before every script that needs it; see each script's own header.

-- Milliseconds since 1970: a hand-moved clock's, or Redis' own.
local function milliseconds(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Which history of writes this server continues: another one after a failover or a restart, which may have lost writes.
-- It costs 2 µs, and it is the server itself that says it: no node can be mistaken about it.
local function server()
  local id = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  return string.sub(id or '', 1, 16)
end
