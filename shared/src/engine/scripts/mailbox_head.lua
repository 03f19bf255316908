-- Reads the newest position a mailbox knows.
-- KEYS  1 the mailbox's hash
-- Answers it, or nil.

return redis.call('HGET', KEYS[1], 'head')
