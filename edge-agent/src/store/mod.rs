//! The gateway's memory: one SQLite file, one thread that writes it.
//!
//! WAL with `synchronous=FULL`: a commit that returned survives a power cut. The writer drains what has piled up while
//! the last commit ran into the next one, so the number of commits adapts to the disk (group commit). A failed commit is
//! fatal by design: the process ends, systemd starts it again, and what was not committed was not answered either.

mod findings;
mod outbox;
mod restore;
mod schema;
mod security;
mod settings;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rusqlite::Connection;
use shared::id::{Epoch, StationId};
use shared::model::Lane;
use shared::model::command::ConfigurationEntry;
use shared::sync::v1::PerLane;
use shared::sync::{ClockQuality, Record};
use shared::units::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::core::{Recall, Restored, RunningSession, Write};
use shared::id::BootId;

/// Jobs that may wait for the writer. When full, the site waits, then the stations' sockets do.
const QUEUE: usize = 64;

/// The birth of the database and how far its lanes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The current epoch.
    pub epoch: Epoch,
    /// The one before, with its heads, if there was one.
    pub parent: Option<(Epoch, PerLane)>,
    /// The last sequence number written, by lane.
    pub heads: PerLane,
    /// The last one that the cloud has committed, by lane.
    pub acked: PerLane,
}

/// When and where a commit's facts were recorded.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The agent's clock.
    pub at: Timestamp,
    /// How far to trust it.
    pub clock: ClockQuality,
    /// The process.
    pub boot: BootId,
    /// Milliseconds since it started.
    pub mono_ms: u64,
}

/// A message of a station, word for word.
#[derive(Clone, Debug)]
pub struct RawMessage {
    /// Who sent it.
    pub station: StationId,
    /// What.
    pub text: String,
}

/// A handle to the store.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    reader: Arc<Mutex<Connection>>,
    position: watch::Receiver<Position>,
}

enum Job {
    Commit { stamp: Stamp, writes: Vec<Write>, raw: Vec<RawMessage>, done: oneshot::Sender<()> },
    Acked { lane: Lane, watermark: u64 },
    NewEpoch { done: oneshot::Sender<()> },
    Retain { billing_since: Timestamp, done: oneshot::Sender<()> },
}

/// The writer is gone: its commit failed, the process is about to end.
#[derive(Debug, thiserror::Error)]
#[error("the store has failed; see the log")]
pub struct StoreFailed;

/// What [`Store::open`] finds.
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// The state to go on from.
    pub restored: Restored,
    /// The time of the last commit.
    pub last_committed: Option<Timestamp>,
    /// Ends with an error when a commit failed.
    pub failed: oneshot::Receiver<anyhow::Error>,
}

impl Store {
    /// Opens or creates the database in a folder, checks it, brings its schema up to date and starts the writer.
    pub fn open(folder: &Path) -> anyhow::Result<Opened> {
        let path = folder.join("edge.sqlite3");
        let opening = || format!("opening {}", path.display());
        let mut writer = schema::open(&path).with_context(opening)?;
        let reader = schema::open_reader(&path).with_context(opening)?;
        let restored = restore::restore(&reader).with_context(|| format!("reading {}", path.display()))?;
        let last_committed = restore::last_committed(&reader)?;
        let (watch_position, position) = watch::channel(writer::ensure_position(&mut writer)?);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (report, failed) = oneshot::channel();
        std::thread::Builder::new().name("store".into()).spawn(move || {
            if let Err(error) = writer::Writer::new(writer, watch_position).run(queue) {
                let _ = report.send(error);
            }
        })?;
        let store = Store { jobs, reader: Arc::new(Mutex::new(reader)), position };
        Ok(Opened { store, restored, last_committed, failed })
    }

    /// Commits writes and returns once they are on the disk.
    pub async fn commit(
        &self,
        stamp: Stamp,
        writes: Vec<Write>,
        raw: Vec<RawMessage>,
    ) -> Result<(), StoreFailed> {
        let (done, committed) = oneshot::channel();
        self.send(Job::Commit { stamp, writes, raw, done }).await?;
        committed.await.map_err(|_| StoreFailed)
    }

    /// The cloud has committed a lane up to `watermark`: what need not be kept is deleted.
    pub async fn acked(&self, lane: Lane, watermark: u64) -> Result<(), StoreFailed> {
        self.send(Job::Acked { lane, watermark }).await
    }

    /// Begins a new epoch: everything still held is numbered anew and will be sent again.
    pub async fn new_epoch(&self) -> Result<(), StoreFailed> {
        let (done, begun) = oneshot::channel();
        self.send(Job::NewEpoch { done }).await?;
        begun.await.map_err(|_| StoreFailed)
    }

    /// Deletes acknowledged billing records, closed sessions and raw messages from before `billing_since`.
    pub async fn retain(&self, billing_since: Timestamp) -> Result<(), StoreFailed> {
        let (done, finished) = oneshot::channel();
        self.send(Job::Retain { billing_since, done }).await?;
        finished.await.map_err(|_| StoreFailed)
    }

    /// Epoch, heads and watermarks as of the last commit.
    pub fn position(&self) -> watch::Receiver<Position> {
        self.position.clone()
    }

    /// Records of a lane after `after`, at most `limit` and at most one batch's bytes.
    pub async fn records(&self, lane: Lane, after: u64, limit: usize) -> anyhow::Result<Vec<(u64, Record)>> {
        self.read(move |db| outbox::records(db, lane, after, limit)).await
    }

    /// A session that is no longer in memory.
    pub async fn recall(&self, what: Recall) -> anyhow::Result<Option<RunningSession>> {
        self.read(move |db| restore::recall(db, &what)).await
    }

    /// What a station said that it is set to, by name.
    pub async fn settings(&self, station: StationId) -> anyhow::Result<Vec<ConfigurationEntry>> {
        self.read(move |db| settings::of(db, &station)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let reader = self.reader.clone();
        let read = move || query(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(read).await.context("the reader stopped")?
    }

    async fn send(&self, job: Job) -> Result<(), StoreFailed> {
        self.jobs.send(job).await.map_err(|_| StoreFailed)
    }
}
