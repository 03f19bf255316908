-- What operators did and were refused: the audit log of the admin listener, and the memory of its idempotency keys.
-- A row begins as `running` and is ended once; a refusal is ended from the start. What is ended stays as it is.
create table operator_actions (
    id         uuid        not null primary key,
    key        text        check (length(key) between 8 and 64), -- none for refusals: they may be tried again
    operator   text        not null check (length(operator) between 1 and 64),
    role       text        not null check (role in ('viewer', 'operator', 'admin')),
    address    text        not null check (length(address) <= 64),
    node       text        not null check (length(node) between 1 and 64),
    action     text        not null check (length(action) between 1 and 64),
    target     text        not null check (length(target) <= 1000),
    request    text        not null check (length(request) <= 200000), -- JSON, as it was understood
    reason     text        not null check (length(reason) <= 500),
    state      text        not null check (state in ('running', 'done', 'failed', 'refused')),
    matched    bigint      not null check (matched >= 0),
    done       bigint      not null check (done >= 0),
    failed     bigint      not null check (failed >= 0),
    note       text        not null check (length(note) <= 1000),
    created_at timestamptz not null,
    ended_at   timestamptz,
    check ((state = 'running') = (ended_at is null))
);
create unique index idx_operator_actions_key on operator_actions (key);
create index idx_operator_actions_created_at on operator_actions (created_at desc);

create function operator_actions_stay() returns trigger language plpgsql as $$
begin
    raise exception 'what operators did stays as it is';
end $$;
create trigger operator_actions_stay_update before update on operator_actions
    for each row when (old.ended_at is not null) execute function operator_actions_stay();
create trigger operator_actions_stay_delete before delete on operator_actions
    for each row execute function operator_actions_stay();
