-- Cards: groups of them, which site knows which, and unknown ones that somebody may adopt.

create table card_groups (
    id               bigint generated always as identity primary key,
    organization_id  bigint references organizations on delete cascade,
    owner_id         bigint references users on delete cascade,
    name             text not null,
    created_at       timestamptz not null default now(),
    check (num_nonnulls(organization_id, owner_id) = 1)
);
create index card_groups_organization on card_groups (organization_id);
create index card_groups_owner on card_groups (owner_id);

-- Further sites that a group's cards may charge at.
create table card_group_sites (
    group_id  bigint not null references card_groups on delete cascade,
    site_id   bigint not null references sites on delete cascade,
    primary key (group_id, site_id)
);
create index card_group_sites_site on card_group_sites (site_id);

alter table id_tokens
    add column name        text,
    add column group_id    bigint references card_groups on delete set null,
    -- who barred it: only he, or somebody above its holder, may let it charge again
    add column blocked_by  bigint references users on delete set null,
    add column updated_at  timestamptz not null default now(),
    -- its place in the public list, which is long and therefore sent in parts
    add column part        smallint generated always as (('x' || left(md5(lower(token)), 2))::bit(8)::integer & 63) stored;
create index id_tokens_group on id_tokens (group_id);
create index id_tokens_part on id_tokens (part);

-- ---------------------------------------------------------------- which site knows which card
-- Public sites know the card of every person (the public list). Each site knows besides: the cards of its owner, of its
-- organization's people and groups, and of groups that were let in.

create view site_people as
    select id as site_id, owner_id as user_id from sites where owner_id is not null
    union
    select s.id, m.user_id from sites s join memberships m on m.organization_id = s.organization_id;

create view site_groups as
    select s.id as site_id, g.id as group_id from sites s join card_groups g on g.organization_id = s.organization_id
    union
    select s.id, g.id from sites s join card_groups g on g.owner_id = s.owner_id
    union
    select site_id, group_id from card_group_sites;

create view own_cards as
    select p.site_id, t.id as card_id from site_people p join id_tokens t on t.user_id = p.user_id
    union
    select g.site_id, t.id from site_groups g join id_tokens t on t.group_id = g.group_id;

create view public_gateways as
    select id, site_id from gateways g where revoked_at is null
        and exists (select from charge_points p where p.site_id = g.site_id and p.public);

-- The public list as it is, by part; a part that never had a card is not here.
create table public_lists (
    part  smallint primary key,
    hash  bytea not null references document_bodies
);

-- What has to be built anew: a part of the public list, or a site's own list. Whoever changes something that decides it
-- leaves a row here in the same transaction; the triggers below see to that, whatever the way of the change.
create table stale_lists (
    id       bigint generated always as identity primary key,
    part     smallint,
    site_id  bigint,
    check (num_nonnulls(part, site_id) = 1)
);
create function lists_are_stale() returns trigger language plpgsql as
$$ begin perform pg_notify('stale_lists', ''); return null; end $$;
create trigger told after insert on stale_lists for each statement execute function lists_are_stale();

create function mark_lists(variadic ids bigint[]) returns void language sql security definer set search_path from current as
$$ insert into stale_lists (site_id)
   select distinct site_id from gateways where site_id = any(ids) and revoked_at is null $$;

-- The lists with cards of these people and groups.
create function mark_cards(parts smallint[], users bigint[], groups bigint[]) returns void
language sql security definer set search_path from current as
$$ insert into stale_lists (part) select distinct part from unnest(parts) part;
   select mark_lists(variadic array(
       select site_id from site_people where user_id = any(users)
       union select site_id from site_groups where group_id = any(groups))) $$;

create function mark_lists_of(organization bigint) returns void language sql security definer set search_path from current as
$$ select mark_lists(variadic array(select id from sites where organization_id = organization)) $$;

-- Per statement, not per card: ten thousand at once are one mark.
create function cards_come_or_go() returns trigger language plpgsql security definer set search_path from current as $$
begin
    perform mark_cards(array(select distinct part from cards where user_id is not null),
                       array(select distinct user_id from cards), array(select distinct group_id from cards));
    return null;
end $$;
create trigger come after insert on id_tokens referencing new table as cards
    for each statement execute function cards_come_or_go();
create trigger go after delete on id_tokens referencing old table as cards
    for each statement execute function cards_come_or_go();

create function cards_change() returns trigger language plpgsql security definer set search_path from current as $$
begin
    perform mark_cards(
        array(select part from was where user_id is not null union select part from now where user_id is not null),
        array(select user_id from was union select user_id from now),
        array(select group_id from was union select group_id from now));
    return null;
end $$;
create trigger change after update on id_tokens referencing old table as was new table as now
    for each statement execute function cards_change();

-- A card without a person is its group's, and goes with it; the others leave it.
create function group_goes() returns trigger language plpgsql security definer set search_path from current as $$
begin
    perform mark_cards('{}', '{}', array[old.id]);
    delete from id_tokens where group_id = old.id and user_id is null;
    return old;
end $$;
create trigger goes before delete on card_groups for each row execute function group_goes();

create function person_is_barred() returns trigger language plpgsql security definer set search_path from current as $$
begin
    perform mark_cards(array(select part from id_tokens where user_id = new.id), array[new.id], '{}');
    return null;
end $$;
create trigger barred after update of is_active on users for each row
    when (old.is_active is distinct from new.is_active) execute function person_is_barred();

create function member_changes() returns trigger language plpgsql as
$$ begin perform mark_lists_of(coalesce(new.organization_id, old.organization_id)); return null; end $$;
create trigger changes after insert or update or delete on organization_members for each row execute function member_changes();

create function organization_is_handed_over() returns trigger language plpgsql as
$$ begin perform mark_lists_of(new.id); return null; end $$;
create trigger handed_over after update of owner_id on organizations for each row
    when (old.owner_id is distinct from new.owner_id) execute function organization_is_handed_over();

create function site_is_handed_over() returns trigger language plpgsql as
$$ begin perform mark_lists(new.id); return null; end $$;
create trigger handed_over after update of owner_id, organization_id on sites for each row
    when ((old.owner_id, old.organization_id) is distinct from (new.owner_id, new.organization_id))
    execute function site_is_handed_over();

create function group_is_let_in() returns trigger language plpgsql as
$$ begin perform mark_lists(coalesce(new.site_id, old.site_id)); return null; end $$;
create trigger let_in after insert or delete on card_group_sites for each row execute function group_is_let_in();

create function gateway_comes() returns trigger language plpgsql as
$$ begin perform mark_lists(new.site_id); return null; end $$;
create trigger comes after insert or update of site_id, revoked_at on gateways for each row execute function gateway_comes();

-- Is the site a public one?
create function site_may_open_or_close() returns trigger language plpgsql as
$$ begin perform mark_lists(variadic array(select distinct site_id from stations)); return null; end $$;
create trigger may_open after insert on charge_points referencing new table as stations
    for each statement execute function site_may_open_or_close();
create trigger may_close after delete on charge_points referencing old table as stations
    for each statement execute function site_may_open_or_close();
create function site_opens_or_closes() returns trigger language plpgsql as
$$ begin perform mark_lists(old.site_id, new.site_id); return null; end $$;
create trigger opens_or_closes after update of public, site_id on charge_points for each row
    when ((old.public, old.site_id) is distinct from (new.public, new.site_id)) execute function site_opens_or_closes();

insert into stale_lists (part) select distinct part from id_tokens where user_id is not null;
insert into stale_lists (site_id) select distinct site_id from gateways where revoked_at is null;

-- ---------------------------------------------------------------- tap to learn
-- Cards that a site refused because nobody knew them, for a day.

create table unknown_cards (
    id               bigint generated always as identity primary key,
    site_id          bigint not null references sites on delete cascade,
    charge_point_id  bigint references charge_points on delete set null,
    station          text not null,
    evse             integer,
    token            text not null,
    folded           text not null,
    -- raised at each tap, so that whoever watches knows what is new
    tap              bigint not null,
    taps             integer not null default 1,
    first_seen_at    timestamptz not null,
    last_seen_at     timestamptz not null,
    -- by our clock; the others are the gateway's
    told_at          timestamptz not null default now(),
    unique (site_id, folded)
);
create index unknown_cards_age on unknown_cards (last_seen_at);
create sequence unknown_card_taps;

-- Who is holding an own card to a station's reader just now: one at a time.
create table card_lessons (
    charge_point_id  bigint primary key references charge_points on delete cascade,
    user_id          bigint not null references users on delete cascade,
    began_at         timestamptz not null default now(),
    expires_at       timestamptz not null
);

-- ---------------------------------------------------------------- row-level security

alter table card_groups enable row level security;
create policy held on card_groups for all to evb_viewer using (
    (select viewer_is_administrator()) or owner_id = (select viewer_id())
    or organization_id in (select viewer_organizations('owner', 'operator')));

alter table card_group_sites enable row level security;
create policy held on card_group_sites for all to evb_viewer using (
    exists (select from card_groups g where g.id = group_id) and exists (select from sites s where s.id = site_id));

alter table id_tokens enable row level security;
create policy held on id_tokens for all to evb_viewer using (
    (select viewer_is_administrator()) or user_id = (select viewer_id())
    or exists (select from card_groups g where g.id = group_id));

alter table unknown_cards enable row level security;
create policy seen on unknown_cards for all to evb_viewer using (
    (select viewer_is_administrator())
    or exists (select from sites s where s.id = site_id and (
        s.owner_id = (select viewer_id())
        or s.organization_id in (select viewer_organizations('owner', 'operator', 'installer')))));

grant select, insert, update, delete on card_groups, card_group_sites to evb_viewer;
grant select, insert (user_id, group_id, token, name, kind, expires_at),
      update (name, group_id, expires_at, status, blocked_by, updated_at), delete on id_tokens to evb_viewer;
grant select, delete on unknown_cards to evb_viewer;
grant select on own_cards to evb_viewer;
