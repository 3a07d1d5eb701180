-- The gateway's memory. Forward only: a later change is a new file.

-- Single values: epoch, parent epoch, last committed time, floor of session references.
create table meta (
  key   text primary key,
  value text not null
) strict, without rowid;

-- One row per lane: the last sequence number written and the last one that the cloud has committed.
create table lanes (
  lane  integer primary key,
  head  integer not null,
  acked integer not null
) strict;

-- Facts for the cloud, numbered without gaps within a lane. Deleted only below `lanes.acked`.
create table outbox (
  lane        integer not null,
  seq         integer not null,
  kind        integer not null,
  kind_ver    integer not null,
  occurred_at integer not null,
  clock       integer not null,
  boot        blob    not null,
  mono_ms     integer not null,
  key         text    not null,
  body        blob    not null,
  primary key (lane, seq)
) strict, without rowid;

-- Sessions as they stand. `state` is the whole session as JSON; the other columns are what it is found by.
create table sessions (
  id         blob primary key,
  station    text    not null,
  tx_ref     text    not null,
  start_key  text,
  open       integer not null,
  started_at integer not null,
  energy_wh  integer not null,
  state      text    not null
) strict;
create index sessions_tx_ref on sessions (station, tx_ref);
create index sessions_start on sessions (start_key);
create index sessions_open on sessions (started_at) where open = 1;

-- Remote commands: the row stands before the station is asked.
create table commands (
  id          blob primary key,
  received_at integer not null,
  command     text not null,
  result      text
) strict;

-- Desired state from the cloud, newest version only.
create table documents (
  name    text primary key,
  version integer not null,
  body    blob not null
) strict, without rowid;

-- What stations said about sessions, word for word, for disputes.
create table raw_messages (
  id          integer primary key,
  received_at integer not null,
  station     text not null,
  message     text not null
) strict;
create index raw_messages_age on raw_messages (received_at);
