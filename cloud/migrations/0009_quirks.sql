-- What is peculiar about stations, and what was odd about their words.

-- As the gateway takes it; none: a station by the book.
alter table charge_points add column quirks jsonb;

-- What gateways believe to have seen, until an operator decides.
create table quirk_suggestions (
    id               bigint generated always as identity primary key,
    charge_point_id  bigint not null references charge_points on delete cascade,
    -- which setting it is about
    name             text not null,
    suggestion       jsonb not null,
    evidence         text not null,
    suggested_at     timestamptz not null,
    state            text not null default 'open' check (state in ('open', 'accepted', 'dismissed')),
    decided_by       bigint references users on delete set null,
    decided_at       timestamptz,
    unique (charge_point_id, name)
);

-- Each kind of oddity in a field of a message is one row.
create table findings (
    id               bigint generated always as identity primary key,
    charge_point_id  bigint not null references charge_points on delete cascade,
    action           text not null,
    field            text not null,
    oddity           text not null,
    hard             boolean not null,
    count            bigint not null,
    first_at         timestamptz not null,
    last_at          timestamptz not null,
    detail           text not null,
    example          text not null,
    session_id       uuid,
    unique (charge_point_id, action, field, oddity)
);

-- ---------------------------------------------------------------- row-level security
alter table quirk_suggestions enable row level security;
create policy seen on quirk_suggestions for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id and viewer_operates_site(p.site_id)));
alter table findings enable row level security;
create policy seen on findings for select to evb_viewer using (
    exists (select from charge_points p where p.id = charge_point_id and viewer_operates_site(p.site_id)));
grant select on quirk_suggestions, findings to evb_viewer;
grant select (quirks) on charge_points to evb_viewer;
