-- An incarnation ends in good order: as if its connections had left now.
-- ARGV  1-3 see roster.lua  4 incarnation  5 at most so many users at once
--       6 the number of a lease that ended already, or empty
-- Answers nothing when it is done; else the number to be called again with.

local most, number = tonumber(ARGV[5]), ARGV[6]
if number == '' then
  number = redis.call('HGET', key('names'), ARGV[4])
  if not number then return '' end
  bury(ARGV[4], now)
end
return clear(number, now, most) == most and number or ''
