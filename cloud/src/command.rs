//! Remote commands: an order with an end.
//!
//! `pending` → `sent` → `finished`, and every command finishes: by the gateway's result, or by its expiry. Any replica may
//! issue one: it commits the row and tells the replicas that read the gateway's shard, which publish it and repeat it with
//! growing pauses until the result comes. Repeating is safe, because a gateway never carries out one id twice.
//!
//! A result comes twice: at once on its own topic, and as a lasting record. The first one counts, and it also counts when the
//! command was closed by its expiry before: then it is marked as late.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};
use shared::id::{CommandId, GatewayId, StationId};
use shared::model::command::Told;
use shared::model::event::LocalCommandFinished;
use shared::model::settings;
use shared::model::{CommandBody, CommandResult, Outcome};
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::booking;
use crate::clock;
use crate::db::audit::{self, Entry};
use crate::db::record::Origin;
use crate::db::{command as rows, file_step, security};
use crate::live::{self, Hint, Hub};

/// The channel on which replicas hear of new commands; the payload is the command's id.
pub const CHANNEL: &str = "commands";

/// What a command shall be.
#[derive(Debug, Clone)]
pub struct NewCommand {
    /// Whose station it is.
    pub gateway: GatewayId,
    /// Who shall do it.
    pub station: StationId,
    /// What.
    pub body: CommandBody,
    /// The user who asked.
    pub issued_by: Option<i64>,
    /// For how long it is worth doing.
    pub ttl: Duration,
    /// Does it wait for a station that is not connected?
    pub waits: bool,
}

/// Commits a command and has it sent.
///
/// # Errors
/// When the database refuses, for example for an unknown gateway.
pub async fn issue(db: &PgPool, new: NewCommand) -> sqlx::Result<CommandId> {
    let mut tx = db.begin().await?;
    let id = issue_in(&mut tx, new).await?;
    tx.commit().await?;
    Ok(id)
}

/// The same inside a transaction of the caller's; it is sent once that commits.
///
/// # Errors
/// As [`issue`].
pub async fn issue_in(tx: &mut PgConnection, new: NewCommand) -> sqlx::Result<CommandId> {
    let id = CommandId(Uuid::now_v7());
    rows::insert(tx, id, &new).await?;
    sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(id.to_string()).execute(tx).await?;
    Ok(id)
}

/// Waits for a command's end; `None` when the deadline comes first.
///
/// # Errors
/// When the database cannot be read.
pub async fn wait(
    db: &PgPool,
    live: &Hub,
    id: CommandId,
    deadline: Instant,
) -> sqlx::Result<Option<CommandResult>> {
    let mut ended = live.commands();
    loop {
        // Read after subscribing: an end in between is then in one of the two.
        if let Some(result) = rows::result(db, id).await? {
            return Ok(Some(result));
        }
        // A hint may be lost, so look again now and then.
        let look_again = deadline.min(Instant::now() + Duration::from_secs(2));
        while let Ok(Ok(other)) = timeout_at(look_again, ended.recv()).await
            && other != id.0
        {}
        if Instant::now() >= deadline {
            return rows::result(db, id).await;
        }
    }
}

/// Applies a result. `true` when it was the first one.
///
/// # Errors
/// As any statement.
pub async fn finish(tx: &mut PgConnection, gateway: GatewayId, result: &CommandResult) -> sqlx::Result<bool> {
    let first = rows::finish(tx, gateway, result).await?;
    if first {
        metrics::counter!("commands_total", "outcome" => result.outcome.name()).increment(1);
        let files = if file_step::settle(tx, result).await? { vec![result.id.0] } else { vec![] };
        let security = security::settle(tx, result).await?.into_iter().collect();
        live::notify(tx, &Hint { commands: vec![result.id.0], files, security, ..Hint::default() }).await?;
    }
    // Also when it comes late: what the site keeps by then has to be let go.
    booking::settle(tx, result).await?;
    Ok(first)
}

/// Keeps an order that an installer gave at the gateway, and how it ended.
///
/// # Errors
/// As any statement.
pub async fn learn(tx: &mut PgConnection, origin: Origin, ended: &LocalCommandFinished) -> sqlx::Result<()> {
    if !rows::learn(tx, origin.gateway, ended).await? {
        return Ok(());
    }
    let LocalCommandFinished { command, result } = ended;
    if file_step::learn(tx, origin.site_id, command).await? {
        file_step::settle(tx, result).await?;
    }
    let after = json!({
        "station": command.station, "order": described(&command.body), "by": "local installer",
        "outcome": result.outcome.name(), "detail": result.detail,
    });
    let entry = Entry {
        action: command.body.kind(),
        entity: "Command",
        row_id: Some(command.id.to_string()),
        site_id: Some(origin.site_id),
        after: Some(after),
        ..Entry::default()
    };
    audit::write(tx, &entry).await?;
    Ok(())
}

/// An order for people to read later: all of it but passwords and the tokens that people charge with.
pub fn described(body: &CommandBody) -> Value {
    let mut asked = serde_json::to_value(body).unwrap_or_default();
    if let Some(asked) = asked.get_mut(body.kind()) {
        let secret = asked["key"].as_str().is_some_and(settings::is_secret);
        for name in ["token", if secret { "value" } else { "token" }] {
            if let Some(value) = asked.get_mut(name) {
                *value = "…".into();
            }
        }
    }
    asked
}

/// An order as it may be kept: without the value of a setting that gives access.
pub fn without_secret(body: &CommandBody) -> Cow<'_, CommandBody> {
    if let CommandBody::ChangeConfiguration { key, .. } = body
        && settings::is_secret(key)
    {
        return Cow::Owned(CommandBody::ChangeConfiguration { key: key.clone(), value: "…".into() });
    }
    Cow::Borrowed(body)
}

/// An outcome as it may be kept: some stations tell a password to whoever reads their settings.
pub fn without_secrets(result: &CommandResult) -> Cow<'_, CommandResult> {
    let Told::Configuration { entries, .. } = &result.told else { return Cow::Borrowed(result) };
    if !entries.iter().any(|entry| settings::is_secret(&entry.key)) {
        return Cow::Borrowed(result);
    }
    let mut kept = result.clone();
    if let Told::Configuration { entries, .. } = &mut kept.told {
        entries.iter_mut().filter(|it| settings::is_secret(&it.key)).for_each(|it| it.value = None);
    }
    Cow::Owned(kept)
}

/// Closes what nobody answered in time. Any number of replicas may do so at once.
///
/// # Errors
/// When the database cannot be written.
pub async fn close_expired(db: &PgPool) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    for (gateway, id) in rows::lock_expired(&mut tx).await? {
        let result = CommandResult::plain(id, Outcome::Expired, "no answer in time", clock::now());
        finish(&mut tx, gateway, &result).await?;
        rows::presume(&mut tx, id).await?;
    }
    tx.commit().await
}

/// Closes expired commands until `stop`.
///
/// # Errors
/// None: a database that is away is waited for.
pub async fn sweep(db: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    while stop.run_until_cancelled(clock.tick()).await.is_some() {
        if let Err(error) = close_expired(&db).await {
            tracing::warn!(%error, "expired commands are not closed; trying again");
        }
    }
    Ok(())
}
