-- Answers how many users are present.
-- ARGV  1-3 see roster.lua

return tonumber(redis.call('GET', key('here')) or 0)
