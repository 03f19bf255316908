-- Lets a missing mailbox begin after a position, and remembers where a device stands.
-- KEYS  1 the mailbox's hash  2 its frames
-- ARGV  1 the position  2 the device  3 what it acked  4 when that was noted  5 devices that are remembered
-- Answers 1 or 0: it began, or was there.

local began = find(KEYS) and 0 or 1
if began == 1 then begin(KEYS, ARGV[1]) end

local field, acked, most = 'd:' .. ARGV[2], ARGV[3], tonumber(ARGV[5])
local known = redis.call('HGET', KEYS[1], field)
if known then
  local before = known:match('^%d+')
  if tonumber(before) > tonumber(acked) then acked = before end
elseif redis.call('HLEN', KEYS[1]) >= most then
  -- Perhaps too many, counted with the other fields: the one noted longest ago goes.
  local fields, count, oldest, since = redis.call('HGETALL', KEYS[1]), 0, nil, nil
  for n = 1, #fields, 2 do
    if fields[n]:sub(1, 2) == 'd:' then
      local noted = tonumber(fields[n + 1]:match(' (-?%d+)$'))
      count = count + 1
      if not since or noted < since then oldest, since = fields[n], noted end
    end
  end
  if count >= most then redis.call('HDEL', KEYS[1], oldest) end
end
redis.call('HSET', KEYS[1], field, acked .. ' ' .. ARGV[4])
touch(KEYS)
return began
