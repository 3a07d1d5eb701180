//! Reservations as rows. Where both are locked, the connector is locked first.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::id::{CommandId, ReservationId, SessionId};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::viewer;
use crate::auth::{Reach, Viewer};

/// Reservations ended in one round.
const ROUND: i64 = 64;

/// A connector that somebody wants to have kept.
#[derive(Debug, sqlx::FromRow)]
pub struct Place {
    /// The connector.
    pub connector_id: i64,
    /// Its site.
    pub site_id: i64,
    /// The site's organization.
    pub organization_id: Option<i64>,
    /// Its station's identity.
    pub station: Option<String>,
    /// Its number there.
    pub evse: Option<i32>,
    /// The site's gateway, if one is enrolled.
    pub gateway_id: Option<Uuid>,
    /// Is the station connected?
    pub online: bool,
    /// What the station said last, else what the connector shows.
    pub status: Option<String>,
    /// Does a session run there?
    pub charging: bool,
}

/// A reservation.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Reservation {
    pub id: i32,
    pub connector_id: i64,
    pub user_id: i64,
    pub soft: bool,
    pub status: String,
    pub held_by: Option<String>,
    pub reason: Option<String>,
    pub command_id: Option<Uuid>,
    pub session_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub wanted_until: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
}

impl Reservation {
    /// Has it not ended?
    pub fn is_live(&self) -> bool {
        self.ended_at.is_none()
    }
}

/// A reservation with where it is.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Listed {
    #[sqlx(flatten)]
    pub it: Reservation,
    pub site_id: i64,
    pub site_name: Option<String>,
    pub site_address: Option<String>,
    pub station: Option<String>,
    pub number: Option<i32>,
}

/// Where the site of a reservation is reached.
#[derive(Debug, sqlx::FromRow)]
pub struct Route {
    /// Its site.
    pub site_id: i64,
    /// The site's organization.
    pub organization_id: Option<i64>,
    /// The site's gateway, if one is enrolled.
    pub gateway_id: Option<Uuid>,
    /// The station's identity.
    pub station: Option<String>,
}

/// Locks a connector within reach or public, so that nobody else books it meanwhile.
///
/// # Errors
/// When the database does not answer.
pub async fn lock_place(tx: &mut PgConnection, connector: i64, reach: &Reach) -> sqlx::Result<Option<Place>> {
    sqlx::query_as(
        "select c.id as connector_id, c.site_id, s.organization_id, cp.charge_point_hardware_id as station,
                c.connector_id as evse, g.id as gateway_id, coalesce(cp.online, false) as online,
                coalesce(c.status, c.status_name) as status,
                exists (select from sessions se where se.connector_id = c.id and se.stopped_at is null) as charging
         from connectors c join sites s on s.id = c.site_id left join charge_points cp on cp.id = c.charge_point_id
         left join lateral (select id from gateways where site_id = s.id and revoked_at is null
                            order by enrolled_at desc limit 1) g on true
         where c.id = $1
           and ($2 or s.owner_id = $3 or s.organization_id = any($4) or coalesce(cp.public, true))
         for no key update of c",
    )
    .bind(connector)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(tx)
    .await
}

/// Makes a person's bookings wait for one another, so that none slips past the limit.
///
/// # Errors
/// When the database does not answer.
pub async fn lock_user(tx: &mut PgConnection, user: i64) -> sqlx::Result<()> {
    sqlx::query("select from users where id = $1 for no key update").bind(user).execute(tx).await?;
    Ok(())
}

/// The reservation that a connector is kept by, or that is being asked for.
///
/// # Errors
/// When the database does not answer.
pub async fn live_at(db: impl PgExecutor<'_>, connector: i64) -> sqlx::Result<Option<Reservation>> {
    sqlx::query_as(
        "select * from reservations where connector_id = $1 and ended_at is null and expires_at > now()",
    )
    .bind(connector)
    .fetch_optional(db)
    .await
}

/// How many a person has.
///
/// # Errors
/// When the database does not answer.
pub async fn live_of(tx: &mut PgConnection, user: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from reservations where user_id = $1 and ended_at is null and expires_at > now()",
    )
    .bind(user)
    .fetch_one(tx)
    .await
}

/// Until when a connector is not for this person again, who had it and did not use it.
///
/// # Errors
/// When the database does not answer.
pub async fn cooling_until(
    tx: &mut PgConnection,
    connector: i64,
    user: i64,
    pause: Duration,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar(
        "select until from (select max(ended_at) + make_interval(secs => $3) as until from reservations
             where connector_id = $1 and user_id = $2 and status in ('cancelled', 'expired') and held_by is not null) it
         where until > now()",
    )
    .bind(connector)
    .bind(user)
    .bind(pause.as_secs_f64())
    .fetch_optional(tx)
    .await
}

/// Writes a new one that waits for the site's word.
///
/// # Errors
/// When the connector is taken, or the database does not answer.
pub async fn insert(
    tx: &mut PgConnection,
    connector: i64,
    user: i64,
    soft: bool,
    lasts: Duration,
) -> sqlx::Result<Reservation> {
    sqlx::query_as(
        "insert into reservations (connector_id, user_id, soft, expires_at)
         values ($1, $2, $3, now() + make_interval(secs => $4)) returning *",
    )
    .bind(connector)
    .bind(user)
    .bind(soft)
    .bind(lasts.as_secs_f64())
    .fetch_one(tx)
    .await
}

/// The command that asks the site for it.
///
/// # Errors
/// When the database does not answer.
pub async fn set_command(tx: &mut PgConnection, id: i32, command: CommandId) -> sqlx::Result<()> {
    sqlx::query("update reservations set command_id = $2 where id = $1")
        .bind(id)
        .bind(command.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// A soft one shall become firm: the end to ask the site for.
///
/// # Errors
/// When the database does not answer.
pub async fn want(tx: &mut PgConnection, id: i32, lasts: Duration) -> sqlx::Result<Reservation> {
    sqlx::query_as(
        "update reservations set wanted_until = now() + make_interval(secs => $2) where id = $1 returning *",
    )
    .bind(id)
    .bind(lasts.as_secs_f64())
    .fetch_one(tx)
    .await
}

/// One reservation.
///
/// # Errors
/// When the database does not answer.
pub async fn find(db: &PgPool, id: i32) -> sqlx::Result<Option<Reservation>> {
    sqlx::query_as("select * from reservations where id = $1").bind(id).fetch_optional(db).await
}

/// Locks the reservation that a command asked for.
///
/// # Errors
/// When the database does not answer.
pub async fn lock_by_command(tx: &mut PgConnection, command: CommandId) -> sqlx::Result<Option<Reservation>> {
    sqlx::query_as(
        "select r.* from connectors c join reservations r on r.connector_id = c.id where r.command_id = $1
         for no key update of c, r",
    )
    .bind(command.0)
    .fetch_optional(tx)
    .await
}

/// Locks a reservation at a site: one that is live, or whose hour came before the site's word on it.
///
/// # Errors
/// When the database does not answer.
pub async fn lock_at_site(
    tx: &mut PgConnection,
    id: ReservationId,
    site: i64,
) -> sqlx::Result<Option<Reservation>> {
    sqlx::query_as(
        "select r.* from connectors c join reservations r on r.connector_id = c.id
         where r.id = $1 and c.site_id = $2 and (r.ended_at is null or r.status = 'expired') for no key update of c, r",
    )
    .bind(id.0)
    .bind(site)
    .fetch_optional(tx)
    .await
}

/// Locks the live one at a connector, when it is this person's or at a site that he operates.
///
/// # Errors
/// When the database does not answer.
pub async fn lock_to_cancel(
    tx: &mut PgConnection,
    connector: i64,
    user: i64,
    operates: &Reach,
) -> sqlx::Result<Option<Reservation>> {
    sqlx::query_as(
        "select r.* from connectors c join sites s on s.id = c.site_id join reservations r on r.connector_id = c.id
         where c.id = $1 and r.ended_at is null and r.expires_at > now()
           and (r.user_id = $2 or $3 or s.owner_id = $4 or s.organization_id = any($5))
         for no key update of c, r",
    )
    .bind(connector)
    .bind(user)
    .bind(operates.everything)
    .bind(operates.user)
    .bind(&operates.organizations)
    .fetch_optional(tx)
    .await
}

/// Locks those whose hour has come, at one connector or anywhere; other replicas skip them.
///
/// # Errors
/// When the database does not answer.
pub async fn lock_due(tx: &mut PgConnection, connector: Option<i64>) -> sqlx::Result<Vec<Reservation>> {
    sqlx::query_as(
        "select r.* from connectors c join reservations r on r.connector_id = c.id
         where r.ended_at is null and r.expires_at <= now() and ($1::bigint is null or c.id = $1)
         order by r.expires_at limit $2 for no key update of c, r skip locked",
    )
    .bind(connector)
    .bind(ROUND)
    .fetch_all(tx)
    .await
}

/// How the site of a connector is reached.
///
/// # Errors
/// When the database does not answer.
pub async fn route(tx: &mut PgConnection, connector: i64) -> sqlx::Result<Option<Route>> {
    sqlx::query_as(
        "select c.site_id, s.organization_id, g.id as gateway_id, cp.charge_point_hardware_id as station
         from connectors c join sites s on s.id = c.site_id left join charge_points cp on cp.id = c.charge_point_id
         left join lateral (select id from gateways where site_id = s.id and revoked_at is null
                            order by enrolled_at desc limit 1) g on true
         where c.id = $1",
    )
    .bind(connector)
    .fetch_optional(tx)
    .await
}

/// It is kept now, by station, gateway or cloud. The connector shows it, and its site is returned.
///
/// # Errors
/// When the database does not answer.
pub async fn hold(tx: &mut PgConnection, it: &Reservation, by: &str) -> sqlx::Result<i64> {
    sqlx::query(
        "update reservations set status = 'reserved', held_by = $2, reason = null, wanted_until = null,
             soft = soft and wanted_until is null, expires_at = coalesce(wanted_until, expires_at)
         where id = $1",
    )
    .bind(it.id)
    .bind(by)
    .execute(&mut *tx)
    .await?;
    sqlx::query_scalar(
        "update connectors set updated_at = now(),
             status_name = case when coalesce(status, status_name, 'Available') = 'Available' then 'Reserved'
                                else status_name end
         where id = $1 returning site_id",
    )
    .bind(it.connector_id)
    .fetch_one(tx)
    .await
}

/// The site knows of one that has ended here.
///
/// # Errors
/// When the database does not answer.
pub async fn held_in_vain(tx: &mut PgConnection, id: i32, by: &str) -> sqlx::Result<()> {
    sqlx::query("update reservations set held_by = $2 where id = $1").bind(id).bind(by).execute(tx).await?;
    Ok(())
}

/// The site did not agree to another end: it stays as it was.
///
/// # Errors
/// When the database does not answer.
pub async fn keep_as_it_was(tx: &mut PgConnection, id: i32, reason: &str) -> sqlx::Result<()> {
    sqlx::query("update reservations set wanted_until = null, reason = $2 where id = $1")
        .bind(id)
        .bind(reason)
        .execute(tx)
        .await?;
    Ok(())
}

/// It has ended. The connector is free, whatever its station still says, or in use. Its site is returned.
///
/// # Errors
/// When the database does not answer.
pub async fn end(
    tx: &mut PgConnection,
    it: &Reservation,
    status: &str,
    reason: Option<&str>,
    session: Option<SessionId>,
) -> sqlx::Result<i64> {
    sqlx::query(
        "update reservations set status = $2, reason = coalesce($3, reason), session_id = $4,
             ended_at = coalesce(ended_at, now()) where id = $1",
    )
    .bind(it.id)
    .bind(status)
    .bind(reason)
    .bind(session.map(|session| session.0))
    .execute(&mut *tx)
    .await?;
    sqlx::query_scalar(
        "update connectors set updated_at = now(),
             status = case when status = 'Reserved' and not $2 then 'Available' else status end,
             status_name = case when status_name <> 'Reserved' then status_name when $2 then 'Charging' else 'Available' end
         where id = $1 returning site_id",
    )
    .bind(it.connector_id)
    .bind(session.is_some())
    .fetch_one(tx)
    .await
}

/// Whose reservations.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// The asking one's.
    Own,
    /// Those at a site, as far as he operates it.
    At(i64, &'a Reach),
}

/// A page of reservations, the newest first, and how many there are.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    db: &PgPool,
    who: &Viewer,
    whose: Whose<'_>,
    live: bool,
    (limit, offset): (i64, i64),
) -> sqlx::Result<Vec<Listed>> {
    let nothing = Reach::default();
    let (site, reach) = match whose {
        Whose::Own => (None, &nothing),
        Whose::At(site, reach) => (Some(site), reach),
    };
    let mut tx = viewer::begin(db, who).await?;
    sqlx::query_as(
        "select r.*, p.site_id, p.site_name, p.site_address, p.station, p.number
         from reservations r join public_places p on p.connector_id = r.connector_id
         left join sites s on s.id = p.site_id
         where (not $3 or r.ended_at is null)
           and case when $2::bigint is null then r.user_id = $1
                    else p.site_id = $2 and ($4 or s.owner_id = $5 or s.organization_id = any($6)) end
         order by r.id desc limit $7 offset $8",
    )
    .bind(who.id)
    .bind(site)
    .bind(live)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(limit)
    .bind(offset)
    .fetch_all(&mut *tx)
    .await
}
