//! Row changes into rows, a list at a time. Every statement can be repeated: it then changes nothing.
//!
//! A gateway writes rows of its own site and its own sessions only, whatever ids it names.

use chrono::{DateTime, Utc};
use shared::id::SessionId;
use shared::model::event::{
    DocumentApplied, MeterGap, PresenceChanged, SessionMetered, SessionPriced, StationBooted, StatusChanged,
};
use shared::model::{SessionStarted, SessionStopped};
use shared::units::Timestamp;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::record::Origin;
use super::text;
use crate::ingest::project::Progress;

fn time(at: Timestamp) -> DateTime<Utc> {
    at.to_utc().unwrap_or_default()
}

/// Lists of rows become one array per column.
fn column<'a, T, C>(rows: impl IntoIterator<Item = &'a T>, value: impl Fn(&'a T) -> C) -> Vec<C>
where
    T: 'a,
{
    rows.into_iter().map(value).collect()
}

/// Sessions that began. What readings came before (they have a lane of their own) counts at once.
pub async fn sessions_started(
    tx: &mut PgConnection,
    origin: Origin,
    starts: &[SessionStarted],
) -> sqlx::Result<()> {
    let ids = column(starts, |it| it.session.0);
    sqlx::query(
        "insert into sessions (id, gateway_id, site_id, charge_point_id, connector_id, station, evse, tx_ref, user_id,
             id_token, authorised_by, auth_status, caused_by, started_at, meter_start, tariff_id, tariff_version, flags)
         select u.id, $1, $2, p.id, c.id, u.station, u.evse, u.tx_ref,
             coalesce(t.user_id, (select issued_by from commands where id = u.caused_by and gateway_id = $1)),
             u.token, u.authorised_by, u.auth, u.caused_by, u.at, u.meter, u.tariff, u.tariff_version,
             string_to_array(u.flags, ',')
         from unnest($3::uuid[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[],
                     $11::timestamptz[], $12::bigint[], $13::uuid[], $14::int[], $15::text[], $16::text[])
              u (id, station, evse, tx_ref, token, authorised_by, auth, caused_by, at, meter, tariff, tariff_version, flags,
                 folded)
         left join charge_points p on lower(p.charge_point_hardware_id) = lower(u.station)
              and p.charge_point_hardware_id = u.station and p.site_id = $2
         left join connectors c on c.charge_point_id = p.id and c.connector_id = u.evse
         left join id_tokens t on lower(t.token) = u.folded
         -- ids sort by time, and apps sort by the numbers that are given here
         order by u.id
         on conflict (id) do nothing",
    )
    .bind(origin.gateway.0)
    .bind(origin.site_id)
    .bind(&ids)
    .bind(column(starts, |it| text(it.station.as_str())))
    .bind(column(starts, |it| i32::from(it.evse.0)))
    .bind(column(starts, |it| text(&it.tx_ref.0)))
    .bind(column(starts, |it| it.token.as_ref().map(|token| text(token.as_str()))))
    .bind(column(starts, |it| format!("{:?}", it.authorised_by)))
    .bind(column(starts, |it| format!("{:?}", it.auth)))
    .bind(column(starts, |it| it.caused_by.map(|command| command.0)))
    .bind(column(starts, |it| time(it.at)))
    .bind(column(starts, |it| it.meter_start.0))
    .bind(column(starts, |it| it.tariff.map(|tariff| tariff.id.0)))
    .bind(column(starts, |it| it.tariff.map(|tariff| i32::try_from(tariff.version).unwrap_or(i32::MAX))))
    .bind(column(starts, |it| names(&it.flags)))
    .bind(column(starts, |it| it.token.as_ref().map(|token| text(&token.folded()))))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "update sessions s set read_at = r.taken_at, power_w = r.power_w, soc = r.soc,
             energy_wh = greatest(r.register_wh - s.meter_start, 0)
         from (select distinct on (session_id) * from meter_readings where session_id = any($1)
               order by session_id, taken_at desc) r
         where s.id = r.session_id and s.gateway_id = $2 and s.read_at is null and s.stopped_at is null",
    )
    .bind(&ids)
    .bind(origin.gateway.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Sessions that ended; the first end counts. Returns those that no session of this gateway fits.
pub async fn sessions_stopped(
    tx: &mut PgConnection,
    origin: Origin,
    stops: &[SessionStopped],
) -> sqlx::Result<Vec<SessionId>> {
    let ids = column(stops, |it| it.session.0);
    sqlx::query(
        "update sessions s set stopped_at = u.at, meter_stop = u.meter, energy_wh = u.energy, stop_reason = u.reason,
             power_w = 0, updated_at = now(),
             flags = (select coalesce(array_agg(distinct flag), '{}') from unnest(s.flags || string_to_array(u.flags, ',')) flag)
         from unnest($2::uuid[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
              u (id, at, meter, energy, reason, flags)
         where s.id = u.id and s.gateway_id = $1 and s.stopped_at is null",
    )
    .bind(origin.gateway.0)
    .bind(&ids)
    .bind(column(stops, |it| time(it.at)))
    .bind(column(stops, |it| it.meter_stop.0))
    .bind(column(stops, |it| it.energy.0))
    .bind(column(stops, |it| format!("{:?}", it.reason)))
    .bind(column(stops, |it| names(&it.flags)))
    .execute(&mut *tx)
    .await?;
    not_ours(tx, origin, &ids).await
}

/// What the edge priced. Returns those that no session of this gateway fits.
pub async fn sessions_priced(
    tx: &mut PgConnection,
    origin: Origin,
    prices: &[SessionPriced],
) -> sqlx::Result<Vec<SessionId>> {
    let ids = column(prices, |it| it.session.0);
    sqlx::query(
        "update sessions s set edge_cost = u.cost
         from unnest($2::uuid[], $3::jsonb[]) u (id, cost)
         where s.id = u.id and s.gateway_id = $1 and s.edge_cost is null",
    )
    .bind(origin.gateway.0)
    .bind(&ids)
    .bind(column(prices, |it| Json(&it.cost)))
    .execute(&mut *tx)
    .await?;
    not_ours(tx, origin, &ids).await
}

async fn not_ours(tx: &mut PgConnection, origin: Origin, ids: &[Uuid]) -> sqlx::Result<Vec<SessionId>> {
    let missing: Vec<Uuid> = sqlx::query_scalar(
        "select id from unnest($2::uuid[]) u (id)
         where not exists (select from sessions s where s.id = u.id and s.gateway_id = $1)",
    )
    .bind(origin.gateway.0)
    .bind(ids)
    .fetch_all(tx)
    .await?;
    Ok(missing.into_iter().map(SessionId).collect())
}

/// Readings, but none of another gateway's sessions.
pub async fn readings(
    tx: &mut PgConnection,
    origin: Origin,
    readings: &[SessionMetered],
) -> sqlx::Result<()> {
    let mut sessions = column(readings, |it| it.session.0);
    let ids = sessions.clone();
    sessions.sort_unstable();
    sessions.dedup();
    sqlx::query(
        "insert into meter_readings (session_id, taken_at, register_wh, power_w, current_ma, voltage_mv, soc)
         select u.* from unnest($3::uuid[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                                $9::smallint[]) u (session, at, register, power, current, voltage, soc)
         where u.session <> all (array(select id from sessions where id = any($2) and gateway_id <> $1))
         on conflict do nothing",
    )
    .bind(origin.gateway.0)
    .bind(sessions)
    .bind(ids)
    .bind(column(readings, |it| time(it.reading.taken_at)))
    .bind(column(readings, |it| it.reading.register.map(|wh| wh.0)))
    .bind(column(readings, |it| it.reading.power.map(|watts| watts.0)))
    .bind(column(readings, |it| it.reading.current.map(|current| current.0)))
    .bind(column(readings, |it| it.reading.voltage.map(|voltage| voltage.0)))
    .bind(column(readings, |it| it.reading.soc.map(|soc| i16::from(soc.0))))
    .execute(tx)
    .await?;
    Ok(())
}

/// Where readings were given up, but none of another gateway's sessions.
pub async fn gaps(tx: &mut PgConnection, origin: Origin, gaps: &[MeterGap]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into meter_gaps (session_id, from_at, to_at, readings, energy_first_wh, energy_last_wh)
         select u.* from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::bigint[])
                         u (session, from_at, to_at, readings, first, last)
         where not exists (select from sessions s where s.id = u.session and s.gateway_id <> $1)
         on conflict do nothing",
    )
    .bind(origin.gateway.0)
    .bind(column(gaps, |it| it.session.0))
    .bind(column(gaps, |it| time(it.from)))
    .bind(column(gaps, |it| time(it.to)))
    .bind(column(gaps, |it| i64::from(it.count)))
    .bind(column(gaps, |it| it.energy_first.map(|wh| wh.0)))
    .bind(column(gaps, |it| it.energy_last.map(|wh| wh.0)))
    .execute(tx)
    .await?;
    Ok(())
}

/// What running sessions show now.
pub async fn progress(
    tx: &mut PgConnection,
    origin: Origin,
    progress: impl IntoIterator<Item = (&SessionId, &Progress)> + Clone,
) -> sqlx::Result<()> {
    let rows: Vec<(&SessionId, &Progress)> = progress.into_iter().collect();
    sqlx::query(
        "update sessions s set read_at = u.at, power_w = coalesce(u.power, s.power_w), soc = coalesce(u.soc, s.soc),
             energy_wh = greatest(s.energy_wh, u.register - s.meter_start, 0), updated_at = now()
         from unnest($2::uuid[], $3::timestamptz[], $4::bigint[], $5::smallint[], $6::bigint[])
              u (id, at, power, soc, register)
         where s.id = u.id and s.gateway_id = $1 and s.stopped_at is null and (s.read_at is null or s.read_at <= u.at)",
    )
    .bind(origin.gateway.0)
    .bind(column(&rows, |(id, _)| id.0))
    .bind(column(&rows, |(_, it)| time(it.newest.taken_at)))
    .bind(column(&rows, |(_, it)| it.newest.power.map(|watts| watts.0)))
    .bind(column(&rows, |(_, it)| it.newest.soc.map(|soc| i16::from(soc.0))))
    .bind(column(&rows, |(_, it)| it.highest.map(|wh| wh.0)))
    .execute(tx)
    .await?;
    Ok(())
}

/// A connector whose row was written.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Touched {
    /// Its id.
    pub id: i64,
    /// Was it unknown before?
    pub created: bool,
}

/// The newest status of connectors. A connector that a known station has and nobody entered yet is created.
pub async fn statuses<'a>(
    tx: &mut PgConnection,
    origin: Origin,
    statuses: impl IntoIterator<Item = &'a StatusChanged> + Clone,
) -> sqlx::Result<Vec<Touched>> {
    sqlx::query_as(
        "insert into connectors (charge_point_id, site_id, owner_id, label, connector_id, charge_point_hardware_id,
                                 price_unit, status_name, status, status_at)
         select p.id, p.site_id, p.owner_id, u.evse::text, u.evse, p.charge_point_hardware_id, '$/kWh', u.status,
                u.status, u.at
         from unnest($2::text[], $3::int[], $4::text[], $5::timestamptz[]) u (station, evse, status, at)
         join charge_points p on lower(p.charge_point_hardware_id) = lower(u.station)
              and p.charge_point_hardware_id = u.station and p.site_id = $1
         where u.evse between 1 and 99
         on conflict (charge_point_id, connector_id) do update
         set status_name = shown_status(connectors.id, excluded.status), status = excluded.status,
             status_at = excluded.status_at, updated_at = now()
         where connectors.status_at is null or connectors.status_at <= excluded.status_at
         returning id, xmax = 0 as created",
    )
    .bind(origin.site_id)
    .bind(column(statuses.clone(), |it| text(it.station.as_str())))
    .bind(column(statuses.clone(), |it| it.evse.map_or(0, |evse| i32::from(evse.0))))
    .bind(column(statuses.clone(), |it| it.status.name()))
    .bind(column(statuses, |it| time(it.at)))
    .fetch_all(tx)
    .await
}

/// Who is connected. `true` when something changed.
pub async fn presences<'a>(
    tx: &mut PgConnection,
    origin: Origin,
    presences: impl IntoIterator<Item = &'a PresenceChanged> + Clone,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update charge_points p set online = u.connected,
             status = case when u.connected then 'Connected' else 'Disconnected' end,
             presence_at = u.at, last_seen_at = greatest(p.last_seen_at, u.at), updated_at = now()
         from unnest($2::text[], $3::boolean[], $4::timestamptz[]) u (station, connected, at)
         where lower(p.charge_point_hardware_id) = lower(u.station) and p.charge_point_hardware_id = u.station
           and p.site_id = $1 and (p.presence_at is null or p.presence_at <= u.at)",
    )
    .bind(origin.site_id)
    .bind(column(presences.clone(), |it| text(it.station.as_str())))
    .bind(column(presences.clone(), |it| it.connected))
    .bind(column(presences, |it| time(it.at)))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// What stations say they are.
pub async fn boots<'a>(
    tx: &mut PgConnection,
    origin: Origin,
    boots: impl IntoIterator<Item = &'a StationBooted> + Clone,
) -> sqlx::Result<()> {
    sqlx::query(
        "update charge_points p set vendor = u.vendor, model = u.model, serial_number = coalesce(u.serial, p.serial_number),
             firmware = coalesce(u.firmware, p.firmware), last_seen_at = greatest(p.last_seen_at, u.at), updated_at = now()
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
              u (station, vendor, model, serial, firmware, at)
         where lower(p.charge_point_hardware_id) = lower(u.station) and p.charge_point_hardware_id = u.station
           and p.site_id = $1",
    )
    .bind(origin.site_id)
    .bind(column(boots.clone(), |it| text(it.station.as_str())))
    .bind(column(boots.clone(), |it| text(&it.info.vendor)))
    .bind(column(boots.clone(), |it| text(&it.info.model)))
    .bind(column(boots.clone(), |it| it.info.serial.as_deref().map(text)))
    .bind(column(boots.clone(), |it| it.info.firmware.as_deref().map(text)))
    .bind(column(boots, |it| time(it.at)))
    .execute(tx)
    .await?;
    Ok(())
}

/// Documents that the gateway works by.
pub async fn documents_applied(
    tx: &mut PgConnection,
    origin: Origin,
    applied: &[DocumentApplied],
) -> sqlx::Result<()> {
    sqlx::query(
        "update documents d set held_version = greatest(d.held_version, u.version)
         from (select name, max(version) as version from unnest($2::text[], $3::bigint[]) a (name, version) group by name) u
         where d.gateway_id = $1 and d.name = u.name",
    )
    .bind(origin.gateway.0)
    .bind(column(applied, |it| text(&it.name)))
    .bind(column(applied, |it| i64::try_from(it.version).unwrap_or(i64::MAX)))
    .execute(tx)
    .await?;
    Ok(())
}

fn names<T: std::fmt::Debug>(flags: &[T]) -> String {
    flags.iter().map(|flag| format!("{flag:?}")).collect::<Vec<_>>().join(",")
}
