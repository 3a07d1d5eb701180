//! The truth to compare bills with: what each session's real meter saw, one JSON line per change.
//!
//! Later lines of a session replace earlier ones; the last one counts.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One session as the station knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The session's own number, unique over all stations and runs.
    pub session: String,
    /// The station.
    pub identity: String,
    /// Where.
    pub connector: u16,
    /// Whose.
    pub id_tag: String,
    /// The transaction id, once answered.
    pub transaction_id: Option<i32>,
    /// When it began, by the station's clock.
    pub started_at: String,
    /// The register when it began.
    pub meter_start_wh: i64,
    /// When it ended.
    pub stopped_at: Option<String>,
    /// The register when it ended.
    pub meter_stop_wh: Option<i64>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Was the start answered?
    pub start_answered: bool,
    /// Did the answer allow it?
    pub start_accepted: bool,
    /// Was the stop answered?
    pub stop_answered: bool,
}

impl SessionRecord {
    /// What was charged, once it ended.
    pub fn energy_wh(&self) -> Option<i64> {
        self.meter_stop_wh.map(|stop| stop - self.meter_start_wh)
    }
}

/// A file that many stations write their sessions to.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<BufWriter<File>>>);

impl Journal {
    /// Opens a journal to append to.
    pub fn append(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Journal(Arc::new(Mutex::new(BufWriter::new(file)))))
    }

    /// Writes lines and hands them to the operating system. A full disk stops the journal, not the stations.
    pub fn write(&self, records: &[SessionRecord]) {
        if records.is_empty() {
            return;
        }
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            let line = serde_json::to_string(record).expect("a record is plain data");
            if let Err(error) = writeln!(file, "{line}") {
                tracing::error!(%error, "the journal cannot be written");
            }
        }
        if let Err(error) = file.flush() {
            tracing::error!(%error, "the journal cannot be written");
        }
    }

    /// Reads a journal: the last line of each session, in the order in which they began.
    pub fn read(path: &Path) -> anyhow::Result<Vec<SessionRecord>> {
        let mut records: Vec<SessionRecord> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for line in std::fs::read_to_string(path)?.lines() {
            let record: SessionRecord = serde_json::from_str(line)?;
            match places.get(&record.session) {
                Some(&place) => records[place] = record,
                None => {
                    places.insert(record.session.clone(), records.len());
                    records.push(record);
                }
            }
        }
        Ok(records)
    }
}
