-- EVSEs kept for drivers, each until an hour: `state` is the whole reservation as JSON.
create table reservations (
  id    integer primary key,
  state text not null
) strict;
