-- Makes a mailbox absent.
-- KEYS  1 the mailbox's hash  2 its frames
-- Answers how many keys went.

return redis.call('UNLINK', KEYS[1], KEYS[2])
