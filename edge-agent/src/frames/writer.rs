//! The thread that writes the log: in batches, and what it cannot write is lost.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use metrics::counter;
use rusqlite::{Connection, params};
use shared::id::StationId;
use shared::model::frame_log::Direction;
use shared::ocpp::frame::Frame as Parsed;
use tokio::sync::mpsc;

use super::{Frame, Room, mask};

/// How long frames are gathered for one commit.
const GATHER: Duration = Duration::from_millis(100);
/// Frames in one commit.
const BATCH: usize = 2048;
/// A station's ring is cut after so many new frames.
const CUT_AFTER: u32 = 64;
/// Calls of one connection whose answers may still come, and connections that are remembered.
const CALLS: usize = 16;
const CONNECTIONS: usize = 20_000;

pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "normal")?;
    db.execute_batch(
        "create table if not exists frames (
           number      integer primary key autoincrement,
           at          integer not null,
           station     text    not null,
           connection  integer not null,
           sent        integer not null,
           action      text,
           message_id  text,
           text        text    not null,
           lost_before integer not null
         ) strict;
         create index if not exists frames_station on frames (station, number);",
    )?;
    Ok(db)
}

pub(super) struct Writer {
    db: Connection,
    room: Room,
    /// The calls of each connection that were not answered, by whom they were sent.
    calls: HashMap<u64, VecDeque<(Direction, String, String)>>,
    /// Frames of each station since its ring was cut.
    grown: HashMap<StationId, u32>,
}

impl Writer {
    pub(super) fn new(db: Connection, room: Room) -> Self {
        Writer { db, room, calls: HashMap::new(), grown: HashMap::new() }
    }

    /// Runs until every handle is gone.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Frame>) {
        while let Some(first) = queue.blocking_recv() {
            std::thread::sleep(GATHER);
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(frame) = queue.try_recv()
            {
                batch.push(frame);
            }
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            if let Err(error) = self.write(batch) {
                counter!("edge_frames_unlogged_total").increment(count);
                tracing::warn!(%error, "frames were not logged");
            }
        }
    }

    fn write(&mut self, batch: Vec<Frame>) -> rusqlite::Result<()> {
        let rows: Vec<_> = batch.into_iter().map(|frame| (self.head(&frame), frame)).collect();
        let transaction = self.db.transaction()?;
        for ((action, id), frame) in &rows {
            transaction
                .prepare_cached(
                    "insert into frames (at, station, connection, sent, action, message_id, text, lost_before)
                     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    frame.at.0,
                    frame.station.as_str(),
                    i64::try_from(frame.connection).unwrap_or(i64::MAX),
                    frame.direction == Direction::Sent,
                    action,
                    id,
                    mask::masked(&frame.text),
                    frame.lost_before,
                ])?;
        }
        transaction.commit()?;
        for (_, frame) in rows {
            *self.grown.entry(frame.station).or_default() += 1;
        }
        self.cut()
    }

    /// The action and the message id of a frame, as far as it tells.
    fn head(&mut self, frame: &Frame) -> (Option<String>, Option<String>) {
        let Ok(parsed) = Parsed::parse(&frame.text) else { return (None, None) };
        if self.calls.len() > CONNECTIONS {
            self.calls.clear();
        }
        let calls = self.calls.entry(frame.connection).or_default();
        match parsed {
            Parsed::Call { id, action, .. } => {
                if calls.len() >= CALLS {
                    calls.pop_front();
                }
                calls.push_back((frame.direction, id.clone(), action.clone()));
                (Some(action), Some(id))
            }
            Parsed::Result { id, .. } | Parsed::Error { id, .. } => {
                let asked = calls.iter().position(|(by, call, _)| *by != frame.direction && *call == id);
                (asked.and_then(|place| calls.remove(place)).map(|(_, _, action)| action), Some(id))
            }
            Parsed::Unknown { .. } => (None, None),
        }
    }

    /// Keeps each station's last frames, and all of them within the room there is.
    fn cut(&mut self) -> rusqlite::Result<()> {
        let full: Vec<StationId> =
            self.grown.iter().filter(|(_, grown)| **grown >= CUT_AFTER).map(|(it, _)| it.clone()).collect();
        for station in &full {
            self.grown.remove(station);
            self.db
                .prepare_cached(
                    "delete from frames where station = ?1 and number <=
                       (select number from frames where station = ?1 order by number desc limit 1 offset ?2)",
                )?
                .execute(params![station.as_str(), self.room.per_station])?;
        }
        if !full.is_empty() && self.used()? > i64::from(self.room.megabytes) * 1024 * 1024 {
            self.db.execute(
                "delete from frames where number <=
                   (select min(number) + (max(number) - min(number)) / 10 from frames)",
                [],
            )?;
        }
        Ok(())
    }

    fn used(&self) -> rusqlite::Result<i64> {
        let number = |name: &str| self.db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
    }
}
