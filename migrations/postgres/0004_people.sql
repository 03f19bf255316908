-- Who follows whom, and teams.

create table follows (
    id           uuid        not null primary key,
    follower_id  uuid        not null references users (id) on delete cascade,
    following_id uuid        not null references users (id) on delete cascade,
    created_at   timestamptz not null,
    check (follower_id <> following_id)
);
create index idx_follows_follower_id on follows (follower_id);
create index idx_follows_following_id on follows (following_id);
create unique index idx_follows_unique on follows (follower_id, following_id);

create table teams (
    id         uuid        not null primary key,
    name       text        not null check (length(name) between 1 and 100),
    created_by uuid        references users (id) on delete set null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index idx_teams_created_by on teams (created_by);

create table team_members (
    team_id   uuid        not null references teams (id) on delete cascade,
    user_id   uuid        not null references users (id) on delete cascade,
    role      text        not null default 'member' check (role in ('owner', 'admin', 'member')),
    joined_at timestamptz not null,
    primary key (team_id, user_id)
);
create index idx_team_members_team_id on team_members (team_id);
create index idx_team_members_user_id on team_members (user_id);

create table invitations (
    id         uuid        not null primary key,
    team_id    uuid        not null references teams (id) on delete cascade,
    email      text        not null check (length(email) between 3 and 254),
    role       text        not null default 'member' check (role in ('admin', 'member')),
    status     text        not null default 'pending' check (status in ('pending', 'accepted', 'declined', 'revoked', 'expired')),
    token_hash bytea       not null unique check (length(token_hash) = 32), -- the link carries the token, never the id
    invited_by uuid        references users (id) on delete set null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    decided_at timestamptz
);
create index idx_invitations_team_id on invitations (team_id);
create index idx_invitations_email on invitations (email);
create index idx_invitations_status on invitations (status);
create index idx_invitations_invited_by on invitations (invited_by);
create unique index idx_invitations_pending on invitations (team_id, lower(email)) where status = 'pending';
