-- Orders to fetch a file or to bring one, each until long after its end: `state` is the whole errand as JSON.
create table errands (
  command blob primary key,
  state   text not null
) strict;
