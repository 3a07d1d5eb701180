-- One tenant with rows in every table. {b}: where its numbers begin, {t}: what all its texts begin with, {h}: eight
-- hexadecimal digits with which its uuids begin. Whatever shows any of the three comes from here.
-- People: 1 has a site and an organization of his own; 2 owns the other one; 3 to 5 and the service 7 are its members; 6 drives, 8 is
-- a guest, and a member of the small one with the program 9.

insert into users (id, name, username, phone, email, country, state, address, unit, city, zip, role, password_hash)
select {b} + n, '{t} ' || who, '{t}-' || who, '+' || {b} + n, '{t}-' || who || '@example.com',
       '{t} country', '{t} state', '{t} address', '{t} unit', '{t} city', {b} + n, role, '{password}'
from (values (1, 'owner', 'business-owner'), (2, 'founder', 'business-owner'), (3, 'operator', 'driver'),
             (4, 'installer', 'driver'), (5, 'viewer', 'driver'), (6, 'driver', 'driver'), (7, 'service', 'service'),
             (8, 'guest', 'driver'), (9, 'program', 'service'))
     it (n, who, role);

insert into organizations (id, owner_id, name, email, phone_number, location, address, zip_code)
values ({b} + 11, {b} + 2, '{t} organization', '{t}@example.com', '+{b}', '{"type": "Point", "coordinates": [1, {b}]}',
        '{t} street', {b}),
       ({b} + 12, {b} + 1, '{t} small organization', '{t}-small@example.com', '+{b}', null, '{t} street', {b});
insert into organization_members (organization_id, user_id, role)
select {b} + 11, {b} + n, role
from (values (3, 'operator'), (4, 'installer'), (5, 'viewer'), (7, 'operator')) it (n, role)
union all select {b} + 12, {b} + n, 'viewer' from generate_series(8, 9) n;

-- Site 21 is the owner's own, site 22 the organization's.
insert into sites (id, owner_id, organization_id, name, site, site_area, location, address, zip_code, phone_number,
                   default_price, information, dynamic_asset, asset_type, instant_power, battery)
select {b} + n, {b} + owner, {b} + organization, '{t} site ' || n, '{t} site', '{t} area',
       jsonb_build_object('type', 'Point', 'coordinates', array[n, 45]), '{t} address', {b} + n, '+{b}',
       0.25, '{t} information', '{t} asset', '{t} type', {b}, '{t} battery'
from (values (21, 1, null), (22, 2, 11)) it (n, owner, organization);

insert into charge_points (id, site_id, owner_id, charge_point_hardware_id, charge_point_name, owner, status, instant_power,
                           power, credential, vendor, model, serial_number, firmware, presence_at, last_seen_at)
select {b} + n, {b} + site, {b} + owner, '{t}-cp-' || n, '{t} charge point', '{t} owner', 'Disconnected', {b}, {b},
       '{t} credential', '{t} vendor', '{t} model', '{t} serial', '{t} firmware', '2026-01-01Z', '2026-01-01Z'
from (values (31, 21, 1), (32, 22, 2)) it (n, site, owner);

insert into onboarding_windows (site_id, opened_at, open_until, opened_by)
select {b} + site, now(), '2126-01-01Z', {b} + who from (values (21, 1), (22, 3)) it (site, who);
insert into pending_stations (id, site_id, station, state, address, security_profile, had_password, credential, vendor,
                              connectors, first_seen_at, last_seen_at)
overriding system value
select {b} + site + 70, {b} + site, '{t}-pending', 'pending', '{t} address', 1, true, '{t} credential', '{t} vendor', 1, now(),
       now()
from generate_series(21, 22) site;
insert into wanted_settings (site_id, charge_point_id, folded, key, value)
select {b} + site, {b} + site + 10, '{t} key', '{t} key', '{t} wanted' from generate_series(21, 22) site;
insert into station_settings (charge_point_id, folded, key, value, readonly, read_at)
select {b} + n, '{t} key', '{t} key', '{t} value', false, '2026-01-01Z' from generate_series(31, 32) n;
insert into setting_outcomes (charge_point_id, folded, wanted, state, detail, at)
select {b} + n, '{t} key', '{t} wanted', 'Refused', '{t} detail', '2026-01-01Z' from generate_series(31, 32) n;

insert into tariffs (id, version, owner_id, currency, body)
values ('{h}-0000-4000-8000-000000000001', 1, {b} + 1, 'USD', '{"id": "{h}-0000-4000-8000-000000000001", "version": 1, "currency": "USD",
          "components": [{"dimension": "Energy", "price_micros": 250000, "step": 1}]}');

insert into connectors (id, charge_point_id, site_id, owner_id, label, connector_id, charge_point_hardware_id,
                        connector_type_name, connector_type_id, status_name, status_id, status, status_at, power, max_power,
                        price, price_unit, tariff_id, instant_power, consumption, inactivity, information)
select {b} + n, {b} + charge_point, {b} + site, {b} + owner, '{t} connector', 1, '{t}-cp-' || charge_point, 'CCS2', '{t}',
       'Available', 1, 'available', '2026-01-01Z', 50, 60, 0.25, '$/kWh', '{h}-0000-4000-8000-000000000001', {b}, {b}, {b},
       '{t} information'
from (values (41, 31, 21, 1), (42, 32, 22, 2)) it (n, charge_point, site, owner);

-- Group 71 is the organization's, 72 the owner's; card 66 is the driver's, 69 the group's own.
insert into card_groups (id, organization_id, owner_id, name) overriding system value
values ({b} + 71, {b} + 11, null, '{t} group'), ({b} + 72, null, {b} + 1, '{t} group');
insert into card_group_sites (group_id, site_id) values ({b} + 71, {b} + 22), ({b} + 72, {b} + 21);
insert into id_tokens (id, user_id, group_id, token, name)
select {b} + 60 + n, {b} + n, null, '{t}-card-' || n, '{t} card' from generate_series(1, 8) n where n <> 7
union all select {b} + 69, null, {b} + 71, '{t}-card-9', '{t} card';
insert into unknown_cards (id, site_id, charge_point_id, station, evse, token, folded, tap, first_seen_at, last_seen_at)
overriding system value
select {b} + site + 60, {b} + site, {b} + site + 10, '{t}-cp-' || site + 10, 1, '{t}-unknown', '{t}-unknown', {b} + site,
       now(), now()
from generate_series(21, 22) site;
insert into card_lessons (charge_point_id, user_id, expires_at) values ({b} + 32, {b} + 6, '2026-01-01Z');

insert into gateways (id, site_id, shard, frame_key, mosquitto_password, agent_version, last_hello_at)
select ('{h}-0000-4000-8000-0000000000' || site)::uuid, {b} + site, 0, sha256('{t}'), '{t}', '{t} agent', '2026-01-01Z'
from generate_series(21, 22) site;
insert into claim_codes (code_hash, site_id, expires_at) values (sha256('{t} claim'), {b} + 22, '2126-01-01Z');
insert into gateway_epochs (gateway_id, epoch)
values ('{h}-0000-4000-8000-000000000022', '{h}-0000-4000-8000-000000000002');
insert into cursors (gateway_id, epoch, lane)
values ('{h}-0000-4000-8000-000000000022', '{h}-0000-4000-8000-000000000002', 0);
insert into records (gateway_id, epoch, lane, seq, kind, kind_ver, occurred_at, clock, boot_id, mono_ms, key, body)
values ('{h}-0000-4000-8000-000000000022', '{h}-0000-4000-8000-000000000002', 0, 1, 1, 1, '2026-01-01Z', 0,
        '{h}-0000-4000-8000-000000000003', 1, '{t}', '{t}');
insert into record_keys (gateway_id, key) values ('{h}-0000-4000-8000-000000000022', '{t}');
insert into quarantine (gateway_id, epoch, lane, seq, reason, raw)
values ('{h}-0000-4000-8000-000000000022', '{h}-0000-4000-8000-000000000002', 0, 2, '{t}', '{t}');

-- The guest charged at the owner's, both at the organization's; one session still runs at each site.
insert into sessions (id, history_id, gateway_id, site_id, charge_point_id, connector_id, station, evse, tx_ref, user_id,
                      id_token, authorised_by, auth_status, started_at, meter_start, stopped_at, meter_stop, stop_reason,
                      energy_wh, power_w, soc, read_at, tariff_id, tariff_version, edge_cost, flags)
overriding system value
select ('{h}-0000-4000-8000-0000000000' || n)::uuid, {b} + n, ('{h}-0000-4000-8000-0000000000' || site)::uuid, {b} + site,
       {b} + site + 10, {b} + site + 20, '{t}-cp-' || site + 10, 1, '{t}-tx-' || n, {b} + who, '{t}-card-' || who, 'cloud',
       'accepted', '2026-01-01Z', {b}, ended, {b} + 9000, '{t} reason', 9000, 50, 80, '2026-01-01T01:00Z',
       '{h}-0000-4000-8000-000000000001', 1, '{"total": "{t}"}', '{}'
from (values (51, 21, 8, timestamptz '2026-01-01T02:00Z'), (52, 22, 6, '2026-01-01T02:00Z'), (53, 22, 8, '2026-01-01T02:00Z'),
             (54, 21, 8, null), (55, 22, 6, null)) it (n, site, who, ended);
insert into meter_readings (session_id, taken_at, register_wh, power_w)
select ('{h}-0000-4000-8000-0000000000' || n)::uuid, '2026-01-01T01:00Z', {b}, 50 from generate_series(51, 55) n;
insert into meter_gaps (session_id, from_at, to_at, readings, energy_first_wh)
select ('{h}-0000-4000-8000-0000000000' || n)::uuid, '2026-01-01T01:00Z', '2026-01-01T01:30Z', 3, {b} from generate_series(51, 55) n;
insert into bills (session_id, user_id, currency, total_micros, lines)
select ('{h}-0000-4000-8000-0000000000' || n)::uuid, {b} + who, 'USD', {b},
       '[{"dimension": "Energy", "quantity": 9000, "price_micros": 250000, "amount_micros": {b}}]'
from (values (51, 8), (52, 6), (53, 8)) it (n, who);
insert into alarms (id, kind, subject, gateway_id, site_id, detail) overriding system value
select {b} + 90 + site, '{t} alarm', '{t} subject ' || site, ('{h}-0000-4000-8000-0000000000' || site)::uuid, {b} + site, '{"what": "{t}"}'
from generate_series(21, 22) site;

insert into commands (id, gateway_id, station, kind, body, issued_by, expires_at, state, outcome, detail, finished_at)
select ('{h}-0000-4000-8000-0000000001' || site)::uuid, ('{h}-0000-4000-8000-0000000000' || site)::uuid, '{t}-cp-' || site + 10,
       'reset', '{t}', {b} + who, '2026-01-01Z', 'finished', 'Accepted', '{t} detail', '2026-01-01Z'
from (values (21, 1), (22, 3)) it (site, who);
insert into firmwares (id, organization_id, owner_id, name, version, vendor, model, file_id, size, sha256, uploaded_at)
select ('{h}-0000-4000-8000-00000000013' || n)::uuid, {b} + organization, {b} + owner, '{t} image', '{t} 2.0', '{t} vendor', '{t} model',
       ('{h}-0000-4000-8000-00000000014' || n)::uuid, {b}, sha256('{t} image'), '2026-01-01Z'
from (values (1, null, 1), (2, 11, null)) it (n, organization, owner);
insert into file_pieces (file_id, piece, bytes)
select ('{h}-0000-4000-8000-00000000014' || n)::uuid, 0, '{t} image' from generate_series(1, 2) n;
insert into firmware_updates (id, charge_point_id, firmware_id, version, signed, state, detail, state_at)
select ('{h}-0000-4000-8000-00000000012' || n)::uuid, {b} + 30 + n, ('{h}-0000-4000-8000-00000000013' || n)::uuid, '{t} 2.0', false,
       'Installing', '{t} detail', '2026-01-01Z'
from generate_series(1, 2) n;
insert into station_logs (id, charge_point_id, kind, state, detail, state_at, name, size, sha256, received_at, arrived_at)
select ('{h}-0000-4000-8000-00000000012' || n)::uuid, {b} + 30 + n, 'Diagnostics', 'Uploaded', '{t} detail', '2026-01-01Z',
       '{t}.log', {b}, sha256('{t} log'), '2026-01-01Z', '2026-01-01Z'
from generate_series(1, 2) n;
insert into file_steps (command, state, detail, at)
select ('{h}-0000-4000-8000-00000000012' || n)::uuid, 'Installing', '{t} detail', '2026-01-01Z' from generate_series(1, 2) n;
insert into document_bodies (hash, body) values (sha256('{t}'), '{t}');
insert into documents (gateway_id, name, version, hash)
values ('{h}-0000-4000-8000-000000000022', 'stations', 1, sha256('{t}'));
insert into reservations (connector_id, user_id, expires_at, ended_at)
values ({b} + 42, {b} + 6, '2026-01-01Z', '2026-01-01Z'), ({b} + 41, {b} + 8, '2026-01-01Z', '2026-01-01Z');
insert into login_codes (account, code_hash, attempts_left, expires_at)
values ('{t}-driver@example.com', sha256('{t}'), 5, '2126-01-01Z');
insert into sign_ins (id, user_id, token_version, expires_at)
values ('{h}-0000-4000-8000-000000000004', {b} + 6, 0, '2126-01-01Z');
insert into refresh_tokens (token_hash, sign_in) values (sha256('{t} refresh'), '{h}-0000-4000-8000-000000000004');
insert into api_keys (id, user_id, organization_id, digest, created_by) overriding system value
values ({b} + 91, {b} + 7, {b} + 11, sha256('{t} key'), {b} + 2),
       ({b} + 92, {b} + 9, {b} + 12, sha256('{t} other key'), {b} + 1);
insert into rate_limits (key, count, ends_at) values (sha256('{t} limit'), 1, '2126-01-01Z');
select append_audit({b} + who, '{t}', 'update', 'Site', ({b} + site)::text, {b} + site, {b} + organization,
                    '{"name": "{t} before"}', '{"name": "{t} after"}', 1)
from (values (1, 21, null), (2, 22, 11)) it (who, site, organization);
insert into bulk_orders (id, kind, body, site_id, at_once, life_seconds, waits, created_by) overriding system value
values ({b} + 101, 'Reset', '{t}', {b} + 21, 5, 20, false, {b} + 1), ({b} + 102, 'Reset', '{t}', {b} + 22, 5, 20, false, {b} + 3);
insert into bulk_rows (bulk_id, charge_point_id, station, outcome, detail)
values ({b} + 101, {b} + 31, '{t}-cp-31', 'Accepted', '{t} detail'), ({b} + 102, {b} + 32, '{t}-cp-32', 'Accepted', '{t} detail');
insert into local_lists (charge_point_id, state, version, entries, left_out, detail, at)
values ({b} + 31, 'Current', 1, 1, 0, '{t} detail', '2026-01-01Z'), ({b} + 32, 'Current', 1, 1, 0, '{t} detail', '2026-01-01Z');

insert into quirk_suggestions (id, charge_point_id, name, suggestion, evidence, suggested_at) overriding system value
select {b} + site + 70, {b} + site + 10, 'localTag', '{"LocalTag": {"shown": "{t}"}}', '{t} evidence', '2026-01-01Z'
from generate_series(21, 22) site;
insert into findings (id, charge_point_id, action, field, oddity, hard, count, first_at, last_at, detail, example)
overriding system value
select {b} + site + 80, {b} + site + 10, 'StopTransaction', 'meterStop', 'Missing', true, 1, '2026-01-01Z', '2026-01-01Z',
       '{t} detail', '{t} example'
from generate_series(21, 22) site;
insert into station_security (charge_point_id, profile, minimum, certificate_serial, certificate_not_before,
                              certificate_not_after, at)
select {b} + n, 3, 2, '{t} serial', '2026-01-01Z', '2027-01-01Z', '2026-01-01Z' from generate_series(31, 32) n;
insert into security_works (charge_point_id, work, step, detail, ended, began_at, at)
select {b} + n, 'Certificate', 'Done', '{t} detail', true, '2026-01-01Z', '2026-01-01Z' from generate_series(31, 32) n;
insert into security_events (site_id, charge_point_id, station, kind, tech_info, critical, at, gateway_id, key)
select {b} + site, {b} + site + 10, '{t}-cp-' || site + 10, 'TamperDetectionActivated', '{t} info', true, '2026-01-01Z',
       ('{h}-0000-4000-8000-0000000000' || site)::uuid, '{t} key'
from generate_series(21, 22) site;
