-- The feed of each user. What is delivered live goes through the inbox (0007); this is what stays.

create table notifications (
    id         blob        not null primary key,
    user_id    blob        not null references users (id) on delete cascade,
    kind       text        not null check (length(kind) between 1 and 64),
    title      text        not null check (length(title) between 1 and 200),
    body       text        not null default '' check (length(body) <= 2000),
    read       integer     not null default false check (read in (0, 1)),
    read_at    text,
    version    integer     not null default 1, -- every change adds one; clients drop what is older than what they have
    created_at text        not null
) strict;
create index idx_notifications_user_id on notifications (user_id);
create index idx_notifications_read on notifications (read);
create index idx_notifications_created_at on notifications (created_at desc);
create index idx_notifications_user_created on notifications (user_id, created_at desc, id desc);
-- The one that answers "how many unread": write `where not read`, so that both databases use it.
create index idx_notifications_unread on notifications (user_id, created_at desc) where not read;

create table notification_metadata (
    notification_id blob not null references notifications (id) on delete cascade,
    key             text not null check (length(key) between 1 and 64),
    value           text not null check (length(value) <= 2000),
    primary key (notification_id, key)
) strict;

-- No row means: in the app yes, by e-mail yes.
create table notification_preferences (
    user_id    blob        not null references users (id) on delete cascade,
    kind       text        not null check (length(kind) between 1 and 64),
    in_app     integer     not null default true check (in_app in (0, 1)),
    email      integer     not null default true check (email in (0, 1)),
    updated_at text        not null,
    primary key (user_id, kind)
) strict;
