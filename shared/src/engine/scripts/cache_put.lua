-- Writes an entry of a cache, unless what is there is to stay.
-- KEYS  1 the entry
-- ARGV  1 now  2 how long it lives, in ms  3 what stays: "everything", "tombstones", "others" (all but the same value),
--       "unseen" (all but 5, and nothing is written where nothing is), or "nothing"  4 the value  5 see "unseen"
-- Answers 1 or 0: written or not.

local now, lives, stays, value = milliseconds(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local there = stays ~= 'nothing' and living(KEYS[1], now)
if there and (stays == 'everything' or there == '-' or (stays == 'others' and there ~= value)) then return 0 end
if stays == 'unseen' and there ~= ARGV[5] then return 0 end
write(KEYS[1], now, lives, value)
return 1
