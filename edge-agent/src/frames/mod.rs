//! The log of what was said to and by stations, word for word but for secrets, for whoever has to find out why a station and
//! we do not understand each other.
//!
//! It is a convenience and must never cost a bill: it has a file and a thread of its own, connections leave their frames in a
//! bounded queue and go on, and what does not fit is lost and counted, in the log itself, too. A station's last frames are
//! kept, and no more than so many megabytes of all.

mod mask;
mod query;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use metrics::counter;
use rusqlite::Connection;
use shared::id::StationId;
use shared::model::frame_log::{Direction, FrameFilter, FramePage, LoggedFrame};
use shared::units::Timestamp;
use tokio::sync::mpsc;

/// Frames that may wait for the writer.
const QUEUE: usize = 4096;
/// A connection may leave so many at once,
const BURST: i64 = 200;
/// and so many per second in the long run. One that floods loses its own frames only.
const PER_SECOND: i64 = 20;
/// A longer frame is cut.
const LONGEST: usize = 64 * 1024;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Frames of each station; none: nothing is logged.
    pub per_station: u32,
    /// Megabytes of all.
    pub megabytes: u32,
}

/// A handle to the log.
#[derive(Clone)]
pub struct FrameLog {
    frames: Option<mpsc::Sender<Frame>>,
    reader: Arc<Mutex<Connection>>,
}

/// A frame on its way into the log.
struct Frame {
    at: Timestamp,
    station: StationId,
    connection: u64,
    direction: Direction,
    text: String,
    lost_before: u32,
}

/// Where a connection leaves its frames.
pub struct Tap {
    log: FrameLog,
    station: StationId,
    connection: u64,
    lost: u32,
    allowance: i64,
    refilled: Timestamp,
}

impl FrameLog {
    /// Opens the log in a folder. One that cannot be read is put aside: it is only a log.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn open(folder: &Path, room: Room) -> anyhow::Result<Self> {
        let path = folder.join("frames.sqlite3");
        let db = match writer::open(&path) {
            Ok(db) => db,
            Err(error) => {
                tracing::warn!(%error, "the log of frames cannot be read; a new one begins");
                std::fs::rename(&path, folder.join("frames.sqlite3.unreadable"))?;
                writer::open(&path).with_context(|| format!("opening {}", path.display()))?
            }
        };
        let reader = Arc::new(Mutex::new(query::open(&path)?));
        if room.per_station == 0 {
            return Ok(FrameLog { frames: None, reader });
        }
        let (frames, queue) = mpsc::channel(QUEUE);
        let writer = writer::Writer::new(db, room);
        std::thread::Builder::new().name("frames".into()).spawn(move || writer.run(queue))?;
        Ok(FrameLog { frames: Some(frames), reader })
    }

    /// A place for a connection's frames.
    pub fn tap(&self, station: StationId, connection: u64, now: Timestamp) -> Tap {
        Tap { log: self.clone(), station, connection, lost: 0, allowance: BURST, refilled: now }
    }

    /// A page of a station's frames, small enough for a message.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn page(&self, station: StationId, filter: FrameFilter) -> anyhow::Result<FramePage> {
        self.read(move |db| query::page(db, &station, &filter)).await
    }

    /// A station's frames, so many at most, whole.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn export(
        &self,
        station: StationId,
        filter: FrameFilter,
        most: u32,
    ) -> anyhow::Result<Vec<LoggedFrame>> {
        self.read(move |db| query::frames(db, &station, &filter, most)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let reader = self.reader.clone();
        let read = move || query(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(read).await.context("the reader stopped")?
    }
}

impl Tap {
    /// Leaves a frame. Never waits.
    pub fn leave(&mut self, at: Timestamp, direction: Direction, text: &str) {
        let Some(frames) = &self.log.frames else { return };
        let gained = at.millis_since(self.refilled).max(0) * PER_SECOND / 1000;
        if gained > 0 {
            self.allowance = (self.allowance + gained).min(BURST);
            self.refilled = at;
        }
        let place = if self.allowance > 0 { frames.try_reserve().ok() } else { None };
        let Some(place) = place else {
            self.lost = self.lost.saturating_add(1);
            counter!("edge_frames_unlogged_total").increment(1);
            return;
        };
        self.allowance -= 1;
        let cut = text.floor_char_boundary(LONGEST);
        place.send(Frame {
            at,
            station: self.station.clone(),
            connection: self.connection,
            direction,
            text: text[..cut].to_owned(),
            lost_before: std::mem::take(&mut self.lost),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_763_812_800_000);

    fn station() -> StationId {
        StationId::new("CP1").unwrap()
    }

    async fn until(log: &FrameLog, enough: impl Fn(&[LoggedFrame]) -> bool) -> Vec<LoggedFrame> {
        for _ in 0..500 {
            let frames = log.export(station(), FrameFilter::default(), 100_000).await.unwrap();
            if enough(&frames) {
                return frames;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the log was never so")
    }

    #[tokio::test]
    async fn both_directions_are_kept_with_the_action_of_the_call_and_without_passwords() {
        let folder = tempfile::TempDir::new().unwrap();
        let log = FrameLog::open(folder.path(), Room { per_station: 100, megabytes: 8 }).unwrap();
        let mut tap = log.tap(station(), 7, NOW);
        let change = r#"[2,"7-1","ChangeConfiguration",{"key":"AuthorizationKey","value":"c0ffee"}]"#;
        tap.leave(NOW, Direction::Sent, change);
        tap.leave(NOW.plus_millis(1), Direction::Received, r#"[3,"7-1",{"status":"Accepted"}]"#);
        let frames = until(&log, |frames| frames.len() == 2).await;
        assert!(!frames[0].text.contains("c0ffee") && frames[0].text.contains("AuthorizationKey"));
        assert_eq!(frames[1].action.as_deref(), Some("ChangeConfiguration"), "an answer has its call's");
        assert_eq!((frames[1].connection, frames[1].message_id.as_deref()), (7, Some("7-1")));

        let sent = FrameFilter { direction: Some(Direction::Sent), ..FrameFilter::default() };
        assert_eq!(log.page(station(), sent).await.unwrap().frames.len(), 1);
        let one = FrameFilter { limit: Some(1), ..FrameFilter::default() };
        let first = log.page(station(), one.clone()).await.unwrap();
        let rest = log.page(station(), FrameFilter { after: first.next, ..one }).await.unwrap();
        assert_eq!((rest.frames[0].number, rest.next), (frames[1].number, None), "page by page");
        let late = FrameFilter { since: Some(NOW.plus_millis(1)), ..FrameFilter::default() };
        assert_eq!(log.page(station(), late).await.unwrap().frames.len(), 1);
    }

    #[tokio::test]
    async fn it_is_a_ring_and_says_what_it_lost() {
        let folder = tempfile::TempDir::new().unwrap();
        let log = FrameLog::open(folder.path(), Room { per_station: 50, megabytes: 8 }).unwrap();
        let mut tap = log.tap(station(), 1, NOW);
        for n in 0..1000 {
            tap.leave(NOW, Direction::Received, &format!(r#"[2,"{n}","Heartbeat",{{}}]"#));
        }
        tap.leave(NOW.plus_millis(60_000), Direction::Received, r#"[2,"last","Heartbeat",{}]"#);
        let frames = until(&log, |frames| frames.last().is_some_and(|it| it.lost_before > 0)).await;
        assert_eq!(i64::from(frames.last().unwrap().lost_before), 1000 - BURST);
        assert!(frames.len() <= 50 + 64, "{} are kept", frames.len());
    }
}
