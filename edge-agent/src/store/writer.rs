//! The one thread that writes.

use anyhow::{Context, anyhow};
use rusqlite::{Connection, Transaction, params};
use shared::model::Lane;
use tokio::sync::{mpsc, watch};

use super::apply::Commit;
use super::journal::{Entry, Frame, Journal};
use super::meta::{DAMAGE, JOURNAL, LAST_COMMITTED, clear_meta, set_meta};
use super::room::{Level, Room, Usage};
use super::thin::Pass;
use super::trouble::is_full;
use super::{Job, Position, Stamp, gaps, position, retain};

/// Jobs in one transaction at most.
const GROUP: usize = 64;
/// Commits between two looks at the room.
const LOOK_EVERY: u32 = 32;
/// Numbers that are reserved at once for being sent, so that it costs a commit now and then only.
const RESERVE: u64 = 1024;

pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) journal: Journal,
    pub(super) room: Room,
    pub(super) publish: watch::Sender<Position>,
    pub(super) tell: watch::Sender<Usage>,
    /// The segments of the journal that ended, and where the billing lane was then.
    pub(super) ended: Vec<(u64, Position)>,
    state: State,
}

/// What a commit changes in memory, once it is done.
#[derive(Clone)]
struct State {
    position: Position,
    /// Makes the keys of facts that have none of their own unique within this process.
    count: u64,
    /// The last commit's.
    stamp: Option<Stamp>,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        journal: Journal,
        room: Room,
        publish: watch::Sender<Position>,
        tell: watch::Sender<Usage>,
    ) -> Self {
        let position = publish.borrow().clone();
        let ended = vec![(journal.segment(), position.clone())];
        Writer { db, journal, room, publish, tell, ended, state: State { position, count: 0, stamp: None } }
    }

    /// Runs until every handle is gone or a commit fails.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> anyhow::Result<()> {
        let mut keeper = Keeper::default();
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            self.commit(&group).context("committing to the database")?;
            fault_after_commit();
            self.publish.send_replace(self.state.position.clone());
            group.into_iter().for_each(|job| self.answer(job));
            keeper.look_after(&mut self).context("making room in the database")?;
        }
        self.db.execute_batch("pragma wal_checkpoint(truncate)").context("closing the database")?;
        Ok(())
    }

    /// Commits; on a full disk room is made as long as there is something to give.
    fn commit(&mut self, group: &[Job]) -> anyhow::Result<()> {
        loop {
            let error = match self.try_commit(group) {
                Ok(state) => {
                    self.state = state;
                    return Ok(());
                }
                Err(error) => error,
            };
            if !is_full(&error) || !self.room.relieve()? {
                return Err(error);
            }
            self.tell.send_modify(|usage| (usage.level, usage.ballast) = (Level::Scarce, false));
            self.journal.take_back()?;
        }
    }

    fn try_commit(&mut self, group: &[Job]) -> anyhow::Result<State> {
        let mut state = self.state.clone();
        let mut entries = Vec::new();
        self.journal.settle();
        let transaction = self.db.transaction()?;
        let mut commit = Commit {
            db: &transaction,
            position: &mut state.position,
            count: &mut state.count,
            entries: &mut entries,
            without_samples: self.tell.borrow().level == Level::Scarce,
        };
        for job in group {
            if let Job::Commit { stamp, .. } = job {
                state.stamp = Some(*stamp);
            }
            carry_out(&mut commit, job)?;
        }
        position::save_lanes(&transaction, &self.state.position, &state.position)?;
        write_ahead(&mut self.journal, &transaction, entries)?;
        let committed = transaction.commit();
        let synced = self.journal.synced();
        committed?;
        // The commit is done: whatever the reason, it must not be tried again.
        synced.map_err(|error| anyhow!("syncing the journal: {error}"))?;
        Ok(state)
    }

    fn answer(&mut self, job: Job) {
        match job {
            Job::Commit { done, .. }
            | Job::NewEpoch { done }
            | Job::Reserve { done, .. }
            | Job::Retain { done, .. } => drop(done.send(())),
            Job::Rotate { done } => match self.journal.rotate() {
                Ok(segment) => {
                    self.ended.push((segment, self.state.position.clone()));
                    let _ = done.send(segment);
                }
                Err(error) => tracing::error!(%error, "beginning the next segment of the journal failed"),
            },
            Job::Covered { segment } => self.forget_before(segment),
            Job::Acked { .. } | Job::DamageTold => {}
        }
    }

    /// The snapshots cover what lies before `segment`. It goes as far as the cloud has the billing records of its time, too:
    /// until then there are three places that hold them.
    fn forget_before(&mut self, segment: u64) {
        let now = &self.state.position;
        let place = Lane::Billing.index();
        let has = |then: &Position| {
            let wanted = if then.epoch == now.epoch { then.heads[place] } else { now.heads[place] };
            now.acked[place] >= wanted
        };
        let ended = self.ended.iter().filter(|(next, then)| *next <= segment && has(then));
        let Some(next) = ended.map(|(next, _)| *next).max() else { return };
        self.ended.retain(|(kept, _)| *kept > next);
        if let Err(error) = self.journal.forget_before(next) {
            tracing::error!(%error, "deleting old segments of the journal failed");
        }
    }
}

/// Looks at the room from time to time, and thins while it is short.
#[derive(Default)]
struct Keeper {
    commits: u32,
    meter: Pass,
    status: Pass,
}

impl Keeper {
    fn look_after(&mut self, writer: &mut Writer) -> anyhow::Result<()> {
        let before = *writer.tell.borrow();
        if self.commits.is_multiple_of(LOOK_EVERY) {
            let usage = writer.room.usage(&writer.db, writer.journal.bytes(), before.level)?;
            if usage.level < Level::Scarce {
                writer.end_gaps()?;
            }
            if usage.level == Level::Enough
                && let Err(error) = writer.room.fill_ballast()
            {
                tracing::warn!(%error, "the ballast could not be put there");
            }
            usage.show();
            writer.tell.send_replace(usage);
        }
        self.commits = self.commits.wrapping_add(1);
        let thinned = match before.level {
            Level::Enough => Ok(()),
            Level::Short => writer.thin(Lane::Meter, &mut self.meter),
            Level::Scarce => writer
                .thin(Lane::Meter, &mut self.meter)
                .and_then(|()| writer.thin(Lane::Status, &mut self.status)),
        };
        // Giving up needs room, too; the next commit makes some.
        thinned.or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) })
    }
}

impl Writer {
    fn thin(&mut self, lane: Lane, pass: &mut Pass) -> anyhow::Result<()> {
        let transaction = self.db.transaction()?;
        let mut position = self.state.position.clone();
        let gone = pass.step(&transaction, &mut position, lane)?;
        if gone > 0 {
            position::save_lanes(&transaction, &self.state.position, &position)?;
            transaction.commit()?;
            metrics::counter!("edge_store_given_up_total", "lane" => lane.name()).increment(gone);
            self.moved(position);
        }
        Ok(())
    }

    /// There is room again: what was not kept is told.
    fn end_gaps(&mut self) -> anyhow::Result<()> {
        let (Some(stamp), sessions) = (self.state.stamp, gaps::sessions(&self.db)?) else { return Ok(()) };
        if sessions.is_empty() {
            return Ok(());
        }
        let mut state = self.state.clone();
        let transaction = self.db.transaction()?;
        let mut commit = Commit {
            db: &transaction,
            position: &mut state.position,
            count: &mut state.count,
            entries: &mut Vec::new(),
            without_samples: false,
        };
        for session in sessions {
            commit.end_gap(&stamp, session)?;
        }
        position::save_lanes(&transaction, &self.state.position, &state.position)?;
        transaction.commit()?;
        self.state.count = state.count;
        self.moved(state.position);
        Ok(())
    }

    fn moved(&mut self, position: Position) {
        self.state.position = position;
        self.publish.send_replace(self.state.position.clone());
    }
}

/// What a job does to the rows.
fn carry_out(commit: &mut Commit<'_>, job: &Job) -> anyhow::Result<()> {
    match job {
        Job::Commit { stamp, writes, raw, .. } => {
            commit.writes(stamp, writes)?;
            for raw in raw {
                commit
                    .db
                    .prepare_cached(
                        "insert into raw_messages (received_at, station, message) values (?1, ?2, ?3)",
                    )?
                    .execute(params![stamp.at.0, raw.station.as_str(), raw.text])?;
            }
            set_meta(commit.db, LAST_COMMITTED, &stamp.at.0.to_string())?;
        }
        Job::Acked { lane, watermark } => position::acked(commit.db, commit.position, *lane, *watermark)?,
        Job::Reserve { lane, up_to, .. } => {
            let sent = &mut commit.position.sent[lane.index()];
            if *up_to > *sent {
                *sent = up_to + RESERVE;
            }
        }
        Job::NewEpoch { .. } => position::begin_epoch(commit.db, commit.position)?,
        Job::Retain { billing_since, .. } => retain::retain(commit.db, commit.position, *billing_since)?,
        Job::DamageTold => clear_meta(commit.db, DAMAGE)?,
        Job::Rotate { .. } | Job::Covered { .. } => {}
    }
    Ok(())
}

/// The journal gets a commit while the database does; the number says whether one of them is behind.
fn write_ahead(journal: &mut Journal, db: &Transaction<'_>, entries: Vec<Entry>) -> anyhow::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let frame = Frame { number: journal.last() + 1, entries };
    set_meta(db, JOURNAL, &frame.number.to_string())?;
    journal.append(&frame).context("writing the journal")
}

/// Story tests kill the agent at its worst moment: committed, nobody told. Not in release builds.
fn fault_after_commit() {
    if cfg!(debug_assertions) && crate::config::fault("edge.after_commit") {
        std::process::abort();
    }
}
