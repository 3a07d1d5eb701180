-- Stations' life: how they come to a site, what they are set to, how their clocks go.

-- Until when unknown stations are let in to wait for a decision.
create table onboarding_windows (
    site_id        bigint primary key references sites on delete cascade,
    opened_at      timestamptz,
    open_until     timestamptz,
    opened_by      bigint references users on delete set null,
    -- what the installer opened at the gateway, and when he last opened or closed it there
    at_site_until  timestamptz,
    at_site_at     timestamptz
);

-- Unknown stations: refused at the door (knocked), let in to wait (pending), or turned away (rejected).
create table pending_stations (
    id                bigint generated always as identity primary key,
    site_id           bigint not null references sites on delete cascade,
    station           text not null,
    state             text not null check (state in ('knocked', 'pending', 'rejected')),
    address           text not null,
    security_profile  smallint not null,
    had_password      boolean not null,
    -- what the password that it showed verifies against
    credential        text,
    vendor            text,
    model             text,
    serial_number     text,
    firmware          text,
    connectors        integer,
    -- how often it was told of
    seen              integer not null default 1,
    first_seen_at     timestamptz not null,
    last_seen_at      timestamptz not null,
    decided_by        bigint references users on delete set null,
    unique (site_id, station)
);
create index pending_stations_age on pending_stations (last_seen_at);

alter table charge_points
    -- an operator makes it wait: it may connect, but not charge
    add column held_at            timestamptz,
    -- the station as a whole (connector 0)
    add column station_status     text,
    add column station_error      text,
    add column station_status_at  timestamptz,
    -- the gateway's time minus the station's
    add column clock_skew_ms      double precision,
    add column clock_measured_at  timestamptz,
    add column settings_read_at   timestamptz;

-- What a site wants its stations to be set to; with a charge point, of that one only.
create table wanted_settings (
    id               bigint generated always as identity primary key,
    site_id          bigint not null references sites on delete cascade,
    charge_point_id  bigint references charge_points on delete cascade,
    -- the key as keys are compared
    folded           text not null,
    key              text not null,
    value            text not null
);
create index wanted_settings_site on wanted_settings (site_id);

-- What a station said that it is set to, and what became of what is wanted of it.
create table station_settings (
    charge_point_id  bigint not null references charge_points on delete cascade,
    folded           text not null,
    key              text not null,
    value            text,
    readonly         boolean not null,
    read_at          timestamptz not null,
    primary key (charge_point_id, folded)
);
create table setting_outcomes (
    charge_point_id  bigint not null references charge_points on delete cascade,
    folded           text not null,
    wanted           text not null,
    state            text not null,
    detail           text not null,
    at               timestamptz not null,
    primary key (charge_point_id, folded)
);

-- ---------------------------------------------------------------- row-level security
-- Who keeps stations running sees what they are set to and who knocks.

create function viewer_operates_site(wanted bigint) returns boolean language sql stable as $$
    select (select viewer_is_administrator()) or exists (select from sites s where s.id = wanted and (
        s.owner_id = (select viewer_id())
        or s.organization_id in (select viewer_organizations('owner', 'operator', 'installer')))) $$;

alter table onboarding_windows enable row level security;
create policy seen on onboarding_windows for select to evb_viewer using (viewer_operates_site(site_id));
alter table pending_stations enable row level security;
create policy seen on pending_stations for select to evb_viewer using (viewer_operates_site(site_id));
alter table wanted_settings enable row level security;
create policy seen on wanted_settings for select to evb_viewer using (viewer_operates_site(site_id));
alter table station_settings enable row level security;
create policy seen on station_settings for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id and viewer_operates_site(p.site_id)));
alter table setting_outcomes enable row level security;
create policy seen on setting_outcomes for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id and viewer_operates_site(p.site_id)));

grant select on onboarding_windows, wanted_settings, station_settings, setting_outcomes to evb_viewer;
grant select (id, site_id, station, state, address, security_profile, had_password, vendor, model, serial_number, firmware,
              connectors, seen, first_seen_at, last_seen_at) on pending_stations to evb_viewer;
grant select (held_at, station_status, station_error, station_status_at, clock_skew_ms, clock_measured_at, settings_read_at)
    on charge_points to evb_viewer;
