-- Reads the newest position a mailbox knows.
-- KEYS  1 the mailbox's hash  2 its frames
-- Answers it, or nil.

return (find(KEYS))
