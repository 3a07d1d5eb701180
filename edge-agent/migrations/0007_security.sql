-- What is remembered of how stations are secured: JSON. Passwords only as what they are verified against.
create table security (
    station text primary key,
    memory text not null
) strict, without rowid;
