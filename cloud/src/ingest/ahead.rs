//! Live sessions that come ahead of a gateway's backlog, so that their bills need not wait for it.
//!
//! A fast copy: it is taken whole, or left to its turn in the lane at the first thing that is odd about it, because only in
//! their order are records known to have all that they need. The cursor stays where it is. When their turn comes, the
//! records are known by their keys and change nothing, and because each number of the lane is compared with what stands
//! under it, a clone or a backup put back is noticed as ever.

use std::time::Instant;

use shared::sync::Ahead;
use sqlx::PgPool;

use super::batch::{self, Steps};
use crate::db::cursor;
use crate::db::record::{self, Numbered, Origin};
use crate::live::Hint;

/// What became of records that came ahead.
#[derive(Debug)]
pub enum Outcome {
    /// They count.
    Taken {
        /// Whom to tell.
        hint: Box<Hint>,
        /// What was done.
        steps: Steps,
    },
    /// They come again in their turn.
    Left,
    /// The epoch may write no more.
    Stopped(String),
}

/// Applies what can be applied now.
///
/// # Errors
/// Transient ones. Nobody sends it again but the lane.
pub async fn apply(db: &PgPool, origin: Origin, ahead: &Ahead) -> sqlx::Result<Outcome> {
    let records: Vec<Numbered<'_>> =
        ahead.records.iter().map(|(seq, record)| Numbered { seq: *seq, record }).collect();
    let rises = records.is_sorted_by(|one, next| one.seq < next.seq);
    let (Some(first), true) = (records.first(), rises) else { return Ok(Outcome::Left) };
    let mut tx = db.begin().await?;
    match cursor::lock(&mut tx, origin.gateway, origin.epoch, origin.lane).await? {
        None => return Ok(Outcome::Left),
        Some(cursor) => {
            if let Some(reason) = cursor.frozen {
                return Ok(Outcome::Stopped(reason));
            }
        }
    }
    if !record::same_as_stored(&mut tx, origin, &records).await? {
        return batch::contradiction(tx, origin, first.seq).await.map(Outcome::Stopped);
    }
    let began = Instant::now();
    match batch::write(&mut tx, origin, &records).await {
        Ok(done) if done.parked.is_empty() => {
            let project = began..Instant::now();
            tx.commit().await?;
            let steps = Steps { project, new: done.new, bills: done.bills };
            Ok(Outcome::Taken { hint: Box::new(done.hint), steps })
        }
        Ok(_) => Ok(Outcome::Left),
        Err(error) if batch::is_about_a_value(&error) => Ok(Outcome::Left),
        Err(error) => Err(error),
    }
}
