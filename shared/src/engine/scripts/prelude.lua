-- Put before every script that needs it; see each script's own header.

-- Milliseconds since 1970: a hand-moved clock's, or Redis' own.
local function milliseconds(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
