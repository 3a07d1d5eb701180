//! How far updates and logs are, as gateways tell it.

use shared::model::file::{FirmwareProgressed, LogProgressed, LogReceived};
use shared::model::{Command, CommandBody, CommandResult, Outcome};
use shared::units::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::record::Origin;
use super::text;

/// A step, whatever it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The command that ordered it.
    pub command: Uuid,
    /// The state's name.
    pub state: String,
    /// More, for a person.
    pub detail: String,
    /// Does nothing follow?
    pub ended: bool,
    /// Since when.
    pub at: Timestamp,
}

impl Step {
    /// A step of an update that was ordered here.
    pub fn of_update(it: FirmwareProgressed) -> Option<Self> {
        let (state, ended) = (it.state.name(), it.state.is_end());
        Some(Step { command: it.update?.0, state, detail: it.detail, ended, at: it.at })
    }

    /// A step of a log that was asked for here.
    pub fn of_log(it: LogProgressed) -> Option<Self> {
        let (state, ended) = (it.state.name(), it.state.is_end());
        Some(Step { command: it.log?.0, state, detail: it.detail, ended, at: it.at })
    }
}

/// Keeps steps and what they lead to, in their order. Those about nothing that this gateway was ordered change nothing.
///
/// # Errors
/// As any statement.
pub async fn keep(tx: &mut PgConnection, origin: Origin, steps: &[Step]) -> sqlx::Result<()> {
    for step in steps {
        take(tx, origin.gateway.0, step).await?;
    }
    Ok(())
}

async fn take(tx: &mut PgConnection, gateway: Uuid, step: &Step) -> sqlx::Result<()> {
    let at = step.at.to_utc().unwrap_or_default();
    sqlx::query(
        "with ours as (select id from commands where id = $1 and gateway_id = $2),
         told as (insert into file_steps (command, state, detail, at) select id, $3, $4, $5 from ours
                  on conflict do nothing),
         updated as (update firmware_updates set state = $3, detail = $4, state_at = $5, ended = $6
                     where id = (select id from ours) and (state_at <= $5 or state = 'Ordered'))
         update station_logs set state = $3, detail = $4, state_at = $5, ended = $6
         where id = (select id from ours) and (state_at <= $5 or state = 'Ordered')",
    )
    .bind(step.command)
    .bind(gateway)
    .bind(&step.state)
    .bind(text(&step.detail))
    .bind(at)
    .bind(step.ended)
    .execute(tx)
    .await?;
    Ok(())
}

/// Logs that are on the gateway's disk.
///
/// # Errors
/// As any statement.
pub async fn received(tx: &mut PgConnection, origin: Origin, logs: &[LogReceived]) -> sqlx::Result<()> {
    for log in logs {
        sqlx::query(
            "update station_logs l set name = $3, size = $4, sha256 = $5, received_at = $6,
                    arrived_at = case when l.sha256 = $5 then l.arrived_at end
             from commands c where l.id = $1 and c.id = l.id and c.gateway_id = $2",
        )
        .bind(log.log.0)
        .bind(origin.gateway.0)
        .bind(text(&log.file.name))
        .bind(i64::try_from(log.file.size).unwrap_or(i64::MAX))
        .bind(&log.file.sha256.0[..])
        .bind(log.at.to_utc().unwrap_or_default())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// An order about a file that an installer gave at the gateway: `false` when it is about none, or of no station here.
///
/// # Errors
/// As any statement.
pub async fn learn(tx: &mut PgConnection, site: i64, command: &Command) -> sqlx::Result<bool> {
    // Its steps are later than the order, and perhaps all of them earlier than now.
    let at = command.issued_at.to_utc().unwrap_or_default();
    let query = if let CommandBody::RequestLog(log) = &command.body {
        sqlx::query(
            "insert into station_logs (id, charge_point_id, kind, state_at, created_at)
             select $1, id, $4, $5, $5 from charge_points where site_id = $2 and charge_point_hardware_id = $3",
        )
        .bind(command.id.0)
        .bind(site)
        .bind(text(command.station.as_str()))
        .bind(log.kind.name())
        .bind(at)
    } else if let CommandBody::UpdateFirmware(update) = &command.body {
        // An image that was brought to the gateway is none of ours.
        sqlx::query(
            "insert into firmware_updates (id, charge_point_id, version, signed, state_at, created_at)
             select $1, id, $4, $5, $6, $6 from charge_points where site_id = $2 and charge_point_hardware_id = $3",
        )
        .bind(command.id.0)
        .bind(site)
        .bind(text(command.station.as_str()))
        .bind(text(&update.image.version))
        .bind(update.signature.is_some())
        .bind(at)
    } else {
        return Ok(false);
    };
    Ok(query.execute(tx).await?.rows_affected() == 1)
}

/// A command's end, which comes faster than the steps do: the station's yes, or that nothing follows.
///
/// # Errors
/// As any statement.
pub async fn settle(tx: &mut PgConnection, result: &CommandResult) -> sqlx::Result<bool> {
    let (state, ended) = match result.outcome {
        Outcome::Accepted | Outcome::Scheduled => ("Accepted", false),
        // It may have heard us all the same.
        Outcome::TimedOut | Outcome::Unknown => return Ok(false),
        Outcome::Rejected
        | Outcome::NotSupported
        | Outcome::Failed
        | Outcome::StationOffline
        | Outcome::Expired
        | Outcome::BySite
        | Outcome::Occupied
        | Outcome::Faulted
        | Outcome::Unavailable => ("Refused", true),
    };
    // A yes needs no words.
    let detail = if ended { text(&result.detail) } else { String::new() };
    let changed: Vec<Uuid> = sqlx::query_scalar(
        "with u as (update firmware_updates set state = $3, detail = $2, ended = $4
                    where id = $1 and state in ('Ordered', 'Fetching', 'Fetched') returning id),
              l as (update station_logs set state = $3, detail = $2, ended = $4
                    where id = $1 and state = 'Ordered' returning id)
         select id from u union all select id from l",
    )
    .bind(result.id.0)
    .bind(detail)
    .bind(state)
    .bind(ended)
    .fetch_all(tx)
    .await?;
    Ok(!changed.is_empty())
}
