//! The gateway's half: from each older version the agent's start is written down once, as F1 does; the power goes at every
//! operation of it. Then the disk is full while it migrates. In the end all is there, under the same epoch: nothing was
//! restored from elsewhere, because nothing had to be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use rusqlite::Connection;
use stack::edge::Edge;
use tokio::time::sleep;

use super::old_gateway::{copy, make, migrations};
use crate::power::{Disk, Op, read, recorder};
use crate::rows::Trial;
use crate::rows::disk_faults::{FULL, under};
use crate::rows::power_cut::lay_out;
use crate::stage::Stage;

/// What a database has to hold, whatever happens.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    epoch: String,
    /// By station and number: does it run, and its energy.
    sessions: BTreeMap<(String, String), (bool, i64)>,
    /// By lane and number: the record.
    records: BTreeMap<(i64, i64), (String, Vec<u8>)>,
}

/// What is counted.
#[derive(Default)]
struct Tally {
    operations: usize,
    disks: usize,
    starts: usize,
    full: usize,
    wrong: Vec<String>,
}

/// Everything, from every version; what was wrong, and what was done.
pub(super) async fn upgrades(
    trial: &mut Trial,
    stage: &Stage,
    room: &Path,
    lived: &Path,
) -> Result<(Vec<String>, Vec<String>)> {
    let versions = migrations("edge-agent")?.len();
    let newest = schema(&lived.join("edge.sqlite3"))?;
    let mut tally = Tally::default();
    // From the first it goes through every step; the others have less before them.
    let other = 2 + usize::try_from(trial.dice.below(versions as u64 - 2))?;
    let from = trial.scale.of(vec![1, other], (1..versions).collect(), (1..versions).collect());
    for &version in &from {
        trial.line.doing(format!("a gateway of version {version} is brought up to date, and the power goes"));
        let old = room.join(format!("version-{version}"));
        make(lived, version, &old)?;
        let look = room.join(format!("look-{version}"));
        copy(&old, &look, |_| true)?;
        let held = Held::read(&look)?;
        ensure!(!held.sessions.is_empty() && !held.records.is_empty(), "a gateway that has lived");
        let mut upgrade = Upgrade { edge: &stage.house.edge, old, version, held, newest: &newest };
        upgrade.power_goes(trial, &mut tally).await?;
        upgrade.disk_is_full(trial, &mut tally).await?;
    }
    let Tally { operations, disks, starts, full, wrong } = tally;
    let note = format!(
        "a gateway from versions {from:?} to {versions}: {operations} operations on files, {disks} disks after a power cut, on \
         {starts} of them the agent started; {full} times the disk was full meanwhile"
    );
    Ok((wrong, vec![note]))
}

struct Upgrade<'a> {
    edge: &'a Edge,
    old: PathBuf,
    version: usize,
    held: Held,
    newest: &'a [String],
}

impl Upgrade<'_> {
    /// At every operation, with the disk that chance gives; the agent starts on some of them.
    async fn power_goes(&mut self, trial: &mut Trial, tally: &mut Tally) -> Result<()> {
        let (before, ops) = self.record().await?;
        let (every, starts) = (trial.scale.of(2, 1, 1), trial.scale.of(8, 20, usize::MAX));
        let apart = (ops.len() / starts).max(1);
        let (mut disk, image_room) = (before, self.beside("cut"));
        for (number, op) in ops.iter().enumerate() {
            if !disk.apply(op) || number % every != 0 {
                continue;
            }
            let (files, manner) = disk.after_cut(&mut trial.dice);
            let image = lay_out(&image_room, self.old.as_path(), &files)?;
            let starts = tally.disks.is_multiple_of((apart / every).max(1));
            let found = match starts {
                true => self.comes_up(&image).await,
                false => Held::read(&image).and_then(|held| self.held.is_in(&held)),
            };
            tally.disks += 1;
            tally.starts += usize::from(starts);
            trial.line.fault();
            trial.line.round();
            if let Err(error) = found {
                let version = self.version;
                tally
                    .wrong
                    .push(format!("from version {version}, after operation {number}, {manner}: {error:#}"));
            }
        }
        tally.operations += ops.len();
        Ok(())
    }

    /// From some write on, until the agent is started on a disk with room.
    async fn disk_is_full(&mut self, trial: &mut Trial, tally: &mut Tally) -> Result<()> {
        for round in 0..trial.scale.of(3, 10, 60) {
            let image = self.beside("full");
            std::fs::remove_dir_all(&image).ok();
            copy(&self.old, &image, |_| true)?;
            let (kind, nth) = (FULL[round % FULL.len()], 1 + trial.dice.below(60));
            let mut edge = self.edge.elsewhere(&image)?;
            edge.service().under(under(&image.join("edge.sqlite3"), kind, nth));
            // It may end for want of room, or have been through before.
            if edge.start().await.is_ok() {
                edge.service().kill9()?;
            }
            if let Err(error) = self.comes_up(&image).await {
                let version = self.version;
                tally.wrong.push(format!("from version {version}, full at write {nth}: {error:#}"));
            }
            tally.full += 1;
            trial.line.fault();
        }
        Ok(())
    }

    /// What was on the disk, and all that the agent did to it in one upgrade that nothing disturbed.
    async fn record(&self) -> Result<(Disk, Vec<Op>)> {
        let before = Disk::of(&self.old)?;
        let (kept, traces) = (self.beside("kept"), self.beside("trace"));
        copy(&self.old, &kept, |_| true)?;
        let mut edge = self.edge.elsewhere(&self.old)?;
        edge.service().under(recorder(&traces));
        edge.start().await?;
        edge.service().kill9()?;
        // The recorder ends a moment after what it watches.
        sleep(Duration::from_millis(300)).await;
        let ops = read(&traces, &self.old)?;
        std::fs::remove_dir_all(&self.old)?;
        std::fs::rename(&kept, &self.old)?;
        Ok((before, ops))
    }

    /// The agent starts on a disk, far from the cloud; then it is up to date, and nothing is missing.
    async fn comes_up(&self, image: &Path) -> Result<()> {
        let mut again = self.edge.elsewhere(image)?;
        again.start().await?;
        again.state().await?;
        again.service().kill9()?;
        self.held.is_in(&Held::read(image)?)?;
        ensure!(schema(&image.join("edge.sqlite3"))? == self.newest, "the schema is another one");
        Ok(())
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.old.with_file_name(format!("{name}-{}", self.version))
    }
}

impl Held {
    fn read(data: &Path) -> Result<Self> {
        let db = Connection::open(data.join("edge.sqlite3"))?;
        let sound: String = db.query_row("pragma integrity_check", [], |row| row.get(0))?;
        ensure!(sound == "ok", "the database is damaged: {sound}");
        let epoch = db.query_row("select value from meta where key = 'epoch'", [], |row| row.get(0))?;
        let mut sessions = db.prepare("select station, tx_ref, open, energy_wh from sessions")?;
        let sessions =
            sessions.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))?;
        let mut records = db.prepare("select lane, seq, key, body from outbox")?;
        let records =
            records.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))?;
        Ok(Held {
            epoch,
            sessions: sessions.collect::<rusqlite::Result<_>>()?,
            records: records.collect::<rusqlite::Result<_>>()?,
        })
    }

    /// Is all of it in another one, which may hold more?
    fn is_in(&self, other: &Held) -> Result<()> {
        ensure!(self.epoch == other.epoch, "it was restored from elsewhere");
        let lost =
            self.sessions.iter().filter(|(name, state)| other.sessions.get(name) != Some(state)).count();
        ensure!(lost == 0, "{lost} sessions are gone, or others");
        let lost = self.records.iter().filter(|(at, record)| other.records.get(at) != Some(record)).count();
        ensure!(lost == 0, "{lost} records are gone, or others");
        Ok(())
    }
}

/// Everything that a database consists of, its version included.
fn schema(path: &Path) -> Result<Vec<String>> {
    let db = Connection::open(path)?;
    let all = "select coalesce(sql, name) from sqlite_schema union all
        select 'version ' || user_version from pragma_user_version order by 1";
    let mut all = db.prepare(all)?;
    Ok(all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}
