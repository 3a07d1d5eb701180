//! Commands as rows.

use chrono::{DateTime, Utc};
use shared::id::{CommandId, GatewayId, Shard, StationId};
use shared::model::command::Origin;
use shared::model::event::LocalCommandFinished;
use shared::model::{Command, CommandBody, CommandResult};
use shared::units::Timestamp;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::text;
use crate::command::{NewCommand, without_secret, without_secrets};

/// Commands closed or sent in one round.
const ROUND: i64 = 64;

/// A command that has to be published.
#[derive(Debug, Clone)]
pub struct Due {
    /// To whom.
    pub gateway: GatewayId,
    /// In which shard.
    pub shard: Shard,
    /// What.
    pub command: Command,
}

/// Writes a new one.
pub async fn insert(tx: &mut PgConnection, id: CommandId, new: &NewCommand) -> sqlx::Result<()> {
    sqlx::query(
        "insert into commands (id, gateway_id, station, kind, body, issued_by, expires_at, waits)
         values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8)",
    )
    .bind(id.0)
    .bind(new.gateway.0)
    .bind(new.station.as_str())
    .bind(new.body.kind())
    .bind(postcard::to_stdvec(&new.body).expect("wire types always serialise"))
    .bind(new.issued_by)
    .bind(new.ttl.as_secs_f64())
    .bind(new.waits)
    .execute(tx)
    .await?;
    Ok(())
}

/// How it ended, if it did.
pub async fn result(db: &PgPool, id: CommandId) -> sqlx::Result<Option<CommandResult>> {
    let row: Option<Option<Json<CommandResult>>> =
        sqlx::query_scalar("select result from commands where id = $1").bind(id.0).fetch_optional(db).await?;
    Ok(row.flatten().map(|Json(result)| result))
}

/// Ends it, unless it has ended otherwise than by its expiry here; only a command of that gateway.
pub async fn finish(tx: &mut PgConnection, gateway: GatewayId, result: &CommandResult) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update commands set state = 'finished', outcome = $3, detail = $4, result = $5, finished_at = now(),
             late = presumed, presumed = false
         where id = $1 and gateway_id = $2 and (state <> 'finished' or presumed)",
    )
    .bind(result.id.0)
    .bind(gateway.0)
    .bind(result.outcome.name())
    .bind(&result.detail)
    .bind(Json(without_secrets(result)))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Its end is only presumed: nobody answered in time.
pub async fn presume(tx: &mut PgConnection, id: CommandId) -> sqlx::Result<()> {
    sqlx::query("update commands set presumed = true where id = $1").bind(id.0).execute(tx).await.map(drop)
}

/// Writes one that was given and ended at the gateway. `false` when it is known.
pub async fn learn(
    tx: &mut PgConnection,
    gateway: GatewayId,
    ended: &LocalCommandFinished,
) -> sqlx::Result<bool> {
    let LocalCommandFinished { command, result } = ended;
    let time = |at: Timestamp| at.to_utc().unwrap_or_default();
    let done = sqlx::query(
        "insert into commands (id, gateway_id, station, kind, body, issued_at, expires_at, waits, origin, state, outcome,
             detail, result, finished_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'installer', 'finished', $9, $10, $11, $12) on conflict (id) do nothing",
    )
    .bind(command.id.0)
    .bind(gateway.0)
    .bind(text(command.station.as_str()))
    .bind(command.body.kind())
    .bind(postcard::to_stdvec(&*without_secret(&command.body)).expect("wire types always serialise"))
    .bind(time(command.issued_at))
    .bind(time(command.expires_at))
    .bind(command.waits)
    .bind(result.outcome.name())
    .bind(text(&result.detail))
    .bind(Json(without_secrets(result)))
    .bind(time(result.at))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets what a command's answer told; how it ended stays.
pub async fn forget_told(db: &PgPool, id: CommandId) -> sqlx::Result<()> {
    sqlx::query("update commands set result = jsonb_set(result, '{told}', '\"nothing\"') where id = $1 and result is not null")
        .bind(id.0)
        .execute(db)
        .await?;
    Ok(())
}

/// Locks commands whose time is over; other replicas skip them.
pub async fn lock_expired(tx: &mut PgConnection) -> sqlx::Result<Vec<(GatewayId, CommandId)>> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select gateway_id, id from commands where state <> 'finished' and expires_at <= now()
         order by expires_at limit $1 for update skip locked",
    )
    .bind(ROUND)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(gateway, id)| (GatewayId(gateway), CommandId(id))).collect())
}

/// Takes the commands that have to be sent (again) to gateways of these shards, each time with a longer pause.
pub async fn take_due(db: &PgPool, shards: &[i16]) -> sqlx::Result<Vec<Due>> {
    let rows: Vec<Row> = sqlx::query_as(
        "with due as (
             select c.id, g.shard from commands c join gateways g on g.id = c.gateway_id
             where c.state <> 'finished' and c.due_at <= now() and c.expires_at > now() and g.shard = any($1)
             order by c.due_at limit $2 for update of c skip locked)
         update commands c set state = 'sent', attempts = attempts + 1,
                due_at = now() + make_interval(secs => least(case when waits then 300 else 15 end, power(2, least(attempts, 9))))
         from due where due.id = c.id
         returning c.id, c.gateway_id, due.shard, c.station, c.body, c.issued_at, c.expires_at, c.waits",
    )
    .bind(shards)
    .bind(ROUND)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().filter_map(Row::into_due).collect())
}

/// Makes a gateway's open commands due at once: it just said hello.
pub async fn wake(db: &PgPool, gateway: GatewayId) -> sqlx::Result<bool> {
    let woken = sqlx::query(
        "update commands set due_at = now() where gateway_id = $1 and state <> 'finished' and due_at > now()",
    )
    .bind(gateway.0)
    .execute(db)
    .await?;
    Ok(woken.rows_affected() > 0)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    gateway_id: Uuid,
    shard: i16,
    station: String,
    body: Vec<u8>,
    issued_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    waits: bool,
}

impl Row {
    /// `None` for what a newer replica wrote and this one cannot read: that one will send it.
    fn into_due(self) -> Option<Due> {
        let body: CommandBody = postcard::from_bytes(&self.body).ok()?;
        let command = Command {
            id: CommandId(self.id),
            issued_at: Timestamp::from_utc(self.issued_at),
            expires_at: Timestamp::from_utc(self.expires_at),
            station: StationId::new(self.station).ok()?,
            body,
            waits: self.waits,
            origin: Origin::Cloud,
        };
        Some(Due {
            gateway: GatewayId(self.gateway_id),
            shard: Shard(u16::try_from(self.shard).ok()?),
            command,
        })
    }
}
