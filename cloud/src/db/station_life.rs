//! How stations fare: as a whole, their clocks, whether they are held, and those that somebody adopts.

use chrono::{DateTime, Utc};
use shared::id::StationId;
use shared::model::event::{ClockMeasured, StatusChanged};
use shared::model::onboarding::StationAdopted;
use shared::units::Timestamp;
use sqlx::PgConnection;

use super::record::Origin;
use super::{pending_station, site, text};

/// The most connectors that a station is believed to have.
pub const MOST_CONNECTORS: i32 = 99;

fn time(at: Timestamp) -> DateTime<Utc> {
    at.to_utc().unwrap_or_default()
}

/// The newest status of stations as a whole.
///
/// # Errors
/// As any statement.
pub async fn statuses<'a>(
    tx: &mut PgConnection,
    origin: Origin,
    statuses: impl Iterator<Item = &'a StatusChanged> + Clone,
) -> sqlx::Result<()> {
    sqlx::query(
        "update charge_points p set station_status = u.status, station_error = u.error, station_status_at = u.at
         from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) u (station, status, error, at)
         where p.charge_point_hardware_id = u.station and p.site_id = $1
           and (p.station_status_at is null or p.station_status_at <= u.at)",
    )
    .bind(origin.site_id)
    .bind(statuses.clone().map(|it| text(it.station.as_str())).collect::<Vec<_>>())
    .bind(statuses.clone().map(|it| it.status.name()).collect::<Vec<_>>())
    .bind(statuses.clone().map(|it| it.error.as_deref().map(text)).collect::<Vec<_>>())
    .bind(statuses.map(|it| time(it.at)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// How clocks go.
///
/// # Errors
/// As any statement.
pub async fn clocks<'a>(
    tx: &mut PgConnection,
    origin: Origin,
    clocks: impl Iterator<Item = &'a ClockMeasured> + Clone,
) -> sqlx::Result<()> {
    sqlx::query(
        "update charge_points p set clock_skew_ms = u.skew, clock_measured_at = u.at
         from unnest($2::text[], $3::bigint[], $4::timestamptz[]) u (station, skew, at)
         where p.charge_point_hardware_id = u.station and p.site_id = $1
           and (p.clock_measured_at is null or p.clock_measured_at <= u.at)",
    )
    .bind(origin.site_id)
    .bind(clocks.clone().map(|it| text(it.station.as_str())).collect::<Vec<_>>())
    .bind(clocks.clone().map(|it| it.skew_ms).collect::<Vec<_>>())
    .bind(clocks.map(|it| time(it.at)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Holds a charge point, or releases it.
///
/// # Errors
/// As any statement.
pub async fn hold(tx: &mut PgConnection, id: i64, held: bool) -> sqlx::Result<()> {
    sqlx::query(
        "update charge_points set held_at = case when $2 then coalesce(held_at, now()) end, updated_at = now()
         where id = $1",
    )
    .bind(id)
    .bind(held)
    .execute(tx)
    .await?;
    Ok(())
}

/// The identities of a site's stations that are held, and of unknown ones that were turned away.
///
/// # Errors
/// When the database does not answer.
pub async fn held_and_rejected(
    tx: &mut PgConnection,
    site: i64,
) -> sqlx::Result<(Vec<StationId>, Vec<StationId>)> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "select charge_point_hardware_id, true from charge_points
         where site_id = $1 and held_at is not null and charge_point_hardware_id is not null
         union all
         (select station, false from pending_stations where site_id = $1 and state = 'rejected'
          order by last_seen_at desc limit 500)
         order by 2, 1",
    )
    .bind(site)
    .fetch_all(tx)
    .await?;
    let (mut held, mut rejected) = (Vec::new(), Vec::new());
    for (name, is_held) in rows {
        if let Ok(station) = StationId::new(name) {
            if is_held { held.push(station) } else { rejected.push(station) }
        }
    }
    Ok((held, rejected))
}

/// Makes a charge point of a station, with at least so many connectors, and its credential. Its id.
///
/// # Errors
/// When another site has a station of this identity, or the database does not answer.
pub async fn adopt(
    tx: &mut PgConnection,
    site: i64,
    owner: Option<i64>,
    station: &str,
    credential: &str,
    connectors: i32,
) -> sqlx::Result<i64> {
    site::set_credential(tx, site, owner, station, credential).await?;
    let id: i64 = sqlx::query_scalar(
        "select id from charge_points where site_id = $1 and lower(charge_point_hardware_id) = lower($2)",
    )
    .bind(site)
    .bind(station)
    .fetch_one(&mut *tx)
    .await?;
    let known = site::connectors(tx, id).await?;
    for number in 1..=connectors.clamp(1, MOST_CONNECTORS) {
        if !known.iter().any(|it| it.connector_id == Some(number)) {
            site::insert_connector(tx, id, number).await?;
        }
    }
    Ok(id)
}

/// An installer adopted a station at the gateway. `false`: another site has a station of this identity.
///
/// # Errors
/// As any statement.
pub async fn adopted_at_site(
    tx: &mut PgConnection,
    origin: Origin,
    it: &StationAdopted,
) -> sqlx::Result<bool> {
    let station = text(it.station.as_str());
    let known: Option<(i64, bool)> = sqlx::query_as(
        "select site_id, credential is not null from charge_points where lower(charge_point_hardware_id) = lower($1)",
    )
    .bind(&station)
    .fetch_optional(&mut *tx)
    .await?;
    match known {
        Some((site, _)) if site != origin.site_id => return Ok(false),
        // The operator was faster: his word counts.
        Some((_, true)) => return Ok(true),
        Some((_, false)) | None => {}
    }
    let owner: Option<i64> = sqlx::query_scalar("select owner_id from sites where id = $1")
        .bind(origin.site_id)
        .fetch_one(&mut *tx)
        .await?;
    let (credential, connectors) = (text(&it.credential), i32::from(it.connectors));
    adopt(tx, origin.site_id, owner, &station, &credential, connectors).await?;
    pending_station::take(tx, origin.site_id, &station).await?;
    Ok(true)
}
