-- The state of users, in the order asked.
-- ARGV  1-3 see roster.lua  then users
-- Answers for each: status letter, version, devices, in one text.

local states = {}
for n = 4, #ARGV do
  local status, version, _, devices = look(ARGV[n])
  states[n - 3] = status .. ' ' .. version .. ' ' .. devices
end
return states
