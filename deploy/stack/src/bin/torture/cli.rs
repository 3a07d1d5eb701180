//! What to play, at which scale, from which seed.

use std::path::PathBuf;
use std::sync::OnceLock;

use clap::Parser;

use crate::rows::Row;
use crate::seed;

/// Does to the real programs what can happen to them, and checks every session to the watt-hour and the cent.
#[derive(Parser)]
#[command(name = "torture", max_term_width = 110)]
pub(crate) struct Arguments {
    /// The figures of every check: some minutes on two cores (the default)
    #[arg(long, conflicts_with_all = ["long", "full"])]
    ci: bool,
    /// Between the two: about twenty minutes
    #[arg(long, conflicts_with = "full")]
    long: bool,
    /// The full figures: hours
    #[arg(long)]
    full: bool,
    /// Only these rows, such as F7; give several times for several
    #[arg(long = "row", ignore_case = true)]
    row: Vec<Row>,
    /// Take all chances from this number, to play a failure again
    #[arg(long)]
    seed: Option<u64>,
    /// Write what was found to this file, in Markdown
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Every check.
    Ci,
    /// On demand, within a coffee break.
    Long,
    /// Before a release.
    Full,
}

impl Arguments {
    pub(crate) fn scale(&self) -> Scale {
        match (self.full, self.long) {
            (true, _) => Scale::Full,
            (false, true) => Scale::Long,
            (false, false) => Scale::Ci,
        }
    }

    /// The number that all chances of this run come from.
    pub(crate) fn seed(&self) -> u64 {
        static CHANCE: OnceLock<u64> = OnceLock::new();
        self.seed.unwrap_or_else(|| *CHANCE.get_or_init(seed::chance))
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        if !self.row.is_empty() {
            return self.row.clone();
        }
        Row::all().filter(|row| self.scale() != Scale::Ci || row.is_short()).collect()
    }

    /// The command line that plays a row of this run again.
    pub(crate) fn again(&self, row: Row) -> String {
        format!("deploy/torture --{} --row {} --seed {}", self.scale().name(), row.name(), self.seed())
    }
}

impl Scale {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scale::Ci => "ci",
            Scale::Long => "long",
            Scale::Full => "full",
        }
    }

    /// One figure for each scale.
    pub(crate) fn of<T>(self, ci: T, long: T, full: T) -> T {
        match self {
            Scale::Ci => ci,
            Scale::Long => long,
            Scale::Full => full,
        }
    }
}
