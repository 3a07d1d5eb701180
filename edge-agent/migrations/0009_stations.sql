-- What stations told about themselves when they booted last: JSON. One that comes back after the agent restarted need not boot.
create table stations (
    station text primary key,
    info text not null
) strict, without rowid;
