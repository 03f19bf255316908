-- Appends entries to a mailbox: exactly head + 1 and what follows it without a gap; delivers what is new, in one message.
-- KEYS  1 the mailbox's hash  2 its frames
-- ARGV  1 channel  2 PUBLISH or SPUBLISH  3 entries a mailbox holds  4 bytes it holds  5… position and frame of each entry
-- Answers 1 and the head; 0 and the head if the first entry is beyond head + 1, and nothing was taken.

local most, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local head, bytes = find(KEYS, 'bytes')
if #ARGV == 4 then return { 1, head or '0' } end

local first = tonumber(ARGV[5])
if not head then
  head = string.format('%.0f', math.max(first - 1, 0))
  begin(KEYS, head)
elseif first > tonumber(head) + 1 then
  return { 0, head }
end

local entries = redis.call('LLEN', KEYS[2])
-- The list goes long before the hash does, and what it was charged with goes with it.
bytes = entries > 0 and tonumber(bytes) or 0

local message, next = {}, tonumber(head) + 1
for n = 5, #ARGV, 2 do
  local seq, frame = tonumber(ARGV[n]), ARGV[n + 1]
  if seq > next then break end
  if seq == next then
    redis.call('RPUSH', KEYS[2], frame)
    bytes, head, next = bytes + #frame + ENTRY, ARGV[n], next + 1
    message[#message + 1] = ARGV[n] .. ' ' .. #frame .. '\n' .. frame
  end
end
if #message == 0 then return { 1, head } end

entries = entries + #message
while entries > 0 and (entries > most or bytes > most_bytes) do
  bytes, entries = bytes - #redis.call('LPOP', KEYS[2]) - ENTRY, entries - 1
end
if entries == 0 then bytes = 0 end
redis.call('HSET', KEYS[1], 'head', head, 'bytes', bytes)
touch(KEYS)
redis.call(ARGV[2], ARGV[1], 'i' .. table.concat(message))
return { 1, head }
