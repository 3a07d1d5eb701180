-- A checksum of what is in a row: SQLite finds a damaged page, not a damaged number within one. Rows from before have none.
alter table outbox add column sum integer;
alter table sessions add column sum integer;

-- The highest number that the network may have seen: what lies above it may still be put together.
alter table lanes add column sent integer not null default 0;

-- Readings of running sessions that are not kept one by one while the storage is short.
create table gaps (
  session blob primary key,
  gap     text not null
) strict;
update lanes set sent = head;
