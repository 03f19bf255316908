-- What keeps the platform running and accountable: retries, mail, files, logs, the audit trail, leases.

create table idempotency_keys (
    user_id         uuid        not null references users (id) on delete cascade,
    key             text        not null check (length(key) between 1 and 255),
    endpoint        text        not null check (length(endpoint) between 1 and 200),
    fingerprint     bytea       not null check (length(fingerprint) = 32), -- of the request: the same key with another payload is refused
    response_status integer, -- none while the first request is still running
    response_body   bytea,
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    primary key (user_id, key)
);
create index idx_idempotency_keys_expires_at on idempotency_keys (expires_at);

create table email_outbox (
    id              uuid        not null primary key,
    recipient       text        not null check (length(recipient) between 3 and 254),
    template        text        not null check (length(template) between 1 and 64),
    data            jsonb       not null,
    dedupe_key      text        unique check (length(dedupe_key) <= 255),
    attempts        integer     not null default 0 check (attempts >= 0),
    next_attempt_at timestamptz not null,
    sent_at         timestamptz,
    failed_at       timestamptz,
    last_error      text        check (length(last_error) <= 1000),
    created_at      timestamptz not null
);
create index idx_email_outbox_due on email_outbox (next_attempt_at) where sent_at is null and failed_at is null;

create table uploads (
    id             uuid        not null primary key,
    user_id        uuid        not null references users (id) on delete cascade,
    file_name      text        not null check (length(file_name) between 1 and 255),
    content_type   text        not null check (length(content_type) between 1 and 255),
    total_bytes    bigint      check (total_bytes >= 0),
    received_bytes bigint      not null default 0 check (received_bytes >= 0),
    sha256         bytea       check (length(sha256) = 32),
    storage_key    text        unique check (length(storage_key) <= 512),
    status         text        not null check (status in ('receiving', 'pending_scan', 'clean', 'infected', 'failed')),
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    expires_at     timestamptz
);
create index idx_uploads_user_id on uploads (user_id, created_at desc);
create index idx_uploads_status on uploads (status);

create table documents (
    id           uuid        not null primary key,
    pitch_id     uuid        not null references pitches (id) on delete cascade,
    upload_id    uuid        not null references uploads (id) on delete cascade,
    title        text        not null check (length(title) between 1 and 200),
    confidential boolean     not null default true,
    created_at   timestamptz not null
);
create index idx_documents_pitch_id on documents (pitch_id);
create index idx_documents_upload_id on documents (upload_id);

-- Logs keep no foreign keys: they are written in batches, out of the request's way, and outlive accounts.
create table analytics_events (
    id         uuid        not null primary key,
    user_id    uuid,
    session_id uuid,
    event_type text        not null check (length(event_type) between 1 and 64),
    properties jsonb,
    created_at timestamptz not null
);
create index idx_analytics_events_user_id on analytics_events (user_id);
create index idx_analytics_events_event_type on analytics_events (event_type);
create index idx_analytics_events_created_at on analytics_events (created_at desc);

create table error_logs (
    id         uuid        not null primary key,
    error_type text        not null check (length(error_type) between 1 and 64),
    message    text        not null check (length(message) <= 4000),
    endpoint   text        check (length(endpoint) <= 200),
    request_id text        check (length(request_id) <= 128),
    user_id    uuid,
    context    jsonb,
    created_at timestamptz not null
);
create index idx_error_logs_created_at on error_logs (created_at desc);

create table request_logs (
    id            uuid             not null primary key,
    endpoint      text             not null check (length(endpoint) between 1 and 200), -- the route's template, never the raw path
    method        text             not null check (length(method) between 1 and 16),
    status        integer          not null,
    response_time double precision not null check (response_time >= 0), -- milliseconds
    request_id    text             check (length(request_id) <= 128),
    user_id       uuid,
    created_at    timestamptz      not null
);
create index idx_request_logs_created_at on request_logs (created_at desc);
create index idx_request_logs_endpoint on request_logs (endpoint, created_at desc);

-- Append-only, each row sealed by a hash over itself and the row before it. Numbered by whoever appends: two
-- writers cannot both follow the same row.
create table audit_log (
    seq           bigint      not null primary key check (seq > 0),
    actor_id      uuid,
    action        text        not null check (length(action) between 1 and 64),
    target_type   text        check (length(target_type) <= 64),
    target_id     text        check (length(target_id) <= 128),
    ip            text        check (length(ip) <= 64),
    user_agent    text        check (length(user_agent) <= 512),
    detail        text        not null default '{}' check (length(detail) <= 20000), -- JSON, kept byte for byte: it is hashed
    created_at    timestamptz not null,
    previous_hash bytea       not null check (length(previous_hash) = 32),
    hash          bytea       not null unique check (length(hash) = 32)
);
create index idx_audit_log_actor_id on audit_log (actor_id, created_at desc);
create index idx_audit_log_target on audit_log (target_type, target_id);

create function audit_log_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log is append-only';
end $$;
create trigger audit_log_append_only_update before update on audit_log
    for each row execute function audit_log_append_only();
create trigger audit_log_append_only_delete before delete on audit_log
    for each row execute function audit_log_append_only();

-- Who is running: the one owner of an embedded store, and every process's share of the connection budget.
create table process_leases (
    id          uuid        not null primary key,
    role        text        not null check (role in ('owner', 'member')),
    name        text        not null check (length(name) between 1 and 64),
    machine     text        not null check (length(machine) between 1 and 200), -- boot and pid namespace: where pid means something
    pid         bigint      not null,
    started     bigint      not null, -- the kernel's start time of pid: a reused pid is another process
    connections integer     not null check (connections >= 0),
    acquired_at timestamptz not null,
    expires_at  timestamptz not null
);
create unique index idx_process_leases_owner on process_leases (role) where role = 'owner';
create index idx_process_leases_expires_at on process_leases (expires_at);

-- What every process of one installation shares and nobody else knows: the keys that seal cursors.
create table installation_secrets (
    name       text        not null primary key check (length(name) between 1 and 64),
    secret     bytea       not null check (length(secret) = 32),
    created_at timestamptz not null
);
