//! One batch, one transaction: lock the cursor, apply or park each record, move the watermark, commit. Only then is anything
//! acknowledged.
//!
//! The whole batch is tried at once, a few statements for all its records. Only when Postgres finds a value that it cannot
//! hold is the batch done again record by record, each behind a savepoint, so that exactly the bad ones are parked. Any
//! other error is transient: nothing is committed, nothing acknowledged, and the gateway sends again.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

use serde_json::json;
use shared::id::SessionId;
use shared::model::{Event, Lane};
use shared::sync::Batch;
use shared::sync::cursor::{self as rule, Cursor as Judged};
use shared::sync::record::RecordError;
use sqlx::{Acquire as _, PgConnection, PgPool};

use super::life::Life;
use super::project::{self, Changes};
use crate::billing::{self, Billed};
use crate::db::alarm::{self, Alarm};
use crate::db::record::{Numbered, Origin};
use crate::db::{cursor, file_step, local_list, projection, quarantine, record, unknown_card};
use crate::live::Hint;
use crate::{booking, command, documents};

/// What became of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// Everything up to this number is committed.
    Committed {
        /// The last committed number.
        watermark: u64,
        /// How many records this batch added.
        records: usize,
        /// Whom to tell.
        hint: Box<Hint>,
        /// What was done.
        steps: Steps,
    },
    /// It was committed before.
    Repeated(u64),
    /// Records are missing before it.
    Gap(u64),
    /// The epoch may write no more.
    Stopped(String),
}

/// What was done for a committed batch, for the traces of its sessions.
#[derive(Debug)]
pub struct Steps {
    /// When rows were changed.
    pub project: Range<Instant>,
    /// The numbers of the records that were not known.
    pub new: HashSet<u64>,
    /// The bills that were made.
    pub bills: Vec<Billed>,
}

/// Applies a batch.
///
/// # Errors
/// Transient ones: try again later.
pub async fn apply(db: &PgPool, origin: Origin, batch: &Batch) -> sqlx::Result<Outcome> {
    match attempt(db, origin, batch, Way::Whole).await {
        Err(error) if is_about_a_value(&error) => {
            tracing::warn!(gateway = %origin.gateway, %error, "batch is applied record by record");
            attempt(db, origin, batch, Way::OneByOne).await
        }
        outcome => outcome,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    OneByOne,
}

async fn attempt(db: &PgPool, origin: Origin, batch: &Batch, way: Way) -> sqlx::Result<Outcome> {
    let Origin { gateway, epoch, lane, .. } = origin;
    let mut tx = db.begin().await?;
    let Some(cursor) = cursor::lock(&mut tx, gateway, epoch, lane).await? else {
        return Ok(Outcome::Stopped("this epoch is not known here".into()));
    };
    if let Some(reason) = cursor.frozen {
        return Ok(Outcome::Stopped(reason));
    }
    let numbered: Vec<Numbered<'_>> =
        (batch.first_seq..).zip(&batch.records).map(|(seq, record)| Numbered { seq, record }).collect();
    let (skip, watermark) = match rule::accept(cursor.watermark, batch.first_seq, batch.records.len()) {
        Judged::Gap => return Ok(Outcome::Gap(cursor.watermark)),
        Judged::Duplicate => (numbered.len(), cursor.watermark),
        Judged::Apply { skip, watermark } => (skip, watermark),
    };
    let (known, new) = numbered.split_at(skip);
    // What is new to the cursor may have come ahead of its turn.
    let stored = if lane == Lane::Billing { &numbered } else { known };
    if !record::same_as_stored(&mut tx, origin, stored).await? {
        return contradiction(tx, origin, batch.first_seq).await.map(Outcome::Stopped);
    }
    if new.is_empty() {
        return Ok(Outcome::Repeated(watermark));
    }
    let mut done = Done::default();
    let began = Instant::now();
    match way {
        Way::Whole => done = write(&mut tx, origin, new).await?,
        Way::OneByOne => {
            for one in new {
                done.add(write_one(&mut tx, origin, *one).await?);
            }
        }
    }
    let project = began..Instant::now();
    cursor::advance(&mut tx, gateway, epoch, lane, watermark).await?;
    tx.commit().await?;
    fault_after_commit();
    for reason in done.parked {
        metrics::counter!("quarantined_total", "reason" => reason).increment(1);
    }
    let steps = Steps { project, new: done.new, bills: done.bills };
    Ok(Outcome::Committed { watermark, records: new.len(), hint: Box::new(done.hint), steps })
}

/// The same number was used for other bytes: the gateway was cloned, or restored from a backup. Why, for a person.
pub(super) async fn contradiction(
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    origin: Origin,
    seq: u64,
) -> sqlx::Result<String> {
    let reason =
        format!("other facts under known numbers in the {} lane, at {seq} or after", origin.lane.name());
    freeze(&mut tx, origin, &reason).await?;
    tx.commit().await?;
    Ok(reason)
}

/// Lets the epoch write no more, and tells a person.
pub(super) async fn freeze(tx: &mut PgConnection, origin: Origin, reason: &str) -> sqlx::Result<()> {
    if cursor::freeze(tx, origin.gateway, origin.epoch, reason).await? {
        metrics::counter!("lanes_frozen_total").increment(1);
        tracing::warn!(gateway = %origin.gateway, epoch = %origin.epoch, reason, "epoch frozen");
        let detail = json!({ "epoch": origin.epoch, "reason": reason });
        let alarm = Alarm { kind: "epoch_frozen".into(), subject: origin.epoch.to_string(), detail };
        alarm::raise(tx, Some(origin.gateway), Some(origin.site_id), &alarm).await?;
    }
    Ok(())
}

/// What writing records led to.
#[derive(Default)]
pub(super) struct Done {
    pub(super) hint: Hint,
    pub(super) parked: Vec<&'static str>,
    pub(super) bills: Vec<Billed>,
    pub(super) new: HashSet<u64>,
}

impl Done {
    fn add(&mut self, other: Done) {
        self.hint.merge(other.hint);
        self.bills.extend(other.bills);
        self.parked.extend(other.parked);
        self.new.extend(other.new);
    }
}

async fn write_one(tx: &mut PgConnection, origin: Origin, one: Numbered<'_>) -> sqlx::Result<Done> {
    let mut savepoint = tx.begin().await?;
    match write(&mut savepoint, origin, &[one]).await {
        Ok(done) => {
            savepoint.commit().await?;
            Ok(done)
        }
        Err(error) if is_about_a_value(&error) => {
            savepoint.rollback().await?;
            quarantine::park(tx, origin, one, &error.to_string()).await?;
            Ok(Done { parked: vec!["value"], ..Done::default() })
        }
        Err(error) => Err(error),
    }
}

/// Writes records: raw, parked, projected.
pub(super) async fn write(
    tx: &mut PgConnection,
    origin: Origin,
    records: &[Numbered<'_>],
) -> sqlx::Result<Done> {
    let new = record::append(tx, origin, records).await?;
    let mut done = Done::default();
    let mut changes = Changes::default();
    for one in records.iter().filter(|one| new.contains(&one.seq)) {
        match read(origin.lane, *one) {
            Ok(event) => changes.add(&one.record.header.key, event),
            Err((label, reason)) => {
                quarantine::park(tx, origin, *one, &reason).await?;
                done.parked.push(label);
            }
        }
    }
    let projected = project(tx, origin, &changes, &mut done.hint).await?;
    done.bills = projected.bills;
    for one in orphaned(origin.lane, records, &projected.orphans) {
        quarantine::park(tx, origin, one, "no such session of this gateway").await?;
        done.parked.push("no session");
    }
    done.new = new;
    Ok(done)
}

pub(super) fn read(lane: Lane, one: Numbered<'_>) -> Result<Event, (&'static str, String)> {
    let event = one.record.event(lane).map_err(|error| (label(&error), error.to_string()))?;
    match project::objection(&event) {
        None => Ok(event),
        Some(objection) => Err(("value", objection.to_owned())),
    }
}

fn label(error: &RecordError) -> &'static str {
    match error {
        RecordError::UnknownKind(..) => "unknown kind",
        RecordError::Body { .. } => "decode",
        RecordError::Lane(..) => "lane",
    }
}

/// What projecting led to.
#[derive(Default)]
pub(super) struct Projected {
    /// Sessions that were spoken of and that the gateway does not have.
    pub(super) orphans: HashSet<SessionId>,
    /// The bills that were made.
    bills: Vec<Billed>,
}

/// Writes what changed, skipping what did not.
pub(super) async fn project(
    tx: &mut PgConnection,
    origin: Origin,
    changes: &Changes,
    hint: &mut Hint,
) -> sqlx::Result<Projected> {
    match origin.lane {
        Lane::Billing => return project_billing(tx, origin, changes, hint).await,
        Lane::Meter => project_meter(tx, origin, changes, hint).await?,
        Lane::Status => project_status(tx, origin, changes, hint).await?,
    }
    Ok(Projected::default())
}

async fn project_meter(
    tx: &mut PgConnection,
    origin: Origin,
    changes: &Changes,
    hint: &mut Hint,
) -> sqlx::Result<()> {
    if !changes.readings.is_empty() {
        projection::readings(tx, origin, &changes.readings).await?;
        projection::progress(tx, origin, &changes.progress).await?;
        hint.sessions.extend(changes.progress.keys().map(|id| id.0));
    }
    if !changes.gaps.is_empty() {
        projection::gaps(tx, origin, &changes.gaps).await?;
    }
    Ok(())
}

async fn project_billing(
    tx: &mut PgConnection,
    origin: Origin,
    changes: &Changes,
    hint: &mut Hint,
) -> sqlx::Result<Projected> {
    let mut projected = Projected::default();
    if !changes.starts.is_empty() {
        projection::sessions_started(tx, origin, &changes.starts).await?;
    }
    if !changes.stops.is_empty() {
        projected.orphans.extend(projection::sessions_stopped(tx, origin, &changes.stops).await?);
    }
    if !changes.prices.is_empty() {
        projected.orphans.extend(projection::sessions_priced(tx, origin, &changes.prices).await?);
    }
    let stops = changes.stops.iter().map(|it| it.session.0);
    let settled: Vec<_> = stops.chain(changes.prices.iter().map(|it| it.session.0)).collect();
    if !settled.is_empty() {
        projected.bills = billing::settle(tx, origin, &settled).await?;
    }
    hint.sessions.extend(changes.starts.iter().map(|it| it.session.0).chain(settled));
    for result in &changes.results {
        command::finish(tx, origin.gateway, result).await?;
    }
    for ended in &changes.reservations {
        booking::ended_at_site(tx, origin.site_id, ended).await?;
    }
    for alarm in &changes.alarms {
        alarm::raise(tx, Some(origin.gateway), Some(origin.site_id), alarm).await?;
    }
    Ok(projected)
}

async fn project_status(
    tx: &mut PgConnection,
    origin: Origin,
    changes: &Changes,
    hint: &mut Hint,
) -> sqlx::Result<()> {
    if !changes.boots.is_empty() {
        projection::boots(tx, origin, changes.boots.values()).await?;
    }
    if !changes.presences.is_empty() && projection::presences(tx, origin, changes.presences.values()).await? {
        hint.sites.push(origin.site_id);
    }
    if !changes.statuses.is_empty() {
        let touched = projection::statuses(tx, origin, changes.statuses.values()).await?;
        hint.connectors.extend(touched.iter().map(|connector| connector.id));
        if touched.iter().any(|connector| connector.created) {
            // A new connector has a price, and the gateway has to learn it.
            documents::refresh(tx, origin.site_id).await?;
        }
    }
    if !changes.applied.is_empty() {
        projection::documents_applied(tx, origin, &changes.applied).await?;
    }
    if !changes.unknown_cards.is_empty() && unknown_card::keep(tx, origin, &changes.unknown_cards).await? {
        hint.unknown_cards.push(origin.site_id);
    }
    // Before what came of them.
    for ended in &changes.local_commands {
        command::learn(tx, origin, ended).await?;
        hint.files.push(ended.command.id.0);
    }
    if !changes.file_steps.is_empty() || !changes.logs.is_empty() {
        file_step::keep(tx, origin, &changes.file_steps).await?;
        file_step::received(tx, origin, &changes.logs).await?;
        hint.files.extend(changes.file_steps.iter().map(|step| step.command));
        hint.files.extend(changes.logs.iter().map(|log| log.log.0));
    }
    if changes.life != Life::default() {
        changes.life.write(tx, origin).await?;
    }
    local_list::keep(tx, origin, &changes.local_lists).await?;
    changes.oddities.write(tx, origin).await?;
    if changes.security.write(tx, origin).await? {
        hint.security.push(origin.site_id);
    }
    Ok(())
}

fn orphaned<'a>(lane: Lane, records: &[Numbered<'a>], orphans: &HashSet<SessionId>) -> Vec<Numbered<'a>> {
    let about = |one: &&Numbered<'_>| match one.record.event(lane) {
        Ok(Event::SessionStopped(stop)) => orphans.contains(&stop.session),
        Ok(Event::SessionPriced(priced)) => orphans.contains(&priced.session),
        Ok(_) | Err(_) => false,
    };
    if orphans.is_empty() { Vec::new() } else { records.iter().filter(about).copied().collect() }
}

/// SQLSTATE classes 22 (a value that the column cannot hold) and 23 (a constraint): the same again would fail the same.
pub(super) fn is_about_a_value(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// Stories kill the replica at its worst moment: committed, nobody told. Not in release builds.
fn fault_after_commit() {
    if cfg!(debug_assertions) && crate::config::fault("cloud.after_commit") {
        std::process::abort();
    }
}
