-- Looks a session up by its token, or takes a ticket out.
-- KEYS  1 the entry of the token or ticket; its value is the session's id, a space, the identity
-- ARGV  1 now  2 what the names of the marks of ended sessions begin with  3 "take" removes the entry
-- Answers 1 and the identity; 2 if the session was revoked; 0 if nothing is there.

local now = milliseconds(ARGV[1])
local value = living(KEYS[1], now)
if not value then return { 0 } end
if ARGV[3] == 'take' then redis.call('UNLINK', KEYS[1]) end
if value == '-' then return { 2 } end
local session, identity = string.match(value, '^(%S+) (.*)$')
if living(ARGV[2] .. session, now) then return { 2 } end
return { 1, identity }
