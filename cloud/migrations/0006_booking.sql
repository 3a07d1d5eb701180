-- Bookings as people see them.

-- What a connector shows: the station's word, except that it is not free while it is kept for somebody. Stations that keep
-- reservations themselves say so; the others, and those without a gateway, do not.
create function shown_status(connector bigint, said text) returns text language sql stable as
$$ select case when said = 'Available' and exists (
       select from reservations r where r.connector_id = connector and r.ended_at is null and r.status = 'reserved')
   then 'Reserved' else said end $$;

-- What everybody may know of a connector that he booked at somebody else's site.
create view public_places as
    select c.id as connector_id, c.connector_id as number, c.charge_point_hardware_id as station, c.site_id,
           s.name as site_name, s.address as site_address
    from connectors c join sites s on s.id = c.site_id;

alter table reservations enable row level security;
create policy seen on reservations for select to evb_viewer using (
    (select viewer_is_administrator()) or user_id = (select viewer_id())
    or exists (select from connectors c where c.id = reservations.connector_id));
grant select on reservations, public_places to evb_viewer;
