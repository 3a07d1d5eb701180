-- Who belongs together, the second wall between tenants, and the log of what people changed.

create table organization_members (
    organization_id  bigint not null references organizations on delete cascade,
    user_id          bigint not null references users on delete cascade,
    role             text not null check (role in ('owner', 'operator', 'installer', 'viewer')),
    created_at       timestamptz not null default now(),
    primary key (organization_id, user_id)
);
create index organization_members_user on organization_members (user_id);

-- Whoever an organization belongs to is its owner, whatever the list of members says.
create view memberships as
    select organization_id, user_id, role from organization_members m
    where not exists (select from organizations o where o.id = m.organization_id and o.owner_id = m.user_id)
    union all
    select id, owner_id, 'owner' from organizations where owner_id is not null;

-- ---------------------------------------------------------------- row-level security
-- The API works on rows that people own as the role evb_viewer, with the settings evb.viewer (users.id) and
-- evb.administrator of the transaction. The first wall is `auth::Viewer::reach`; what it forgets, these policies hide.
-- Tables without a grant below cannot be seen by that role at all.

do $$
begin
    create role evb_viewer nologin;
exception
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise exception 'the database user may not create the role evb_viewer'
            using hint = 'As a superuser, run: create role evb_viewer nologin; grant evb_viewer to ' || current_user;
end $$;
do $$
begin
    if not pg_has_role(current_user, 'evb_viewer', 'member') then
        execute format('grant evb_viewer to %I', current_user);
    end if;
    execute format('grant usage on schema %I to evb_viewer', current_schema());
end $$;

create function viewer_id() returns bigint language sql stable parallel safe as
$$ select nullif(current_setting('evb.viewer', true), '')::bigint $$;

create function viewer_is_administrator() returns boolean language sql stable parallel safe as
$$ select coalesce(current_setting('evb.administrator', true), '') = 'yes' $$;

-- The organizations in which the viewer has one of these roles; none: any role.
create function viewer_organizations(variadic roles text[]) returns setof bigint
language sql stable security definer set search_path from current as
$$ select organization_id from memberships
   where user_id = viewer_id() and (roles = '{any}' or role = any(roles)) $$;

create function viewer_changes_site(wanted bigint) returns boolean
language sql stable security definer set search_path from current as
$$ select viewer_is_administrator() or exists (
       select from sites where id = wanted
       and (owner_id = viewer_id() or organization_id in (select viewer_organizations('owner')))) $$;

alter table sites enable row level security;
create policy seen on sites for select to evb_viewer using (
    (select viewer_is_administrator()) or owner_id = (select viewer_id())
    or organization_id in (select viewer_organizations('any')));
create policy made on sites for insert to evb_viewer with check (
    (select viewer_is_administrator())
    or (owner_id = (select viewer_id())
        and (organization_id is null or organization_id in (select viewer_organizations('owner')))));
create policy changed on sites for update to evb_viewer
    using ((select viewer_is_administrator()) or owner_id = (select viewer_id())
           or organization_id in (select viewer_organizations('owner')))
    with check ((select viewer_is_administrator()) or owner_id = (select viewer_id())
                or organization_id in (select viewer_organizations('owner')));
create policy deleted on sites for delete to evb_viewer using (
    (select viewer_is_administrator()) or owner_id = (select viewer_id())
    or organization_id in (select viewer_organizations('owner')));

-- What stands at a site is seen with it: the subquery is itself under the policy of sites.
alter table charge_points enable row level security;
create policy seen on charge_points for select to evb_viewer using (exists (select from sites s where s.id = site_id));
create policy made on charge_points for insert to evb_viewer with check (viewer_changes_site(site_id));
create policy changed on charge_points for update to evb_viewer
    using (viewer_changes_site(site_id)) with check (viewer_changes_site(site_id));
create policy deleted on charge_points for delete to evb_viewer using (viewer_changes_site(site_id));

alter table connectors enable row level security;
create policy seen on connectors for select to evb_viewer using (exists (select from sites s where s.id = site_id));
create policy made on connectors for insert to evb_viewer with check (viewer_changes_site(site_id));
create policy changed on connectors for update to evb_viewer
    using (viewer_changes_site(site_id)) with check (viewer_changes_site(site_id));
create policy deleted on connectors for delete to evb_viewer using (viewer_changes_site(site_id));

alter table organizations enable row level security;
create policy seen on organizations for select to evb_viewer using (
    (select viewer_is_administrator()) or owner_id = (select viewer_id())
    or id in (select viewer_organizations('any')));
create policy made on organizations for insert to evb_viewer with check (
    (select viewer_is_administrator()) or owner_id = (select viewer_id()));
create policy changed on organizations for update to evb_viewer
    using ((select viewer_is_administrator()) or owner_id = (select viewer_id())
           or id in (select viewer_organizations('owner')));
create policy deleted on organizations for delete to evb_viewer using (
    (select viewer_is_administrator()) or owner_id = (select viewer_id())
    or id in (select viewer_organizations('owner')));

alter table organization_members enable row level security;
create policy seen on organization_members for select to evb_viewer using (
    (select viewer_is_administrator()) or user_id = (select viewer_id())
    or organization_id in (select viewer_organizations('any')));
create policy changed on organization_members for all to evb_viewer
    using ((select viewer_is_administrator()) or organization_id in (select viewer_organizations('owner')));

alter table users enable row level security;
create policy oneself on users for all to evb_viewer
    using ((select viewer_is_administrator()) or id = (select viewer_id()))
    with check ((select viewer_is_administrator()) or id = (select viewer_id()));

alter table sessions enable row level security;
create policy seen on sessions for select to evb_viewer using (
    (select viewer_is_administrator()) or user_id = (select viewer_id())
    or exists (select from sites s where s.id = site_id));
alter table meter_readings enable row level security;
create policy seen on meter_readings for select to evb_viewer using (
    exists (select from sessions se where se.id = session_id));
alter table bills enable row level security;
create policy seen on bills for select to evb_viewer using (exists (select from sessions se where se.id = session_id));

-- What the map shows everybody, for those who charged at somebody else's.
create view public_sites as select id, name, address from sites;
create view public_connectors as select id, connector_type_name from connectors;

alter table alarms enable row level security;
create policy seen on alarms for select to evb_viewer using (
    (select viewer_is_administrator()) or exists (select from sites s where s.id = site_id));
alter table gateways enable row level security;
create policy seen on gateways for select to evb_viewer using (exists (select from sites s where s.id = site_id));

grant select, insert, update, delete on sites, charge_points, connectors, organizations, organization_members to evb_viewer;
grant select (id, name, username, phone, email, country, state, address, unit, city, zip, role, is_active, created_at, updated_at),
      insert (name, username, phone, email, country, state, address, unit, city, zip),
      update (name, username, phone, email, country, state, address, unit, city, zip, updated_at), delete
    on users to evb_viewer;
-- A station's password is nobody's to read.
revoke select, insert, update on charge_points from evb_viewer;
grant select (id, site_id, owner_id, charge_point_hardware_id, charge_point_name, owner, status, online, instant_power, power,
              public, vendor, model, serial_number, firmware, presence_at, last_seen_at, created_at, updated_at),
      insert (site_id, owner_id, charge_point_hardware_id, charge_point_name, owner, status, instant_power, power, public),
      update (site_id, owner_id, charge_point_hardware_id, charge_point_name, owner, status, instant_power, power, public,
              updated_at)
    on charge_points to evb_viewer;
grant select on public_sites, public_connectors, sessions, meter_readings, bills, alarms to evb_viewer;
grant select (id, site_id, agent_version, enrolled_at, revoked_at, last_hello_at, last_seen_at) on gateways to evb_viewer;

-- ---------------------------------------------------------------- what people changed
-- Append-only. Each row carries the digest of the one before, so that a row that was altered or cut out later shows. Ids are
-- given under a lock that is held until the commit: they have no gaps and become visible in their order, so that a reader
-- who has seen id n misses nothing by asking for n + 1 and above.

create table audit (
    id               bigint primary key,
    at               timestamptz not null default now(),
    -- users.id; none: the server itself
    actor            bigint,
    request_id       text,
    -- create, update, delete, or the name of what was done
    action           text not null,
    entity           text not null,
    -- none: many rows, see count
    row_id           text,
    site_id          bigint,
    organization_id  bigint,
    before           jsonb,
    after            jsonb,
    count            bigint not null default 1,
    digest           bytea not null
);
create index audit_row on audit (entity, row_id, id);
create index audit_actor on audit (actor, id);
create index audit_site on audit (site_id, id);
create index audit_organization on audit (organization_id, id);

create function audit_digest(previous bytea, it audit) returns bytea language sql stable as
$$ select sha256(previous || convert_to(jsonb_build_array(
       it.id, extract(epoch from it.at), it.actor, it.request_id, it.action, it.entity, it.row_id, it.site_id,
       it.organization_id, it.before, it.after, it.count)::text, 'UTF8')) $$;

create function append_audit(actor bigint, request_id text, action text, entity text, row_id text, site_id bigint,
                             organization_id bigint, before jsonb, after jsonb, count bigint)
returns bigint language plpgsql as $$
declare
    last audit;
    it audit;
begin
    perform pg_advisory_xact_lock(hashtext('evb audit'));
    -- Each statement here sees what was committed when the lock was given.
    select * into last from audit order by id desc limit 1;
    it := (coalesce(last.id, 0) + 1, now(), actor, request_id, action, entity, row_id, site_id, organization_id, before, after,
           count, '');
    it.digest := audit_digest(coalesce(last.digest, ''), it);
    insert into audit select it.*;
    return it.id;
end $$;

create function audit_is_append_only() returns trigger language plpgsql as
$$ begin raise exception 'the audit log is append-only'; end $$;
create trigger append_only before update or delete on audit for each row execute function audit_is_append_only();
create trigger never_emptied before truncate on audit for each statement execute function audit_is_append_only();

alter table audit enable row level security;
create policy seen on audit for select to evb_viewer using (
    (select viewer_is_administrator()) or actor = (select viewer_id())
    or exists (select from sites s where s.id = site_id)
    or organization_id in (select viewer_organizations('owner', 'operator')));
grant select on audit to evb_viewer;
