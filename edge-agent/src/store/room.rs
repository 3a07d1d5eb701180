//! How much of the disk the store may take, and what it gives up when that is nearly all.
//!
//! | used | what goes |
//! |---|---|
//! | 80 % | unsent meter readings become gap records, but the first and the last of each session |
//! | 90 % | new readings are not kept, only counted in a gap; unsent statuses but the latest of each connector go |
//!
//! Billing records are never given up. When the disk itself is full, whoever filled it, room is made at once: the ballast,
//! a file that holds nothing, goes first, then old quarantined databases, then the older snapshot. Only when there is
//! nothing left to give does a commit fail, and with it the process.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use metrics::gauge;
use rusqlite::Connection;

use super::{durable, quarantine, snapshot};

/// What the store may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Megabytes of the database and its journal. Snapshots come on top: up to twice as much.
    pub megabytes: u64,
    /// Megabytes that are kept for the day when the disk is full.
    pub ballast_megabytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { megabytes: 1024, ballast_megabytes: 16 }
    }
}

/// How short the room is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is enough.
    #[default]
    Enough,
    /// Readings are thinned.
    Short,
    /// Readings are not kept.
    Scarce,
}

impl Level {
    /// Its name in metrics and pages.
    pub fn name(self) -> &'static str {
        match self {
            Level::Enough => "enough",
            Level::Short => "short",
            Level::Scarce => "scarce",
        }
    }

    /// The level at so many used bytes. Once scarce, it stays so until a twentieth is free again.
    fn of(used: u64, budget: u64, before: Level) -> Level {
        let percent = used.saturating_mul(100) / budget.max(1);
        let scarce_from = if before == Level::Scarce { 85 } else { 90 };
        match percent {
            it if it >= scarce_from => Level::Scarce,
            80.. => Level::Short,
            _ => Level::Enough,
        }
    }
}

/// What the store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that hold something.
    pub used: u64,
    /// Bytes that may.
    pub budget: u64,
    /// What follows from that.
    pub level: Level,
    /// Is the ballast there, or none wanted?
    pub ballast: bool,
    /// Damaged databases that were put aside.
    pub quarantined: usize,
}

impl Usage {
    /// Tells the metrics.
    pub(super) fn show(&self) {
        gauge!("edge_store_bytes").set(number(self.used));
        gauge!("edge_store_budget_bytes").set(number(self.budget));
        gauge!("edge_store_without_samples").set(f64::from(u8::from(self.level == Level::Scarce)));
        gauge!("edge_store_ballast").set(f64::from(u8::from(self.ballast)));
        gauge!("edge_store_quarantined").set(number(u64::try_from(self.quarantined).unwrap_or(u64::MAX)));
    }
}

/// Bytes far below 2^52 are exact.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn number(count: u64) -> f64 {
    count as f64
}

/// The store's part of the disk.
pub(super) struct Room {
    folder: PathBuf,
    budget: Budget,
}

impl Room {
    pub(super) fn new(folder: &Path, budget: Budget) -> Self {
        Room { folder: folder.to_owned(), budget }
    }

    /// Measures. Pages of the file that are free hold nothing: they are used again before the file grows.
    pub(super) fn usage(&self, db: &Connection, journal: u64, before: Level) -> rusqlite::Result<Usage> {
        let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        let used = pages.saturating_mul(pragma("page_size")?).unsigned_abs() + journal;
        let budget = self.budget.megabytes.saturating_mul(1 << 20);
        Ok(Usage {
            used,
            budget,
            level: Level::of(used, budget, before),
            ballast: self.budget.ballast_megabytes == 0 || self.ballast().exists(),
            quarantined: quarantine::count(&self.folder.join("quarantine")),
        })
    }

    /// Gives up something so that the disk has room. Says whether there was something.
    pub(super) fn relieve(&self) -> std::io::Result<bool> {
        if self.ballast().exists() {
            tracing::error!("the disk is full: the ballast goes; make room before that is used up, too");
            durable::remove(&self.ballast())?;
            return Ok(true);
        }
        if quarantine::forget_oldest(&self.folder.join("quarantine"))? {
            tracing::error!("the disk is full: the oldest quarantined database was deleted");
            return Ok(true);
        }
        let snapshots = self.folder.join("snapshots");
        let drafted = durable::remove_if_there(&snapshots.join("draft"))?;
        if drafted {
            return Ok(true);
        }
        if let [_, .., (_, oldest)] = snapshot::list(&snapshots)?.as_slice() {
            tracing::error!("the disk is full: the older snapshot was deleted");
            durable::remove(oldest)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Puts the ballast there, real bytes, if it is not and the disk has room for it twice.
    pub(super) fn fill_ballast(&self) -> std::io::Result<()> {
        let bytes = self.budget.ballast_megabytes << 20;
        if bytes == 0 || self.ballast().exists() || durable::free(&self.folder)? < bytes.saturating_mul(2) {
            return Ok(());
        }
        let draft = self.folder.join("ballast.new");
        let mut file = File::create(&draft)?;
        let block = vec![0xb5; 1 << 20];
        for _ in 0..self.budget.ballast_megabytes {
            file.write_all(&block)?;
        }
        durable::put(&draft, &self.ballast())
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scarcity_ends_later_than_it_begins() {
        let level = |percent, before| Level::of(percent, 100, before);
        assert_eq!(level(79, Level::Enough), Level::Enough);
        assert_eq!(level(80, Level::Enough), Level::Short);
        assert_eq!(level(89, Level::Short), Level::Short);
        assert_eq!(level(90, Level::Short), Level::Scarce);
        assert_eq!(level(86, Level::Scarce), Level::Scarce);
        assert_eq!(level(84, Level::Scarce), Level::Short);
        assert_eq!(Level::of(1, 0, Level::Enough), Level::Scarce, "no budget is no room");
    }
}
