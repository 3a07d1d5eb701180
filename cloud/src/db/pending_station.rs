//! Unknown stations as rows, until somebody has decided about them or they have not been seen for a week.

use chrono::{DateTime, Utc};
use shared::model::onboarding::{StationKnocked, StationPending, StationRejected, WindowChanged};
use shared::units::Timestamp;
use sqlx::{PgConnection, PgPool};

use super::record::Origin;
use super::text;

/// The most that are kept of a site.
pub const MOST: i64 = 200;

/// An unknown station.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct PendingStation {
    pub id: i64,
    pub site_id: i64,
    pub station: String,
    pub state: String,
    pub address: String,
    pub security_profile: i16,
    pub had_password: bool,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub serial_number: Option<String>,
    pub firmware: Option<String>,
    pub connectors: Option<i32>,
    pub seen: i32,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
}

/// Until when a site lets unknown stations in.
#[derive(Debug, Clone, Default, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Window {
    pub opened_at: Option<DateTime<Utc>>,
    pub open_until: Option<DateTime<Utc>>,
    /// What the installer opened at the gateway.
    pub at_site_until: Option<DateTime<Utc>>,
    pub at_site_at: Option<DateTime<Utc>>,
}

impl Window {
    /// When it closes, if it is open at `now`. The installer's closing outlasts what was opened before.
    pub fn open(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let closed_since = self.at_site_until.is_none() && self.at_site_at > self.opened_at;
        let ours = self.open_until.filter(|_| !closed_since);
        ours.max(self.at_site_until).filter(|until| *until > now)
    }
}

fn time(at: Timestamp) -> DateTime<Utc> {
    at.to_utc().unwrap_or_default()
}

/// It was refused at the door. What is known of it stays.
///
/// # Errors
/// As any statement.
pub async fn knocked(tx: &mut PgConnection, origin: Origin, it: &StationKnocked) -> sqlx::Result<()> {
    sqlx::query(
        "insert into pending_stations (site_id, station, state, address, security_profile, had_password, first_seen_at,
                                       last_seen_at)
         select $1, $2, 'knocked', $3, $4, $5, least($6, now()), least($6, now())
         where not exists (select from charge_points where site_id = $1 and charge_point_hardware_id = $2
                                                       and credential is not null)
         on conflict (site_id, station) do update
         set state = case pending_stations.state when 'rejected' then 'rejected' else 'knocked' end,
             address = excluded.address, security_profile = excluded.security_profile,
             had_password = excluded.had_password, seen = pending_stations.seen + 1, last_seen_at = excluded.last_seen_at
         where pending_stations.last_seen_at <= excluded.last_seen_at",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(text(&it.from))
    .bind(i16::from(it.security_profile))
    .bind(it.had_password)
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

/// It was let in to wait.
///
/// # Errors
/// As any statement.
pub async fn waits(tx: &mut PgConnection, origin: Origin, it: &StationPending) -> sqlx::Result<()> {
    let info = it.info.as_ref();
    sqlx::query(
        "insert into pending_stations (site_id, station, state, address, security_profile, had_password, credential, vendor,
                                       model, serial_number, firmware, connectors, first_seen_at, last_seen_at)
         select $1, $2, 'pending', $3, $4, $5 is not null, $5, $6, $7, $8, $9, $10, least($11, now()), least($11, now())
         where not exists (select from charge_points where site_id = $1 and charge_point_hardware_id = $2
                                                       and credential is not null)
         on conflict (site_id, station) do update
         set state = case pending_stations.state when 'rejected' then 'rejected' else 'pending' end,
             address = excluded.address, security_profile = excluded.security_profile,
             had_password = excluded.had_password, credential = excluded.credential,
             vendor = coalesce(excluded.vendor, pending_stations.vendor),
             model = coalesce(excluded.model, pending_stations.model),
             serial_number = coalesce(excluded.serial_number, pending_stations.serial_number),
             firmware = coalesce(excluded.firmware, pending_stations.firmware),
             connectors = coalesce(excluded.connectors, pending_stations.connectors),
             seen = pending_stations.seen + 1, last_seen_at = excluded.last_seen_at
         where pending_stations.last_seen_at <= excluded.last_seen_at",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(text(&it.from))
    .bind(i16::from(it.security_profile))
    .bind(it.credential.as_deref().map(text))
    .bind(info.map(|info| text(&info.vendor)))
    .bind(info.map(|info| text(&info.model)))
    .bind(info.and_then(|info| info.serial.as_deref()).map(text))
    .bind(info.and_then(|info| info.firmware.as_deref()).map(text))
    .bind(it.connectors.map(i32::from))
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

/// Anybody on a chargers' network can knock under any name: only the newest are kept, and those that were turned away.
///
/// # Errors
/// As any statement.
pub async fn forget_beyond(tx: &mut PgConnection, site: i64) -> sqlx::Result<()> {
    sqlx::query(
        "delete from pending_stations where id in (
             select id from pending_stations where site_id = $1 and state <> 'rejected'
             order by last_seen_at desc offset $2)",
    )
    .bind(site)
    .bind(MOST)
    .execute(tx)
    .await?;
    Ok(())
}

/// The installer turned it away at the gateway.
///
/// # Errors
/// As any statement.
pub async fn rejected_at_site(
    tx: &mut PgConnection,
    origin: Origin,
    it: &StationRejected,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into pending_stations (site_id, station, state, address, security_profile, had_password, first_seen_at,
                                       last_seen_at)
         values ($1, $2, 'rejected', '', 0, false, least($3, now()), least($3, now()))
         on conflict (site_id, station) do update set state = 'rejected'",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

/// An operator turns it away. `false`: there is no such.
///
/// # Errors
/// As any statement.
pub async fn reject(tx: &mut PgConnection, site: i64, station: &str, by: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update pending_stations set state = 'rejected', decided_by = $3 where site_id = $1 and station = $2",
    )
    .bind(site)
    .bind(station)
    .bind(by)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes a station off the list: what it showed, and how many connectors it told.
///
/// # Errors
/// As any statement.
pub async fn take(
    tx: &mut PgConnection,
    site: i64,
    station: &str,
) -> sqlx::Result<Option<(Option<String>, Option<i32>)>> {
    sqlx::query_as(
        "delete from pending_stations where site_id = $1 and station = $2 returning credential, connectors",
    )
    .bind(site)
    .bind(station)
    .fetch_optional(tx)
    .await
}

/// The unknown stations of a site, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn of_site(tx: &mut PgConnection, site: i64) -> sqlx::Result<Vec<PendingStation>> {
    sqlx::query_as(
        "select id, site_id, station, state, address, security_profile, had_password, vendor, model, serial_number, firmware,
                connectors, seen, first_seen_at, last_seen_at
         from pending_stations where site_id = $1 order by last_seen_at desc, id limit $2",
    )
    .bind(site)
    .bind(MOST)
    .fetch_all(tx)
    .await
}

/// Forgets who was not seen for a week; who was turned away, after a year.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_old(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query(
        "delete from pending_stations
         where last_seen_at < now() - case state when 'rejected' then interval '1 year' else interval '7 days' end",
    )
    .execute(db)
    .await?;
    Ok(())
}

// --- the window

/// The installer opened or closed it at the gateway.
///
/// # Errors
/// As any statement.
pub async fn window_at_site(tx: &mut PgConnection, site: i64, it: &WindowChanged) -> sqlx::Result<()> {
    sqlx::query(
        "insert into onboarding_windows (site_id, at_site_until, at_site_at) values ($1, $2, $3)
         on conflict (site_id) do update set at_site_until = excluded.at_site_until, at_site_at = excluded.at_site_at
         where onboarding_windows.at_site_at is null or onboarding_windows.at_site_at <= excluded.at_site_at",
    )
    .bind(site)
    .bind(it.until.map(time))
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

/// An operator opens it for so many minutes, or closes it.
///
/// # Errors
/// As any statement.
pub async fn set_window(
    tx: &mut PgConnection,
    site: i64,
    minutes: Option<i32>,
    by: i64,
) -> sqlx::Result<Window> {
    sqlx::query_as(
        "insert into onboarding_windows (site_id, opened_at, open_until, opened_by)
         values ($1, now(), now() + make_interval(mins => $2), $3)
         on conflict (site_id) do update
         set opened_at = excluded.opened_at, open_until = excluded.open_until, opened_by = excluded.opened_by
         returning opened_at, open_until, at_site_until, at_site_at",
    )
    .bind(site)
    .bind(minutes)
    .bind(by)
    .fetch_one(tx)
    .await
}

/// A site's window.
///
/// # Errors
/// When the database does not answer.
pub async fn window(tx: &mut PgConnection, site: i64) -> sqlx::Result<Window> {
    let found = sqlx::query_as(
        "select opened_at, open_until, at_site_until, at_site_at from onboarding_windows where site_id = $1",
    );
    Ok(found.bind(site).fetch_optional(tx).await?.unwrap_or_default())
}
