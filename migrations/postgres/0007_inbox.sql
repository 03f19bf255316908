-- The durable inbox of every user: written in the business transaction, delivered by the relay (invariant 3).

create table inbox (
    user_id    uuid        not null references users (id) on delete cascade,
    seq        bigint      not null check (seq > 0),
    event      text        not null check (length(event) between 1 and 64),
    data       text        not null, -- JSON, kept byte for byte: what was written is what is sent
    size_bytes integer     not null check (size_bytes >= 0), -- of data as sent: a page is bounded in bytes too
    created_at timestamptz not null,
    primary key (user_id, seq)
);

-- `seq` is the last number given out, `relayed` the last one the engine has. Moving `seq` locks the row until
-- commit, which is what makes numbers gapless and in commit order.
create table inbox_head (
    user_id uuid   not null primary key references users (id) on delete cascade,
    seq     bigint not null default 0 check (seq >= 0),
    relayed bigint not null default 0 check (relayed >= 0),
    check (relayed <= seq)
);
create index idx_inbox_head_pending on inbox_head (user_id) where relayed < seq;

create table inbox_cursors (
    user_id uuid        not null references users (id) on delete cascade,
    device  text        not null check (length(device) between 1 and 64),
    acked   bigint      not null default 0 check (acked >= 0),
    seen_at timestamptz not null,
    primary key (user_id, device)
);
