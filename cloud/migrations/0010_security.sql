-- How well stations are secured, what is done about it, and what they report.

-- As its gateway told it last.
create table station_security (
    charge_point_id         bigint primary key references charge_points on delete cascade,
    -- the profile by which it came, and the lowest by which it may come
    profile                 smallint not null,
    minimum                 smallint not null,
    certificate_serial      text,
    certificate_not_before  timestamptz,
    certificate_not_after   timestamptz,
    -- since when it has a password that the gateway made
    password_since          timestamptz,
    at                      timestamptz not null,
    check (num_nulls(certificate_serial, certificate_not_before, certificate_not_after) in (0, 3))
);
create index station_security_certificates on station_security (certificate_not_after);

-- A password, a certificate or a profile that a station gets, and how far that is.
create table security_works (
    id               bigint generated always as identity primary key,
    charge_point_id  bigint not null references charge_points on delete cascade,
    -- None: the gateway or the station began by itself. It refers to no row: what an installer orders at the gateway becomes a
    -- command here only when it has ended.
    command          uuid,
    work             text not null,
    step             text not null,
    detail           text not null,
    ended            boolean not null,
    began_at         timestamptz not null,
    at               timestamptz not null
);
create unique index security_works_order
    on security_works (charge_point_id, work, coalesce(command, '00000000-0000-0000-0000-000000000000'));

create index security_works_command on security_works (command);

-- What stations reported. Also of those that are not, or no longer, the site's own: an auditor may ask.
create table security_events (
    id               bigint generated always as identity primary key,
    site_id          bigint not null references sites on delete cascade,
    charge_point_id  bigint references charge_points on delete set null,
    station          text not null,
    kind             text not null,
    tech_info        text,
    critical         boolean not null,
    at               timestamptz not null,
    received_at      timestamptz not null default now(),
    -- the record that told of it: once, under whichever epoch it came
    gateway_id       uuid not null references gateways on delete cascade,
    key              text not null,
    unique (gateway_id, key)
);
create index security_events_site on security_events (site_id, at);
create index security_events_charge_point on security_events (charge_point_id, at);
create index security_events_critical on security_events (received_at) where critical;

-- ---------------------------------------------------------------- row-level security
alter table station_security enable row level security;
create policy seen on station_security for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id and viewer_operates_site(p.site_id)));
alter table security_works enable row level security;
create policy seen on security_works for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id and viewer_operates_site(p.site_id)));
alter table security_events enable row level security;
create policy seen on security_events for select to evb_viewer using (viewer_operates_site(site_id));
grant select on station_security, security_works, security_events to evb_viewer;
