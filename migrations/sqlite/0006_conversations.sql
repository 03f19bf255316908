-- Conversations. Messages of one conversation are numbered without gaps: `last_seq` is moved by the same
-- transaction that inserts the message, so the order people see is the order of commits, and "read up to" is a number.

create table conversations (
    id              blob        not null primary key,
    kind            text        not null default 'direct' check (kind in ('direct', 'group')),
    -- "<smaller user id>:<greater user id>", so that two people have one direct conversation however it was begun.
    direct_key      text        unique check (length(direct_key) = 73),
    subject         text        check (length(subject) <= 200),
    pitch_id        blob        references pitches (id) on delete set null,
    created_by      blob        references users (id) on delete set null,
    last_seq        integer     not null default 0 check (last_seq >= 0),
    last_message_at text,
    created_at      text        not null,
    check (kind <> 'direct' or direct_key is not null)
) strict;
create index idx_conversations_pitch_id on conversations (pitch_id);
create index idx_conversations_created_by on conversations (created_by);

create table conversation_participants (
    conversation_id blob        not null references conversations (id) on delete cascade,
    user_id         blob        not null references users (id) on delete cascade,
    last_read_seq   integer     not null default 0 check (last_read_seq >= 0),
    muted           integer     not null default false check (muted in (0, 1)),
    joined_at       text        not null,
    left_at         text,
    primary key (conversation_id, user_id)
) strict;
create index idx_conversation_participants_user_id on conversation_participants (user_id, conversation_id);

create table messages (
    id              blob        not null primary key,
    conversation_id blob        not null references conversations (id) on delete cascade,
    sender_id       blob        not null references users (id) on delete cascade,
    client_id       text        not null check (length(client_id) between 1 and 128),
    seq             integer     not null check (seq > 0),
    body            text        not null check (length(body) between 1 and 10000),
    created_at      text        not null,
    edited_at       text,
    deleted_at      text,
    unique (sender_id, client_id), -- a repeat is the same message, for ever
    unique (conversation_id, seq)
) strict;
create index idx_messages_conversation_created on messages (conversation_id, created_at desc, id desc);
