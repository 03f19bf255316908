-- NDAs and money. Amounts are integers in the currency's minor unit.
-- nda_requests is the workflow, ndas the agreement it ends in; approving writes both in one transaction.

create table nda_requests (
    id                uuid        not null primary key,
    pitch_id          uuid        not null references pitches (id) on delete cascade,
    requester_id      uuid        not null references users (id) on delete cascade,
    purpose           text        not null check (length(purpose) between 1 and 200),
    message           text        check (length(message) <= 5000),
    terms_accepted_at timestamptz not null,
    terms_sha256      bytea       check (length(terms_sha256) = 32), -- of the very text that was shown
    status            text        not null default 'pending' check (status in ('pending', 'approved', 'rejected', 'withdrawn', 'expired')),
    reason            text        check (length(reason) <= 2000),
    decided_by        uuid        references users (id) on delete set null,
    decided_at        timestamptz,
    created_at        timestamptz not null,
    updated_at        timestamptz not null
);
create index idx_nda_requests_pitch_id on nda_requests (pitch_id);
create index idx_nda_requests_requester_id on nda_requests (requester_id);
create index idx_nda_requests_status on nda_requests (status);
create index idx_nda_requests_decided_by on nda_requests (decided_by);
create unique index idx_nda_requests_pending on nda_requests (pitch_id, requester_id) where status = 'pending';

create table ndas (
    id                uuid        not null primary key,
    request_id        uuid        references nda_requests (id) on delete set null,
    user_id           uuid        not null references users (id) on delete cascade,
    pitch_id          uuid        not null references pitches (id) on delete cascade,
    kind              text        not null default 'basic' check (kind in ('basic', 'custom', 'mutual')),
    status            text        not null check (status in ('pending', 'approved', 'rejected', 'signed', 'expired', 'revoked')),
    document_sha256   bytea       check (length(document_sha256) = 32),
    signer_ip         text        check (length(signer_ip) <= 64),
    signer_user_agent text        check (length(signer_user_agent) <= 512),
    signed_at         timestamptz,
    expires_at        timestamptz,
    revoked_at        timestamptz,
    created_at        timestamptz not null,
    updated_at        timestamptz not null
);
create index idx_ndas_user_id on ndas (user_id);
create index idx_ndas_pitch_id on ndas (pitch_id);
create index idx_ndas_status on ndas (status);
create index idx_ndas_user_pitch on ndas (user_id, pitch_id);
create index idx_ndas_request_id on ndas (request_id);

create table investments (
    id           uuid        not null primary key,
    investor_id  uuid        not null references users (id) on delete cascade,
    pitch_id     uuid        not null references pitches (id) on delete cascade,
    amount_minor bigint      not null check (amount_minor > 0),
    currency     text        not null default 'USD' check (length(currency) = 3),
    status       text        not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled', 'refunded')),
    note         text        check (length(note) <= 2000),
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create index idx_investments_investor_id on investments (investor_id);
create index idx_investments_pitch_id on investments (pitch_id);
create index idx_investments_status on investments (status);

-- No foreign key: the trail outlives what it describes.
create table investment_audit (
    id                  bigint      not null generated always as identity primary key,
    investment_id       uuid        not null,
    status_before       text        not null,
    status_after        text        not null,
    amount_minor_before bigint      not null,
    amount_minor_after  bigint      not null,
    changed_at          timestamptz not null
);
create index idx_investment_audit_investment_id on investment_audit (investment_id);

create function investments_touch() returns trigger language plpgsql as $$
begin
    new.updated_at := clock_timestamp();
    insert into investment_audit (investment_id, status_before, status_after, amount_minor_before, amount_minor_after, changed_at)
    values (old.id, old.status, new.status, old.amount_minor, new.amount_minor, new.updated_at);
    return new;
end $$;
create trigger investments_touch before update on investments
    for each row execute function investments_touch();

create table payments (
    id            uuid        not null primary key,
    investment_id uuid        references investments (id) on delete set null,
    user_id       uuid        references users (id) on delete set null,
    provider      text        not null check (length(provider) between 1 and 32),
    provider_ref  text        not null check (length(provider_ref) between 1 and 255),
    amount_minor  bigint      not null check (amount_minor > 0),
    currency      text        not null check (length(currency) = 3),
    status        text        not null check (status in ('created', 'processing', 'succeeded', 'failed', 'cancelled', 'refunded', 'disputed')),
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    unique (provider, provider_ref)
);
create index idx_payments_investment_id on payments (investment_id);
create index idx_payments_user_id on payments (user_id);

-- Webhooks arrive twice and out of order; an event is handled once.
create table payment_events (
    provider     text        not null check (length(provider) between 1 and 32),
    event_id     text        not null check (length(event_id) between 1 and 255),
    event_type   text        not null check (length(event_type) between 1 and 128),
    payload      jsonb       not null,
    received_at  timestamptz not null,
    processed_at timestamptz,
    primary key (provider, event_id)
);
