//! The gateway's memory: one SQLite file, one thread that writes it.
//!
//! WAL with `synchronous=FULL`: a commit that returned survives a power cut. The writer drains what has piled up while
//! the last commit ran into the next one, so the number of commits adapts to the disk (group commit). A failed commit is
//! fatal by design: the process ends, systemd starts it again, and what was not committed was not answered either.
//!
//! ```text
//! edge.sqlite3         the database
//! journal/             what money hangs on, once more (journal)
//! snapshots/           whole copies, made every hour (snapshot)
//! quarantine/          damaged databases that were put aside (ladder)
//! ballast              given up first when the disk is full (room)
//! ```

mod apply;
mod by_station;
mod durable;
mod findings;
mod gaps;
mod journal;
mod ladder;
mod live;
mod meta;
mod outbox;
mod position;
mod quarantine;
mod replay;
mod restore;
mod retain;
mod room;
mod schema;
mod settings;
mod snapshot;
mod sum;
mod thin;
mod trouble;
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
use ladder::Paths;
use room::Room;
use shared::id::BootId;
use trouble::is_full;
use writer::Writer;

pub use ladder::Damage;
pub use room::{Budget, Level, Usage};

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
    /// Nothing above was ever given to the network, by lane.
    pub sent: PerLane,
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
    usage: watch::Receiver<Usage>,
    paths: Arc<Paths>,
}

enum Job {
    Commit { stamp: Stamp, writes: Vec<Write>, raw: Vec<RawMessage>, done: oneshot::Sender<()> },
    Acked { lane: Lane, watermark: u64 },
    NewEpoch { done: oneshot::Sender<()> },
    Retain { billing_since: Timestamp, done: oneshot::Sender<()> },
    Reserve { lane: Lane, up_to: u64, done: oneshot::Sender<()> },
    Rotate { done: oneshot::Sender<u64> },
    Covered { segment: u64 },
    DamageTold,
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
    /// What happened to the database and has not been told: see [`Store::damage_told`].
    pub damages: Vec<Damage>,
    /// Ends with an error when a commit failed.
    pub failed: oneshot::Receiver<anyhow::Error>,
}

impl Store {
    /// Opens or creates the database in a folder, with the usual budget.
    pub fn open(folder: &Path) -> anyhow::Result<Opened> {
        Store::open_within(folder, Budget::default())
    }

    /// Opens or creates the database in a folder, mends it if it must, brings its schema up to date and starts the writer.
    pub fn open_within(folder: &Path, budget: Budget) -> anyhow::Result<Opened> {
        let (paths, room) = (Paths::of(folder), Room::new(folder, budget));
        let opening = || format!("opening {}", paths.database.display());
        let mut db = loop {
            match ladder::open(&paths) {
                Err(error) if is_full(&error) && room.relieve()? => {}
                other => break other.with_context(opening)?,
            }
        };
        let reader = schema::open_reader(&paths.database).with_context(opening)?;
        let restored =
            restore::restore(&reader).with_context(|| format!("reading {}", paths.database.display()))?;
        let last_committed = restore::last_committed(&reader)?;
        let damages = ladder::damages(&reader)?;
        let (publish, position) = watch::channel(position::ensure_position(&mut db)?);
        let journal = ladder::begin_journal(&paths, &db).context("beginning the journal")?;
        let (tell, usage) = watch::channel(room.usage(&db, journal.bytes(), Level::Enough)?);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (report, failed) = oneshot::channel();
        std::thread::Builder::new().name("store".into()).spawn(move || {
            if let Err(error) = Writer::new(db, journal, room, publish, tell).run(queue) {
                let _ = report.send(error);
            }
        })?;
        let reader = Arc::new(Mutex::new(reader));
        let store = Store { jobs, reader, position, usage, paths: Arc::new(paths) };
        Ok(Opened { store, restored, last_committed, damages, failed })
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

    /// Call before a lane's records up to `up_to` are given to the network: they are not put together any more.
    pub async fn reserve(&self, lane: Lane, up_to: u64) -> Result<(), StoreFailed> {
        if self.position.borrow().sent[lane.index()] >= up_to {
            return Ok(());
        }
        let (done, reserved) = oneshot::channel();
        self.send(Job::Reserve { lane, up_to, done }).await?;
        reserved.await.map_err(|_| StoreFailed)
    }

    /// What happened to the database stands in the billing lane now.
    pub async fn damage_told(&self) -> Result<(), StoreFailed> {
        self.send(Job::DamageTold).await
    }

    /// Makes a snapshot, while everything goes on.
    pub async fn snapshot(&self) -> anyhow::Result<()> {
        let (done, rotated) = oneshot::channel();
        self.send(Job::Rotate { done }).await?;
        let segment = rotated.await.context("the journal's next segment")?;
        let (paths, (done, made)) = (self.paths.clone(), oneshot::channel());
        // A thread of its own: nobody who wants to stop waits for a copy.
        std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let _ = done.send(snapshot::take(&paths.database, &paths.snapshots, segment));
        })?;
        made.await.context("the snapshot's thread")??;
        if let Some((oldest, _)) = snapshot::list(&self.paths.snapshots)?.pop() {
            self.send(Job::Covered { segment: oldest }).await?;
        }
        Ok(())
    }

    /// What the store takes of the disk.
    pub fn usage(&self) -> watch::Receiver<Usage> {
        self.usage.clone()
    }

    /// Epoch, heads and watermarks as of the last commit.
    pub fn position(&self) -> watch::Receiver<Position> {
        self.position.clone()
    }

    /// Records of a lane after `after`, at most `limit` and at most one batch's bytes.
    pub async fn records(&self, lane: Lane, after: u64, limit: usize) -> anyhow::Result<Vec<(u64, Record)>> {
        self.read(move |db| outbox::records(db, lane, after, limit)).await
    }

    /// Billing records of sessions after `after`, each with what is needed of its session and lies between `acked` and it.
    pub async fn live_sessions(
        &self,
        acked: u64,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<(u64, Record)>> {
        self.read(move |db| live::sessions(db, acked, after, limit)).await
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
