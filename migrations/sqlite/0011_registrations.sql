-- A registration waits in `email_verifications`, whole, until its address is proven: name, portal and password come to
-- the account from the very row whose token was redeemed (shared/src/store/verifications.rs). Until then there need be
-- no account. A row of an account that is there already (`user_id`) proves its address and brings nothing with it.

-- SQLite cannot take `not null` from a column, so the table is made anew; nothing refers to it.
create table registrations (
    id            blob not null primary key,
    user_id       blob references users (id) on delete cascade,
    email         text not null check (length(email) between 3 and 254),
    token_hash    blob not null unique check (length(token_hash) = 32),
    created_at    text not null,
    expires_at    text not null,
    used_at       text,
    password_hash text check (length(password_hash) between 20 and 255),
    name          text check (length(name) between 1 and 100),
    user_type     text check (user_type in ('creator', 'investor', 'production')),
    check ((user_id is null) = (password_hash is not null and name is not null and user_type is not null))
) strict;
insert into registrations (id, user_id, email, token_hash, created_at, expires_at, used_at)
    select id, user_id, email, token_hash, created_at, expires_at, used_at from email_verifications;
drop table email_verifications;
alter table registrations rename to email_verifications;

create index idx_email_verifications_user_id on email_verifications (user_id);
create index idx_email_verifications_email on email_verifications (email, created_at);
create index idx_email_verifications_expires_at on email_verifications (expires_at);
