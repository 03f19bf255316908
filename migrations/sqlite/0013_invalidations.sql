-- What the engine's caches must hear: ends of sessions, of tokens, and rooms whose answers changed. Written in the
-- transaction that makes the change, carried out by the relay. Exactly one of a session, a token alone, a room.
create table invalidations (
    id                  blob        not null primary key,
    session_id          blob,
    token_hash          blob        check (length(token_hash) = 32),
    previous_token_hash blob        check (length(previous_token_hash) = 32),
    room                text        check (length(room) between 1 and 200),
    user_id             blob,
    due_at              text,        -- none: the engine has heard of it
    created_at          text        not null,
    check ((room is null) = (token_hash is not null)),
    check ((room is null) = (user_id is null)),
    check (session_id is null or room is null),
    check (previous_token_hash is null or session_id is not null)
) strict;
create index idx_invalidations_due_at on invalidations (due_at, id) where due_at is not null;
create index idx_invalidations_created_at on invalidations (created_at);
