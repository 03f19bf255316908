-- People, what they may enter, and the ways they prove who they are.
-- Only hashes of tokens are kept: a leaked database holds nothing anybody could log in with.

create table users (
    id                blob        not null primary key,
    email             text        not null check (length(email) between 3 and 254),
    username          text        not null check (length(username) between 3 and 40),
    name              text        not null check (length(name) between 1 and 100),
    user_type         text        not null check (user_type in ('creator', 'investor', 'production')),
    password_hash     text        not null check (length(password_hash) between 20 and 255),
    email_verified_at text,
    is_admin          integer     not null default false check (is_admin in (0, 1)),
    created_at        text        not null,
    updated_at        text        not null
) strict;
-- Two spellings of one address, or of one handle, are one account.
create unique index idx_users_email on users (lower(email));
create unique index idx_users_username on users (lower(username));

create table user_portals (
    user_id    blob        not null references users (id) on delete cascade,
    portal     text        not null check (portal in ('creator', 'investor', 'production')),
    granted_at text        not null,
    primary key (user_id, portal)
) strict;

create table sessions (
    id                   blob        not null primary key,
    user_id              blob        not null references users (id) on delete cascade,
    portal               text        not null check (portal in ('creator', 'investor', 'production')),
    token_hash           blob        not null check (length(token_hash) = 32),
    -- The token before the last rotation works until then, so that requests under way survive it.
    previous_token_hash  blob        check (length(previous_token_hash) = 32),
    previous_valid_until text,
    ip                   text        check (length(ip) <= 64),
    user_agent           text        check (length(user_agent) <= 512),
    created_at           text        not null,
    refreshed_at         text        not null,
    last_seen            text        not null,
    expires_at           text        not null
) strict;
create index idx_sessions_user_id on sessions (user_id);
create unique index idx_sessions_token on sessions (token_hash);
create index idx_sessions_previous_token on sessions (previous_token_hash) where previous_token_hash is not null;
create index idx_sessions_expires_at on sessions (expires_at);

create table email_verifications (
    id         blob        not null primary key,
    user_id    blob        not null references users (id) on delete cascade,
    email      text        not null check (length(email) between 3 and 254),
    token_hash blob        not null unique check (length(token_hash) = 32),
    created_at text        not null,
    expires_at text        not null,
    used_at    text
) strict;
create index idx_email_verifications_user_id on email_verifications (user_id);

create table password_resets (
    id         blob        not null primary key,
    user_id    blob        not null references users (id) on delete cascade,
    token_hash blob        not null unique check (length(token_hash) = 32),
    created_at text        not null,
    expires_at text        not null,
    used_at    text
) strict;
create index idx_password_resets_user_id on password_resets (user_id);

create table two_factor (
    user_id      blob        not null primary key references users (id) on delete cascade,
    secret       blob        not null, -- encrypted with the key of key_version
    key_version  integer     not null,
    last_step    integer     not null default 0, -- a code works once: later steps only
    failures     integer     not null default 0 check (failures >= 0),
    locked_until text,
    enabled_at   text,
    created_at   text        not null
) strict;

create table recovery_codes (
    user_id   blob        not null references users (id) on delete cascade,
    code_hash blob        not null check (length(code_hash) = 32),
    used_at   text,
    primary key (user_id, code_hash)
) strict;
