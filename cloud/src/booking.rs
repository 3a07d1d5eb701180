//! Bookings: a connector kept for a driver until an hour.
//!
//! `pending` → `reserved` → `used`, `cancelled`, `expired` or `dropped`; or `failed`. The row stands before the site is asked
//! (`Reserve`, a command like any other), and what the command ends in decides: [`settle`] runs wherever commands end, so that
//! a silent station, a gateway without internet and a replica that died end in a clear state too. Whatever the site says later,
//! or has never heard, the row ends at its hour by any replica's sweep.
//!
//! Who keeps others away is told: the station, the gateway for a station that keeps no reservations, or nobody but this row
//! (`cloud`) where the site has no gateway.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::id::{CommandId, EvseNo, GatewayId, ReservationId, StationId};
use shared::model::reservation::{ReservationEnd, ReservationEnded};
use shared::model::{CommandBody, CommandResult, IdToken, Outcome, Reservation as Wanted};
use shared::units::Timestamp;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::auth::Reach;
use crate::command::{self, NewCommand};
use crate::config::Booking;
use crate::db::audit;
use crate::db::reservation::{self as rows, Place, Reservation};
use crate::live::{self, Hint};

/// For how long the site may be asked: who pressed a button is still there.
const ASKING: Duration = Duration::from_secs(20);

/// What somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which connector.
    pub connector: i64,
    /// Who.
    pub user: i64,
    /// What he charges with.
    pub token: String,
    /// Only while he makes up his mind.
    pub soft: bool,
}

/// Why a connector is not kept for somebody, without the site being asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says what it is")]
pub enum Refusal {
    #[error("There is no such connector.")]
    NoConnector,
    #[error("It is reserved already. Choose another one, or try again later.")]
    Reserved,
    #[error("It is in use. Choose another one.")]
    Occupied,
    #[error("It has a fault. Choose another one.")]
    Faulted,
    #[error("It is out of service. Choose another one.")]
    Unavailable,
    #[error("Its station is not connected. Choose another one.")]
    Offline,
    #[error("You have {0} bookings already. Cancel one first.")]
    TooMany(i64),
    #[error("You had it until just now; until {0} it is for others. Choose another one.")]
    CoolingDown(String),
}

/// What came of a wish.
#[derive(Debug)]
pub enum Begun {
    /// Nothing.
    Refused(Refusal),
    /// It is decided: kept already, or by nobody but the cloud.
    Done(i32),
    /// The site is being asked.
    Asked(i32, CommandId),
}

/// Writes a booking down and has the site asked for it. The same again is the same booking.
///
/// # Errors
/// When the database does not answer.
pub async fn begin(db: &PgPool, wish: &Wish, reach: &Reach, rules: &Booking) -> sqlx::Result<Begun> {
    let mut tx = db.begin().await?;
    rows::lock_user(&mut tx, wish.user).await?;
    let Some(place) = rows::lock_place(&mut tx, wish.connector, reach).await? else {
        return Ok(Begun::Refused(Refusal::NoConnector));
    };
    expire_locked(&mut tx, Some(wish.connector)).await?;
    let begun = match rows::live_at(&mut *tx, wish.connector).await? {
        Some(own) if own.user_id == wish.user => again(&mut tx, wish, &place, own, rules).await?,
        Some(_) => Begun::Refused(Refusal::Reserved),
        None => match objection(&mut tx, wish, &place, rules).await? {
            Some(refusal) => Begun::Refused(refusal),
            None => first(&mut tx, wish, &place, rules).await?,
        },
    };
    tx.commit().await?;
    Ok(begun)
}

/// A booking of one's own is there: a soft one becomes firm, anything else stays as it is.
async fn again(
    tx: &mut PgConnection,
    wish: &Wish,
    place: &Place,
    own: Reservation,
    rules: &Booking,
) -> sqlx::Result<Begun> {
    if wish.soft || !own.soft {
        let asked = own.command_id.filter(|_| own.status == "pending").map(CommandId);
        return Ok(asked.map_or(Begun::Done(own.id), |command| Begun::Asked(own.id, command)));
    }
    let wanted = rows::want(tx, own.id, rules.duration(false)).await?;
    let begun = ask_or_hold(tx, wish, place, &wanted).await?;
    log(tx, Some(wish.user), "update", place, &wanted).await?;
    Ok(begun)
}

async fn first(tx: &mut PgConnection, wish: &Wish, place: &Place, rules: &Booking) -> sqlx::Result<Begun> {
    let new = rows::insert(tx, wish.connector, wish.user, wish.soft, rules.duration(wish.soft)).await?;
    let begun = ask_or_hold(tx, wish, place, &new).await?;
    log(tx, Some(wish.user), "create", place, &new).await?;
    Ok(begun)
}

async fn objection(
    tx: &mut PgConnection,
    wish: &Wish,
    place: &Place,
    rules: &Booking,
) -> sqlx::Result<Option<Refusal>> {
    if let Some(refusal) = state_of(place) {
        return Ok(Some(refusal));
    }
    let live = rows::live_of(tx, wish.user).await?;
    if live >= i64::from(rules.live_per_user) {
        return Ok(Some(Refusal::TooMany(live)));
    }
    let pause = Duration::from_secs(rules.cool_down_seconds.into());
    let cooling = rows::cooling_until(tx, wish.connector, wish.user, pause).await?;
    Ok(cooling.map(|until| Refusal::CoolingDown(hour(until))))
}

/// What speaks against a connector by what is known here. The station has the last word.
fn state_of(place: &Place) -> Option<Refusal> {
    match place.status.as_deref() {
        Some("Faulted") => Some(Refusal::Faulted),
        Some("Unavailable") => Some(Refusal::Unavailable),
        Some("Reserved") => Some(Refusal::Reserved),
        Some("Preparing" | "Charging" | "SuspendedEV" | "SuspendedEVSE" | "Finishing") => {
            Some(Refusal::Occupied)
        }
        _ if place.charging => Some(Refusal::Occupied),
        _ if place.gateway_id.is_some() && !place.online => Some(Refusal::Offline),
        _ => None,
    }
}

async fn ask_or_hold(
    tx: &mut PgConnection,
    wish: &Wish,
    place: &Place,
    it: &Reservation,
) -> sqlx::Result<Begun> {
    let Some((gateway, station, evse)) = address(place) else {
        hold(tx, it, "cloud").await?;
        return Ok(Begun::Done(it.id));
    };
    let body = CommandBody::Reserve(Wanted {
        id: ReservationId(it.id),
        evse,
        token: IdToken::new(wish.token.clone()),
        // As the site's list has it: what the same person shows instead of his app.
        group: Some(format!("user-{}", wish.user)),
        until: Timestamp::from_utc(it.wanted_until.unwrap_or(it.expires_at)),
    });
    let new = NewCommand { gateway, station, body, issued_by: Some(wish.user), ttl: ASKING, waits: false };
    let command = command::issue_in(tx, new).await?;
    rows::set_command(tx, it.id, command).await?;
    Ok(Begun::Asked(it.id, command))
}

/// Where the site is asked; `None` where nobody is there to ask.
fn address(place: &Place) -> Option<(GatewayId, StationId, EvseNo)> {
    let evse = u16::try_from(place.evse?).ok().filter(|number| *number > 0)?;
    Some((GatewayId(place.gateway_id?), StationId::new(place.station.clone()?).ok()?, EvseNo(evse)))
}

/// Ends a booking of somebody's own, or one at a site that he operates. `None`: there is none. With the command that tells
/// the site, if it has to be told.
///
/// # Errors
/// When the database does not answer.
pub async fn cancel(
    db: &PgPool,
    connector: i64,
    user: i64,
    operates: &Reach,
) -> sqlx::Result<Option<(i32, Option<CommandId>)>> {
    let mut tx = db.begin().await?;
    let Some(it) = rows::lock_to_cancel(&mut tx, connector, user, operates).await? else { return Ok(None) };
    end(&mut tx, &it, "cancelled", None).await?;
    let told = tell_site(&mut tx, &it, Some(user)).await?;
    if let Some(route) = rows::route(&mut tx, connector).await? {
        let place = (route.site_id, route.organization_id);
        log_at(&mut tx, Some(user), "cancel", place, &it).await?;
    }
    tx.commit().await?;
    Ok(Some((it.id, told)))
}

async fn tell_site(
    tx: &mut PgConnection,
    it: &Reservation,
    by: Option<i64>,
) -> sqlx::Result<Option<CommandId>> {
    if it.command_id.is_none() {
        return Ok(None);
    }
    let Some(route) = rows::route(tx, it.connector_id).await? else { return Ok(None) };
    let station = route.station.and_then(|name| StationId::new(name).ok());
    let (Some(gateway), Some(station)) = (route.gateway_id, station) else { return Ok(None) };
    let body = CommandBody::CancelReservation { reservation: ReservationId(it.id) };
    let new =
        NewCommand { gateway: GatewayId(gateway), station, body, issued_by: by, ttl: ASKING, waits: false };
    Ok(Some(command::issue_in(tx, new).await?))
}

/// A command has ended: if it asked for a reservation, that is decided. The same end again changes nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn settle(tx: &mut PgConnection, result: &CommandResult) -> sqlx::Result<()> {
    let Some(it) = rows::lock_by_command(tx, result.id).await? else { return Ok(()) };
    let held_by = if result.outcome == Outcome::Accepted {
        Some("station")
    } else {
        (result.outcome == Outcome::BySite).then_some("gateway")
    };
    match held_by {
        Some(by) if it.is_live() => hold(tx, &it, by).await,
        // It had ended before the site's word came, so the site keeps it for nobody.
        Some(by) if it.held_by.is_none() => {
            rows::held_in_vain(tx, it.id, by).await?;
            tell_site(tx, &it, None).await.map(drop)
        }
        None if it.is_live() && it.status == "pending" => {
            end(tx, &it, "failed", Some(reason(result.outcome))).await
        }
        None if it.is_live() && it.wanted_until.is_some() => {
            rows::keep_as_it_was(tx, it.id, reason(result.outcome)).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Why a site did not agree, for a driver.
fn reason(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Occupied => "The station says that it is in use. Choose another one.",
        Outcome::Faulted => "The station says that it has a fault. Choose another one.",
        Outcome::Unavailable => "The station says that it is out of service. Choose another one.",
        Outcome::StationOffline => "Its station is not connected. Choose another one.",
        Outcome::TimedOut => "Its station did not answer. Choose another one, or try again.",
        Outcome::Expired | Outcome::Unknown => "The site did not answer. Choose another one, or try again.",
        Outcome::Accepted
        | Outcome::BySite
        | Outcome::Rejected
        | Outcome::Scheduled
        | Outcome::NotSupported
        | Outcome::Failed => "The station refused. Choose another one.",
    }
}

/// The site ended one by itself.
///
/// # Errors
/// When the database does not answer.
pub async fn ended_at_site(tx: &mut PgConnection, site: i64, ended: &ReservationEnded) -> sqlx::Result<()> {
    let Some(it) = rows::lock_at_site(tx, ended.reservation, site).await? else { return Ok(()) };
    let (status, session) = match ended.end {
        ReservationEnd::Used(session) => ("used", Some(session)),
        ReservationEnd::Dropped if it.is_live() => ("dropped", None),
        ReservationEnd::Dropped => return Ok(()),
    };
    let site = rows::end(tx, &it, status, None, session).await?;
    tell(tx, site, it.connector_id).await
}

/// Ends those whose hour has come, until `stop`. Any number of replicas may do so at once.
///
/// # Errors
/// None: a database that is away is waited for.
pub async fn sweep(db: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    while stop.run_until_cancelled(clock.tick()).await.is_some() {
        if let Err(error) = expire(&db).await {
            tracing::warn!(%error, "bookings are not released; trying again");
        }
    }
    Ok(())
}

/// Ends those whose hour has come.
///
/// # Errors
/// When the database does not answer.
pub async fn expire(db: &PgPool) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    expire_locked(&mut tx, None).await?;
    tx.commit().await
}

async fn expire_locked(tx: &mut PgConnection, connector: Option<i64>) -> sqlx::Result<()> {
    for due in rows::lock_due(tx, connector).await? {
        end(tx, &due, "expired", None).await?;
    }
    Ok(())
}

async fn hold(tx: &mut PgConnection, it: &Reservation, by: &str) -> sqlx::Result<()> {
    let site = rows::hold(tx, it, by).await?;
    metrics::counter!("bookings_total", "held_by" => by.to_owned()).increment(1);
    tell(tx, site, it.connector_id).await
}

async fn end(
    tx: &mut PgConnection,
    it: &Reservation,
    status: &str,
    reason: Option<&str>,
) -> sqlx::Result<()> {
    let site = rows::end(tx, it, status, reason, None).await?;
    tell(tx, site, it.connector_id).await
}

async fn tell(tx: &mut PgConnection, site: i64, connector: i64) -> sqlx::Result<()> {
    live::notify(tx, &Hint { sites: vec![site], connectors: vec![connector], ..Hint::default() }).await
}

async fn log(
    tx: &mut PgConnection,
    actor: Option<i64>,
    action: &str,
    place: &Place,
    it: &Reservation,
) -> sqlx::Result<()> {
    log_at(tx, actor, action, (place.site_id, place.organization_id), it).await
}

async fn log_at(
    tx: &mut PgConnection,
    actor: Option<i64>,
    action: &str,
    (site, organization): (i64, Option<i64>),
    it: &Reservation,
) -> sqlx::Result<()> {
    let row = json!({
        "connectorId": it.connector_id, "userId": it.user_id, "soft": it.soft,
        "expiresAt": it.wanted_until.unwrap_or(it.expires_at),
    });
    let entry = audit::Entry {
        actor,
        action,
        entity: "Reservation",
        row_id: Some(it.id.to_string()),
        site_id: Some(site),
        organization_id: organization,
        before: (action == "cancel").then(|| row.clone()),
        after: (action != "cancel").then_some(row),
        ..audit::Entry::default()
    };
    audit::write(tx, &entry).await.map(drop)
}

/// An instant for a person, to the second.
fn hour(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(status: Option<&str>) -> Place {
        Place {
            connector_id: 1,
            site_id: 1,
            organization_id: None,
            station: Some("CP1".into()),
            evse: Some(1),
            gateway_id: Some(uuid::Uuid::nil()),
            online: true,
            status: status.map(str::to_owned),
            charging: false,
        }
    }

    #[test]
    fn only_a_free_connector_is_kept() {
        assert_eq!(state_of(&place(Some("Available"))), None);
        assert_eq!(state_of(&place(None)), None);
        for (status, refusal) in [
            ("Preparing", Refusal::Occupied),
            ("SuspendedEV", Refusal::Occupied),
            ("Faulted", Refusal::Faulted),
            ("Unavailable", Refusal::Unavailable),
            ("Reserved", Refusal::Reserved),
        ] {
            assert_eq!(state_of(&place(Some(status))), Some(refusal));
        }
        assert_eq!(state_of(&Place { charging: true, ..place(Some("Available")) }), Some(Refusal::Occupied));
        assert_eq!(state_of(&Place { online: false, ..place(Some("Available")) }), Some(Refusal::Offline));
        let alone = Place { online: false, gateway_id: None, ..place(None) };
        assert_eq!(state_of(&alone), None, "nobody is there who could know better");
        assert!(address(&alone).is_none() && address(&place(None)).is_some());
    }
}
