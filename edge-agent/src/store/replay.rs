//! The journal's frames as rows.

use rusqlite::Transaction;
use shared::id::BootId;
use shared::model::Lane;
use shared::sync::ClockQuality;
use shared::units::Timestamp;
use uuid::Uuid;

use super::journal::{Entry, Frame};
use super::meta::{JOURNAL, LAST_COMMITTED, set_meta};
use super::{Position, Stamp, apply, outbox, restore};
use crate::core::Write;

/// Applies frames in their order; returns how many writes in them this agent cannot read.
pub(super) fn replay(
    db: &Transaction<'_>,
    position: &mut Position,
    frames: &[Frame],
) -> anyhow::Result<usize> {
    let mut stamp = Stamp {
        at: restore::last_committed(db)?.unwrap_or(Timestamp(0)),
        clock: ClockQuality::Assumed,
        boot: BootId(Uuid::nil()),
        mono_ms: 0,
    };
    let mut unreadable = 0;
    for entry in frames.iter().flat_map(|frame| &frame.entries) {
        match entry {
            Entry::Record(record) => {
                stamp.at = stamp.at.max(record.header.occurred_at);
                outbox::append(db, position, Lane::Billing, record)?;
            }
            Entry::Document(document) => apply::row(db, &stamp, &Write::Document(document.clone()))?,
            Entry::Row(text) => match serde_json::from_str::<Write>(text) {
                Ok(write) => apply::row(db, &stamp, &write)?,
                Err(error) => {
                    unreadable += 1;
                    tracing::error!(%error, "a write in the journal cannot be read");
                }
            },
        }
    }
    if let Some(last) = frames.last() {
        set_meta(db, JOURNAL, &last.number.to_string())?;
        set_meta(db, LAST_COMMITTED, &stamp.at.0.to_string())?;
    }
    Ok(unreadable)
}
