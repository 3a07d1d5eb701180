-- Commands whose station was not there yet: they have not been put to it.
alter table commands add column waiting integer not null default 0;

-- Stations' own lists of tokens, as far as they accepted them: `state` is the record as JSON.
create table local_lists (
  station text primary key,
  state   text not null
) strict;
