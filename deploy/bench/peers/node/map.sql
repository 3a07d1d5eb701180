-- The map as PostGraphile likes it best: one function per query over the same tables, with the statement that we use
-- ourselves, and plain lists instead of connections.
drop schema if exists peer cascade;
create schema peer;
create type peer.marker as (siteid bigint, location jsonb, available bigint, total bigint);
create function peer.get_filtered_markers(types text[], west float8 default null, south float8 default null,
                                          east float8 default null, north float8 default null)
returns setof peer.marker language plpgsql stable as $$
begin
    if west is null then
        return query
        select s.id, s.location, c.available, c.total
        from (select k.site_id, count(*) as total,
                     count(*) filter (where k.status_name in ('Available', 'Preparing')) as available
              from connectors k where k.connector_type_name = any(types) and k.power between 0 and 1000 and k.price between 0 and 1000
              group by k.site_id) c
        join sites s on s.id = c.site_id;
    else
        return query
        select s.id, s.location, c.available, c.total
        from sites s, lateral (
            select count(*) as total, count(*) filter (where k.status_name in ('Available', 'Preparing')) as available
            from connectors k where k.connector_type_name = any(types) and k.power between 0 and 1000
            and k.price between 0 and 1000 and k.site_id = s.id) c
        where c.total > 0 and map_point(s.lon, s.lat) <@ box(point(west, south), point(east, north));
    end if;
end $$;

create type peer.kind as (connector_type text, power float8, price float8, site_name text, site_address text,
                          available bigint, available_ids bigint[], total bigint);
create function peer.get_filtered_site(site_id bigint, types text[]) returns setof peer.kind language sql stable as $$
    select k.connector_type_name, k.power, k.price::float8, s.name, s.address,
           count(*) filter (where k.status_name in ('Available', 'Preparing')),
           array_agg(k.id order by k.id) filter (where k.status_name in ('Available', 'Preparing')),
           count(*)
    from connectors k join sites s on s.id = k.site_id
    where k.site_id = get_filtered_site.site_id and k.connector_type_name = any(types)
      and k.power between 0 and 300 and k.price between 0 and 300
    group by k.connector_type_name, k.power, k.price, s.id
    order by k.connector_type_name, k.power, k.price
$$;
