-- What was odd about stations' words, one row for each kind of oddity; `state` is all of it as JSON.
create table findings (
  station text not null,
  action  text not null,
  field   text not null,
  oddity  text not null,
  state   text not null,
  primary key (station, action, field, oddity)
) strict, without rowid;

-- The peculiarities of stations that the cloud was told of.
create table suggestions (
  station text not null,
  name    text not null,
  primary key (station, name)
) strict, without rowid;
