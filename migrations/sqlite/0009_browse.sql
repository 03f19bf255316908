-- Browsing at any size: each order a list can have is a walk along one index (shared/src/store/pitches/browse.rs),
-- search is a table of words (words.rs), and a look counts once a day (engagement.rs).

alter table pitches add column title_key text not null default ''; -- the title in lower case, made in Rust
alter table pitches add column trend_score real not null default 0; -- see trend.rs
create index idx_pitches_status_trending on pitches (status, trend_score desc, id desc);
create index idx_pitches_status_title on pitches (status, title_key, id);
create index idx_pitches_status_budget on pitches (status, (coalesce(budget_max, budget_min, 0)) desc, id desc);
create index idx_pitches_status_popular on pitches (status, (view_count + 4 * like_count + 6 * save_count) desc, id desc);

-- The words of each title and logline, in lower case and in byte order.
create table pitch_words (
    word     text not null check (length(word) between 1 and 80),
    pitch_id blob not null references pitches (id) on delete cascade,
    primary key (word, pitch_id)
) strict;
create index idx_pitch_words_pitch_id on pitch_words (pitch_id);

-- Days since 1970, in UTC.
alter table pitch_views add column day integer not null default 0;
create unique index idx_pitch_views_daily on pitch_views (pitch_id, viewer_id, day);
