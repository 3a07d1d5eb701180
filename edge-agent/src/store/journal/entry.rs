//! What the journal keeps of a commit.

use serde::{Deserialize, Serialize};
use shared::model::Lane;
use shared::sync::{Document, Record};

use crate::core::Write;

/// One write. Postcard numbers the variants: they are only ever appended to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) enum Entry {
    /// A billing record, as it travels.
    Record(Record),
    /// Another write as JSON, which newer agents can read as they read their rows.
    Row(String),
    /// A document, as it travels.
    Document(Document),
}

impl Entry {
    /// A record, if it is of the billing lane.
    pub(in crate::store) fn of_record(lane: Lane, record: &Record) -> Option<Entry> {
        (lane == Lane::Billing).then(|| Entry::Record(record.clone()))
    }

    /// Another write, if it is of those that do not come again by themselves.
    pub(in crate::store) fn of_row(write: &Write) -> serde_json::Result<Option<Entry>> {
        let kept = match write {
            Write::Document(document) => return Ok(Some(Entry::Document(document.clone()))),
            Write::Session(_)
            | Write::Command { .. }
            | Write::CommandWaits(_)
            | Write::TxRefFloor(_)
            | Write::Reservation(_)
            | Write::ReservationGone(_)
            | Write::Errand(_)
            | Write::ErrandGone(_)
            | Write::DecidedHere(_)
            | Write::LocalList(_)
            | Write::SecurityMemory(..) => true,
            Write::Event(_)
            | Write::Settings(_)
            | Write::SettingsMemory(..)
            | Write::Known(..)
            | Write::Finding(_)
            | Write::Suggested(_) => false,
        };
        kept.then(|| serde_json::to_string(write).map(Entry::Row)).transpose()
    }
}
