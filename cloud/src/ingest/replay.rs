//! Parked records once more, after an upgrade that can read them or a repair: each in a transaction of its own, in the order in
//! which they came, under its lane's lock.

use serde_json::json;
use shared::sync::Record;
use sqlx::{Acquire as _, PgConnection, PgPool};

use super::batch;
use super::project::Changes;
use crate::db::audit::{self, Entry};
use crate::db::cursor;
use crate::db::quarantine::{self, Parked};
use crate::db::record::{self, Numbered, Origin};
use crate::live::{self, Hint};

/// Parked records that are looked at together.
const PAGE: i64 = 200;

/// What became of the records that waited.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many are where they belong.
    pub done: usize,
    /// Those that still cannot be: their row, and why.
    pub left: Vec<(i64, String)>,
}

/// Tries all that wait.
///
/// # Errors
/// When the database does not answer; what was done until then is done.
pub async fn replay(db: &PgPool) -> sqlx::Result<Replayed> {
    let (mut all, mut after) = (Replayed::default(), 0);
    loop {
        let page = quarantine::waiting(db, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.id;
        for parked in page {
            match one(db, &parked).await? {
                Ok(()) => all.done += 1,
                Err(reason) => all.left.push((parked.id, reason)),
            }
        }
    }
}

async fn one(db: &PgPool, parked: &Parked) -> sqlx::Result<Result<(), String>> {
    let Some(origin) = parked.origin() else { return Ok(Err("its lane is unknown here".into())) };
    let Ok(record) = postcard::from_bytes::<Record>(&parked.raw) else {
        return Ok(Err("it is no record".into()));
    };
    let seq = u64::try_from(parked.seq).unwrap_or_default();
    let mut tx = db.begin().await?;
    cursor::lock(&mut tx, origin.gateway, origin.epoch, origin.lane).await?;
    if !quarantine::lock(&mut tx, parked.id).await? {
        return Ok(Ok(()));
    }
    let mut hint = Hint::default();
    let mut savepoint = tx.begin().await?;
    let written = write(&mut savepoint, origin, Numbered { seq, record: &record }, &mut hint).await;
    match written {
        Ok(Ok(())) => savepoint.commit().await?,
        Ok(Err(reason)) => return Ok(Err(reason)),
        Err(error) if batch::is_about_a_value(&error) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    }
    quarantine::replayed(&mut tx, parked.id).await?;
    live::notify(&mut tx, &hint).await?;
    let row_id = Some(parked.id.to_string());
    let after = Some(
        json!({ "gateway": origin.gateway, "lane": origin.lane.name(), "seq": seq, "kind": parked.kind }),
    );
    let (action, entity, site_id) = ("replay", "Quarantine", Some(origin.site_id));
    audit::write(&mut tx, &Entry { action, entity, row_id, site_id, after, ..Entry::default() }).await?;
    tx.commit().await?;
    Ok(Ok(()))
}

async fn write(
    tx: &mut PgConnection,
    origin: Origin,
    one: Numbered<'_>,
    hint: &mut Hint,
) -> sqlx::Result<Result<(), String>> {
    let event = match batch::read(origin.lane, one) {
        Ok(event) => event,
        Err((_, reason)) => return Ok(Err(reason)),
    };
    let kept = record::is_kept(tx, origin, one.seq).await?;
    if !kept && record::append(tx, origin, &[one]).await?.is_empty() {
        // The same fact came under another number meanwhile.
        return Ok(Ok(()));
    }
    let mut changes = Changes::default();
    changes.add(&one.record.header.key, event);
    let projected = batch::project(tx, origin, &changes, hint).await?;
    Ok(if projected.orphans.is_empty() { Ok(()) } else { Err("no such session of this gateway".into()) })
}
