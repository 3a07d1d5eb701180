-- What stations said that they are set to, secrets left out: `entry` is the setting as JSON, `key` its name folded.
create table settings (
  station text    not null,
  key     text    not null,
  entry   text    not null,
  read_at integer not null,
  primary key (station, key)
) strict, without rowid;

-- What is remembered of reading and writing them, as JSON.
create table settings_memory (
  station text primary key,
  memory  text not null
) strict, without rowid;
