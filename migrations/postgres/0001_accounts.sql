-- People, what they may enter, and the ways they prove who they are.
-- Only hashes of tokens are kept: a leaked database holds nothing anybody could log in with.

create table users (
    id                uuid        not null primary key,
    email             text        not null check (length(email) between 3 and 254),
    username          text        not null check (length(username) between 3 and 40),
    name              text        not null check (length(name) between 1 and 100),
    user_type         text        not null check (user_type in ('creator', 'investor', 'production')),
    password_hash     text        not null check (length(password_hash) between 20 and 255),
    email_verified_at timestamptz,
    is_admin          boolean     not null default false,
    created_at        timestamptz not null,
    updated_at        timestamptz not null
);
-- Two spellings of one address, or of one handle, are one account.
create unique index idx_users_email on users (lower(email));
create unique index idx_users_username on users (lower(username));

create table user_portals (
    user_id    uuid        not null references users (id) on delete cascade,
    portal     text        not null check (portal in ('creator', 'investor', 'production')),
    granted_at timestamptz not null,
    primary key (user_id, portal)
);

create table sessions (
    id                   uuid        not null primary key,
    user_id              uuid        not null references users (id) on delete cascade,
    portal               text        not null check (portal in ('creator', 'investor', 'production')),
    token_hash           bytea       not null check (length(token_hash) = 32),
    -- The token before the last rotation works until then, so that requests under way survive it.
    previous_token_hash  bytea       check (length(previous_token_hash) = 32),
    previous_valid_until timestamptz,
    ip                   text        check (length(ip) <= 64),
    user_agent           text        check (length(user_agent) <= 512),
    created_at           timestamptz not null,
    refreshed_at         timestamptz not null,
    last_seen            timestamptz not null,
    expires_at           timestamptz not null
);
create index idx_sessions_user_id on sessions (user_id);
create unique index idx_sessions_token on sessions (token_hash);
create index idx_sessions_previous_token on sessions (previous_token_hash) where previous_token_hash is not null;
create index idx_sessions_expires_at on sessions (expires_at);

create table email_verifications (
    id         uuid        not null primary key,
    user_id    uuid        not null references users (id) on delete cascade,
    email      text        not null check (length(email) between 3 and 254),
    token_hash bytea       not null unique check (length(token_hash) = 32),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index idx_email_verifications_user_id on email_verifications (user_id);

create table password_resets (
    id         uuid        not null primary key,
    user_id    uuid        not null references users (id) on delete cascade,
    token_hash bytea       not null unique check (length(token_hash) = 32),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index idx_password_resets_user_id on password_resets (user_id);

create table two_factor (
    user_id      uuid        not null primary key references users (id) on delete cascade,
    secret       bytea       not null, -- encrypted with the key of key_version
    key_version  integer     not null,
    last_step    bigint      not null default 0, -- a code works once: later steps only
    failures     integer     not null default 0 check (failures >= 0),
    locked_until timestamptz,
    enabled_at   timestamptz,
    created_at   timestamptz not null
);

create table recovery_codes (
    user_id   uuid        not null references users (id) on delete cascade,
    code_hash bytea       not null check (length(code_hash) = 32),
    used_at   timestamptz,
    primary key (user_id, code_hash)
);
