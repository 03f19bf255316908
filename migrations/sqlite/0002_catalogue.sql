-- Pitches, and what people do with them. Budgets are whole US dollars.

create table genres (
    name     text    not null primary key check (length(name) between 1 and 40),
    position integer not null unique
) strict;
insert into genres (name, position) values
    ('Action', 1), ('Comedy', 2), ('Drama', 3), ('Horror', 4), ('Sci-Fi', 5), ('Thriller', 6);

create table pitches (
    id                    blob        not null primary key,
    creator_id            blob        not null references users (id) on delete cascade,
    title                 text        not null check (length(title) between 1 and 200),
    logline               text        not null check (length(logline) between 1 and 500),
    synopsis              text        not null default '' check (length(synopsis) <= 20000),
    genre                 text        not null references genres (name) on update cascade,
    format                text        not null check (format in ('feature', 'short', 'series', 'limited_series', 'documentary', 'animation')),
    stage                 text        not null check (stage in ('concept', 'treatment', 'script', 'development', 'pre_production', 'production', 'post_production', 'completed')),
    budget_min            integer     check (budget_min >= 0),
    budget_max            integer     check (budget_max >= 0),
    seeking_investment    integer     not null default false check (seeking_investment in (0, 1)),
    status                text        not null default 'draft' check (status in ('draft', 'published', 'archived')),
    featured              integer     not null default false check (featured in (0, 1)),
    -- Shown to the creator and to those an NDA admits, to nobody else.
    confidential_synopsis text        check (length(confidential_synopsis) <= 20000),
    confidential_notes    text        check (length(confidential_notes) <= 20000),
    view_count            integer     not null default 0 check (view_count >= 0),
    like_count            integer     not null default 0 check (like_count >= 0),
    save_count            integer     not null default 0 check (save_count >= 0),
    version               integer     not null default 1, -- If-Match: every update adds one
    created_at            text        not null,
    updated_at            text        not null,
    published_at          text,
    check (budget_max >= budget_min),
    check (status <> 'published' or published_at is not null)
) strict;
create index idx_pitches_creator_id on pitches (creator_id);
create index idx_pitches_status on pitches (status);
create index idx_pitches_created_at on pitches (created_at desc);
create index idx_pitches_genre on pitches (genre);
create index idx_pitches_status_created on pitches (status, created_at desc);
create index idx_pitches_status_published on pitches (status, published_at desc, id desc);
create index idx_pitches_featured on pitches (created_at desc) where featured;

create table pitch_views (
    id        blob        not null primary key,
    pitch_id  blob        not null references pitches (id) on delete cascade,
    viewer_id blob        references users (id) on delete set null,
    viewed_at text        not null
) strict;
create index idx_pitch_views_pitch_viewed on pitch_views (pitch_id, viewed_at desc);
create index idx_pitch_views_viewed_at on pitch_views (viewed_at desc, pitch_id);
create index idx_pitch_views_viewer_id on pitch_views (viewer_id);

create table pitch_likes (
    pitch_id   blob        not null references pitches (id) on delete cascade,
    user_id    blob        not null references users (id) on delete cascade,
    created_at text        not null,
    primary key (pitch_id, user_id)
) strict;
create index idx_pitch_likes_user_id on pitch_likes (user_id, created_at desc);
create index idx_pitch_likes_created_at on pitch_likes (created_at desc, pitch_id);

create table pitch_saves (
    pitch_id   blob        not null references pitches (id) on delete cascade,
    user_id    blob        not null references users (id) on delete cascade,
    created_at text        not null,
    primary key (pitch_id, user_id)
) strict;
create index idx_pitch_saves_user_id on pitch_saves (user_id, created_at desc);
create index idx_pitch_saves_created_at on pitch_saves (created_at desc, pitch_id);
