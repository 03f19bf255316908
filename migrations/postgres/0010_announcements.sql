-- Publications whose followers are not all told yet (shared/src/store/announcements.rs).

create table announcements (
    pitch_id   uuid not null primary key references pitches (id) on delete cascade,
    told_up_to uuid -- followers are told in the order of their ids; this is the last one who was
);
