//! What goes ahead of a backlog: the newest of sessions, each behind its start, without which the cloud cannot bill a stop.

use std::collections::BTreeMap;

use rusqlite::Connection;
use shared::model::Lane;
use shared::sync::record::kind::{SESSION_PRICED, SESSION_STARTED, SESSION_STOPPED};
use shared::sync::{MAX_BATCH_RECORDS, Record};

use super::outbox;

/// Records of sessions after a number, rising, with their starts as far as the cloud has not acknowledged those.
pub(super) fn sessions(
    db: &Connection,
    acked: u64,
    after: u64,
    limit: usize,
) -> anyhow::Result<Vec<(u64, Record)>> {
    let mut live = BTreeMap::new();
    for (seq, record) in outbox::records(db, Lane::Billing, after, limit)? {
        let Some(start) = start_key(&record) else { continue };
        if live.len() + 2 > MAX_BATCH_RECORDS {
            break;
        }
        if record.header.kind != SESSION_STARTED {
            live.extend(outbox::named(db, Lane::Billing, acked, seq, &start)?);
        }
        live.insert(seq, record);
    }
    Ok(live.into_iter().collect())
}

/// The key of the start of the session that a record is about.
fn start_key(record: &Record) -> Option<String> {
    let is_of_session = [SESSION_STARTED, SESSION_STOPPED, SESSION_PRICED].contains(&record.header.kind);
    let (_, session) = record.header.key.split_once('/').filter(|_| is_of_session)?;
    Some(format!("start/{session}"))
}
