-- Where a session's readings were given up because its gateway's storage was short: between these there are none, and it is
-- known how many there were and what the register said.
create table meter_gaps (
    session_id       uuid not null,
    from_at          timestamptz not null,
    to_at            timestamptz not null,
    readings         bigint not null,
    energy_first_wh  bigint,
    energy_last_wh   bigint,
    primary key (session_id, from_at, to_at)
);
alter table meter_gaps enable row level security;
create policy seen on meter_gaps for select to evb_viewer using (
    exists (select from sessions se where se.id = session_id));
grant select on meter_gaps to evb_viewer;
