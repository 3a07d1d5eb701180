-- Operations: stations' own lists of tokens, orders that wait or end late, orders to many stations at once.

-- ---------------------------------------------------------------- lists of tokens on stations
-- Shall the site's stations keep its lists of tokens, for the hours in which they cannot ask the gateway?
alter table sites add column local_lists boolean not null default true;
create function site_switches_lists() returns trigger language plpgsql security definer set search_path from current as
$$ begin perform mark_lists(new.id); return null; end $$;
create trigger switches_lists after update of local_lists on sites for each row
    when (old.local_lists is distinct from new.local_lists) execute function site_switches_lists();

-- How each station's list stands, as gateways tell it.
create table local_lists (
    charge_point_id  bigint primary key references charge_points on delete cascade,
    state            text not null,
    version          integer not null,
    entries          integer not null,
    left_out         integer not null,
    detail           text not null,
    at               timestamptz not null
);

-- ---------------------------------------------------------------- commands
alter table commands
    -- Does the gateway keep it until its station comes?
    add column waits boolean not null default false,
    -- 'installer': given at the gateway itself, told here after its end.
    add column origin text not null default 'cloud' check (origin in ('cloud', 'installer')),
    -- Its time ran out here before the gateway said how it ended; the word may still come.
    add column presumed boolean not null default false,
    -- The word did come, after that.
    add column late boolean not null default false;
create index commands_recent on commands (gateway_id, issued_at desc);

-- ---------------------------------------------------------------- orders to many stations
-- One order to many stations: any replica puts it to some of them, whenever there is room.
create table bulk_orders (
    id               bigint generated always as identity primary key,
    kind             text not null,
    body             bytea not null,
    site_id          bigint references sites on delete set null,
    organization_id  bigint references organizations on delete set null,
    -- To how many stations of one gateway at once.
    at_once          integer not null check (at_once between 1 and 100),
    life_seconds     double precision not null,
    waits            boolean not null,
    state            text not null default 'running' check (state in ('running', 'paused', 'cancelled', 'finished')),
    created_by       bigint references users on delete set null,
    created_at       timestamptz not null default now(),
    finished_at      timestamptz
);
create index bulk_orders_running on bulk_orders (id) where state = 'running';

create table bulk_rows (
    bulk_id          bigint not null references bulk_orders on delete cascade,
    charge_point_id  bigint not null references charge_points on delete cascade,
    station          text,
    gateway_id       uuid references gateways on delete set null,
    -- Once it was put to the station.
    command          uuid references commands on delete set null,
    -- How it ended, or why it could not begin.
    outcome          text,
    detail           text,
    ended_at         timestamptz,
    primary key (bulk_id, charge_point_id)
);
create index bulk_rows_command on bulk_rows (command) where outcome is null;
create index bulk_rows_open on bulk_rows (bulk_id, gateway_id) where outcome is null;
