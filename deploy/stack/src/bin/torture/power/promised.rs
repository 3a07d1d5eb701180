//! What a station was told must be there after the power went: the checker of a disk.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::Connection;
use serde_json::Value;

/// What an answer promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Promised {
    /// The session of this number runs, or ran.
    Started { station: String, tx_ref: String },
    /// It has ended.
    Stopped { station: String, tx_ref: String },
}

/// A database as it was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Sessions by station and number: have they ended, and with how much energy.
    sessions: BTreeMap<(String, String), (bool, i64)>,
}

impl Promised {
    /// What the answers to stations' messages promise, by the messages' ids, from the log of what was said.
    pub(crate) fn by_message(data: &Path) -> Result<BTreeMap<String, Promised>> {
        let db = Connection::open(data.join("frames.sqlite3"))?;
        let mut query = db.prepare(
            "select station, action, message_id, text, sent from frames
             where action in ('StartTransaction', 'StopTransaction') order by number",
        )?;
        let mut promised = BTreeMap::new();
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (station, action): (String, String) = (row.get(0)?, row.get(1)?);
            let (id, text, sent): (String, String, bool) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let frame: Value = serde_json::from_str(&text)?;
            let transaction =
                |payload: &Value| payload["transactionId"].as_i64().map(|number| number.to_string());
            // The number is in the answer to a start, and in the request of a stop.
            let promise = match (action.as_str(), sent) {
                ("StartTransaction", true) => {
                    transaction(&frame[2]).map(|tx_ref| Promised::Started { station, tx_ref })
                }
                ("StopTransaction", false) => {
                    transaction(&frame[3]).map(|tx_ref| Promised::Stopped { station, tx_ref })
                }
                _ => None,
            };
            promised.extend(promise.map(|promise| (id, promise)));
        }
        Ok(promised)
    }
}

impl Kept {
    /// Opens a database as the agent would, and reads what matters; what is wrong with it in itself comes besides.
    pub(crate) fn read(data: &Path) -> Result<(Self, Vec<String>)> {
        let db = Connection::open(data.join("edge.sqlite3"))?;
        let mut wrong = Vec::new();
        let sound: String = db.query_row("pragma integrity_check", [], |row| row.get(0))?;
        if sound != "ok" {
            wrong.push(format!("the database is damaged: {sound}"));
        }
        let lanes = "select l.lane, l.head - l.acked, (select count(*) from outbox o where o.lane = l.lane and o.seq > l.acked),
                (select coalesce(max(seq), 0) from outbox o where o.lane = l.lane) > l.head from lanes l";
        let mut lanes = db.prepare(lanes)?;
        let mut rows = lanes.query([])?;
        while let Some(row) = rows.next()? {
            let (lane, owed, held, beyond): (i64, i64, i64, bool) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if owed != held || beyond {
                wrong.push(format!("lane {lane} owes the cloud {owed} records and holds {held}"));
            }
        }
        let mut sessions = db.prepare("select station, tx_ref, open, energy_wh from sessions")?;
        let sessions = sessions.query_map([], |row| {
            let open: bool = row.get(2)?;
            Ok(((row.get(0)?, row.get(1)?), (!open, row.get(3)?)))
        })?;
        let mut kept = Kept::default();
        for session in sessions {
            let (name, state) = session?;
            if kept.sessions.insert(name, state).is_some() {
                wrong.push("a session is there twice".to_owned());
            }
        }
        Ok((kept, wrong))
    }

    /// What is missing of what was promised. `end` is the database of the undisturbed end, which has the right energies.
    pub(crate) fn missing<'a>(
        &self,
        promised: impl IntoIterator<Item = &'a Promised>,
        end: &Kept,
    ) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for promise in promised {
            let (Promised::Started { station, tx_ref } | Promised::Stopped { station, tx_ref }) = promise;
            let name = (station.clone(), tx_ref.clone());
            let is_stop = matches!(promise, Promised::Stopped { .. });
            match self.sessions.get(&name) {
                None => missing.push(format!("{station}/{tx_ref} is gone")),
                Some((false, _)) if is_stop => {
                    missing.push(format!("{station}/{tx_ref} has ended, and runs again"))
                }
                Some((true, energy)) if is_stop => {
                    let (_, right) = end.sessions.get(&name).context("a session of the end")?;
                    if energy != right {
                        missing.push(format!("{station}/{tx_ref}: {energy} Wh instead of {right}"));
                    }
                }
                Some(_) => {}
            }
        }
        Ok(missing)
    }
}
