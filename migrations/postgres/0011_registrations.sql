-- A registration waits in `email_verifications`, whole, until its address is proven: name, portal and password come to
-- the account from the very row whose token was redeemed (shared/src/store/verifications.rs). Until then there need be
-- no account. A row of an account that is there already (`user_id`) proves its address and brings nothing with it.

alter table email_verifications
    alter column user_id drop not null,
    add column password_hash text check (length(password_hash) between 20 and 255),
    add column name          text check (length(name) between 1 and 100),
    add column user_type     text check (user_type in ('creator', 'investor', 'production')),
    add check ((user_id is null) = (password_hash is not null and name is not null and user_type is not null));

create index idx_email_verifications_email on email_verifications (email, created_at);
create index idx_email_verifications_expires_at on email_verifications (expires_at);
