-- Firmware for stations and logs from them.

-- The bytes of both, in pieces of a row each. Not as large objects: those have neither owner nor policy nor foreign key, are
-- left behind by whoever forgets them, and are read within one transaction only. A piece is found by its number, so a range
-- is a few rows; it goes with its file; and it is backed up and replicated like every other row.
create table file_pieces (
    file_id  uuid not null,
    piece    integer not null,
    bytes    bytea not null,
    -- Pieces of an upload that never ended are nobody's: they go after a day.
    written_at timestamptz not null default now(),
    primary key (file_id, piece)
);
create index file_pieces_age on file_pieces (written_at);
-- Images are compressed already, and parts of a value can be read only when it is not.
alter table file_pieces alter column bytes set storage external;

create function file_goes() returns trigger language plpgsql security definer set search_path from current as
$$ begin delete from file_pieces where file_id = old.file_id; return null; end $$;

create table firmwares (
    id                   uuid primary key,
    organization_id      bigint references organizations on delete cascade,
    owner_id             bigint references users on delete cascade,
    name                 text not null,
    version              text not null,
    vendor               text,
    model                text,
    -- In PEM, and in base64: what the maker gave with it.
    signing_certificate  text,
    signature            text,
    -- None until it is uploaded. What two people upload at once does not mix: the first one to end has it.
    file_id              uuid,
    size                 bigint,
    sha256               bytea,
    uploaded_at          timestamptz,
    created_by           bigint references users on delete set null,
    created_at           timestamptz not null default now(),
    check (num_nonnulls(organization_id, owner_id) = 1),
    check (num_nulls(file_id, size, sha256, uploaded_at) in (0, 4)),
    check (num_nulls(signature, signing_certificate) in (0, 2))
);
create index firmwares_organization on firmwares (organization_id);
create index firmwares_owner on firmwares (owner_id);
create trigger goes after delete on firmwares for each row execute function file_goes();

-- Updates that were ordered: a command each, and how far it is.
create table firmware_updates (
    id               uuid primary key references commands on delete cascade,
    charge_point_id  bigint not null references charge_points on delete cascade,
    firmware_id      uuid references firmwares on delete set null,
    -- As the image was called when it was ordered.
    version          text not null,
    signed           boolean not null,
    state            text not null default 'Ordered',
    detail           text not null default '',
    state_at         timestamptz not null default now(),
    ended            boolean not null default false,
    created_at       timestamptz not null default now()
);
create index firmware_updates_charge_point on firmware_updates (charge_point_id, created_at);
create index firmware_updates_firmware on firmware_updates (firmware_id);

-- Logs that were asked for: a command each, how far it is, and the log once it is here.
create table station_logs (
    id               uuid primary key references commands on delete cascade,
    charge_point_id  bigint not null references charge_points on delete cascade,
    kind             text not null,
    state            text not null default 'Ordered',
    detail           text not null default '',
    state_at         timestamptz not null default now(),
    ended            boolean not null default false,
    file_id          uuid not null default gen_random_uuid(),
    name             text,
    size             bigint,
    sha256           bytea,
    -- When the gateway had it, and when we had.
    received_at      timestamptz,
    arrived_at       timestamptz,
    created_at       timestamptz not null default now()
);
create index station_logs_charge_point on station_logs (charge_point_id, created_at);
create index station_logs_age on station_logs (created_at);
create trigger goes after delete on station_logs for each row execute function file_goes();

-- Every step of both, for people.
create table file_steps (
    id       bigint generated always as identity primary key,
    command  uuid not null references commands on delete cascade,
    state    text not null,
    detail   text not null,
    at       timestamptz not null,
    unique (command, at, state)
);

-- ---------------------------------------------------------------- row-level security
-- Firmware belongs to those who operate the stations.
alter table firmwares enable row level security;
create policy operated on firmwares for all to evb_viewer
    using ((select viewer_is_administrator()) or owner_id = (select viewer_id())
           or organization_id in (select viewer_organizations('owner', 'operator', 'installer')))
    with check ((select viewer_is_administrator()) or owner_id = (select viewer_id())
                or organization_id in (select viewer_organizations('owner', 'operator', 'installer')));
alter table firmware_updates enable row level security;
create policy seen on firmware_updates for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id));
alter table station_logs enable row level security;
create policy seen on station_logs for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id));
alter table file_steps enable row level security;
create policy seen on file_steps for select to evb_viewer using (
    exists (select from firmware_updates u where u.id = command)
    or exists (select from station_logs l where l.id = command));
grant select, insert, delete on firmwares to evb_viewer;
grant select on firmware_updates, station_logs, file_steps to evb_viewer;
