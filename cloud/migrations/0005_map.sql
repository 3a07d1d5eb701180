-- The map: finding sites by place and by words, and knowing which of them changed.

-- All three come with Postgres itself (Debian: in the server's package) and may be created by a database's owner.
create extension if not exists cube;
create extension if not exists pg_trgm;
create extension if not exists unaccent;

-- ---------------------------------------------------------------- by words
-- Text as it is searched: small letters without accents, whatever the database's own locale.
create function folded(words text) returns text language sql immutable strict parallel safe
set search_path from current as
$$ select lower(unaccent('unaccent', words) collate "und-x-icu") $$;

alter table sites add column search text
    generated always as (folded(coalesce(name, '') || ' ' || coalesce(address, ''))) stored;
create index sites_search on sites using gin (search gin_trgm_ops);

-- ---------------------------------------------------------------- by place
-- A site without a place is where the map has always shown it.
create function map_point(lon double precision, lat double precision) returns point
language sql immutable parallel safe as
$$ select point(coalesce(lon, 0), coalesce(lat, 0)) $$;

-- The same on a globe of radius 1. The straight distance of two such points orders them as the way over the ground does,
-- also across the antimeridian and around the poles, and an index can begin with the nearest.
create function map_place(lon double precision, lat double precision) returns cube
language sql immutable parallel safe as
$$ select cube(array[cosd(coalesce(lat, 0)) * cosd(coalesce(lon, 0)),
                     cosd(coalesce(lat, 0)) * sind(coalesce(lon, 0)),
                     sind(coalesce(lat, 0))]) $$;

drop index sites_place;
create index sites_point on sites using gist (map_point(lon, lat));
create index sites_place on sites using gist (map_place(lon, lat));

-- ---------------------------------------------------------------- what changed
-- In which transaction a site last looked different on the map. The row outlives its site, so that a deletion is seen too:
-- 40 bytes for each site that ever was. How readers follow it without missing a commit: `db::site_change`.
create table site_changes (
    site_id      bigint primary key,
    changed_in   xid8 not null,
    -- the last change of more than a status: only such a change can take a site off a map that shows all statuses
    reshaped_in  xid8 not null
);
create index site_changes_order on site_changes (changed_in);
insert into site_changes select id, pg_current_xact_id(), pg_current_xact_id() from sites;

create function mark_sites(ids bigint[], reshaped boolean) returns void
language sql security definer set search_path from current as
$$ insert into site_changes as known (site_id, changed_in, reshaped_in)
   -- in one order, so that two bulk changes wait for one another instead of for ever
   select distinct id, pg_current_xact_id(), pg_current_xact_id() from unnest(ids) id order by id
   on conflict (site_id) do update
   set changed_in = excluded.changed_in,
       reshaped_in = case when reshaped then excluded.reshaped_in else known.reshaped_in end
   where known.changed_in <> excluded.changed_in or (reshaped and known.reshaped_in <> excluded.reshaped_in) $$;
revoke execute on function mark_sites from public;

-- Per statement, not per row: a batch of statuses costs one mark. With a site go its connectors, so their deletion tells.
create function connectors_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    reshaped bigint[];
    restated bigint[];
begin
    if tg_op = 'INSERT' then
        select array_agg(distinct site_id) into reshaped from new_rows;
    elsif tg_op = 'DELETE' then
        select array_agg(distinct site_id) into reshaped from old_rows;
    else
        select array_agg(distinct site) filter (where shape), array_agg(distinct site) filter (where not shape and status)
        into reshaped, restated
        from (select array[o.site_id, n.site_id] as both_sites, o.status_name is distinct from n.status_name as status,
                     (o.site_id, o.charge_point_id, o.connector_type_name, o.power, o.price)
                     is distinct from (n.site_id, n.charge_point_id, n.connector_type_name, n.power, n.price) as shape
              from old_rows o join new_rows n using (id)) changed, unnest(both_sites) site;
    end if;
    if reshaped is not null then
        perform mark_sites(reshaped, true);
    end if;
    if restated is not null then
        perform mark_sites(restated, false);
    end if;
    return null;
end $$;
create trigger changed_map_insert after insert on connectors
    referencing new table as new_rows for each statement execute function connectors_changed();
create trigger changed_map_update after update on connectors
    referencing old table as old_rows new table as new_rows for each statement execute function connectors_changed();
create trigger changed_map_delete after delete on connectors
    referencing old table as old_rows for each statement execute function connectors_changed();

create function charge_points_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    reshaped bigint[];
    restated bigint[];
begin
    select array_agg(distinct site) into reshaped
    from old_rows o join new_rows n using (id), unnest(array[o.site_id, n.site_id]) site
    where (o.site_id, o.public) is distinct from (n.site_id, n.public);
    if reshaped is not null then
        perform mark_sites(reshaped, true);
    end if;
    -- not on the map, but watched: connected or not
    select array_agg(distinct n.site_id) into restated
    from old_rows o join new_rows n using (id) where o.status is distinct from n.status;
    if restated is not null then
        perform mark_sites(restated, false);
    end if;
    return null;
end $$;
create trigger changed_map after update on charge_points
    referencing old table as old_rows new table as new_rows for each statement execute function charge_points_changed();

create function sites_changed() returns trigger
language plpgsql security definer set search_path from current as $$
declare
    reshaped bigint[];
begin
    select array_agg(id) into reshaped
    from old_rows o join new_rows n using (id)
    where (o.name, o.address, o.location) is distinct from (n.name, n.address, n.location);
    if reshaped is not null then
        perform mark_sites(reshaped, true);
    end if;
    return null;
end $$;
create trigger changed_map after update on sites
    referencing old table as old_rows new table as new_rows for each statement execute function sites_changed();
