-- Lets a missing mailbox begin after a position.
-- KEYS  1 the mailbox's hash  2 its frames
-- ARGV  1 the position
-- Answers 1 or 0: it began, or was there.

if redis.call('HSETNX', KEYS[1], 'head', ARGV[1]) == 0 then return 0 end
redis.call('UNLINK', KEYS[2])
touch(KEYS)
return 1
