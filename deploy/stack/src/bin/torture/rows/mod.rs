//! The rows of the fault matrix, one file each.

mod agent_killed;
mod backlog;
mod broker_killed;
mod by_cargo;
mod clocks;
mod cloud_killed;
mod commands;
mod cut_off;
mod disk_faults;
mod herd;
mod link_flaps;
mod one_of_each;
mod poison;
mod power_cut;
mod power_on;
mod reborn;
mod soak;
mod upgrade;

use anyhow::Result;
use clap::ValueEnum;
use stack::house::BrokerKind;

use crate::cli::Scale;
use crate::outcome::Outcome;
use crate::progress::Line;
use crate::seed::Dice;
use crate::stage::Stage;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// The power goes at every operation on a file
    #[value(name = "F1")]
    PowerCut,
    /// The agent is killed
    #[value(name = "F2")]
    AgentKilled,
    /// The sync protocol in a bad world, in virtual time
    #[value(name = "F3")]
    Simulation,
    /// Every way that a small world can go
    #[value(name = "F4")]
    Exhaustive,
    /// The broker is killed
    #[value(name = "F5")]
    BrokerKilled,
    /// The cloud, its connections and Postgres are killed
    #[value(name = "F6")]
    CloudKilled,
    /// Seven days without internet
    #[value(name = "F7")]
    Backlog,
    /// Many gateways come back at once
    #[value(name = "F8")]
    Herd,
    /// The internet comes and goes
    #[value(name = "F9")]
    LinkFlaps,
    /// Records that nobody can read
    #[value(name = "F10")]
    Poison,
    /// Restored, deleted and cloned databases
    #[value(name = "F11")]
    Reborn,
    /// The disk is full
    #[value(name = "F12")]
    DiskFull,
    /// The disk fails
    #[value(name = "F13")]
    DiskBroken,
    /// The gateway's clock is wrong, and jumps
    #[value(name = "F14")]
    Clocks,
    /// Stations that repeat, forget and reorder
    #[value(name = "F16")]
    Histories,
    /// No cloud while sessions begin and end, and a card is barred
    #[value(name = "F20")]
    CutOff,
    /// Storms of orders
    #[value(name = "F22")]
    Commands,
    /// Upgrades are killed at each step
    #[value(name = "F24")]
    Upgrade,
    /// All of it, for long
    #[value(name = "F27")]
    Soak,
    /// The power comes back in any order
    #[value(name = "F28")]
    PowerOn,
    /// One of each is killed: broker, replica, primary
    #[value(name = "ALL")]
    OneOfEach,
}

/// What a row is played with.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) row: Row,
    pub(crate) scale: Scale,
    pub(crate) dice: Dice,
    pub(crate) line: Line,
}

impl Row {
    pub(crate) fn all() -> impl Iterator<Item = Row> {
        Row::value_variants().iter().copied()
    }

    /// Is it in the short run? Not what `cargo test` plays as often as every check has to, nor what needs a minute for its
    /// brokers alone, nor a program that few machines have.
    pub(crate) fn is_short(self) -> bool {
        !matches!(self, Row::Simulation | Row::Exhaustive | Row::Histories | Row::OneOfEach | Row::Clocks)
    }

    /// Its number in the matrix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Row::PowerCut => "F1",
            Row::AgentKilled => "F2",
            Row::Simulation => "F3",
            Row::Exhaustive => "F4",
            Row::BrokerKilled => "F5",
            Row::CloudKilled => "F6",
            Row::Backlog => "F7",
            Row::Herd => "F8",
            Row::LinkFlaps => "F9",
            Row::Poison => "F10",
            Row::Reborn => "F11",
            Row::DiskFull => "F12",
            Row::DiskBroken => "F13",
            Row::Clocks => "F14",
            Row::Histories => "F16",
            Row::CutOff => "F20",
            Row::Commands => "F22",
            Row::Upgrade => "F24",
            Row::Soak => "F27",
            Row::PowerOn => "F28",
            Row::OneOfEach => "ALL",
        }
    }

    /// What is done in it.
    pub(crate) fn fault(self) -> &'static str {
        match self {
            Row::PowerCut => "the power goes at every operation of the agent on its files",
            Row::AgentKilled => "the agent is killed, at any moment and between commit and answer",
            Row::Simulation => {
                "the sync protocol: loss, repeats, reordering, crashes around every commit, in virtual time"
            }
            Row::Exhaustive => "the sync protocol: every way that a small world can go",
            Row::BrokerKilled => "the broker is killed and forgets everything: embedded, mosquitto",
            Row::CloudKilled => "the cloud, its connections to Postgres, and Postgres are killed",
            Row::Backlog => "seven days without internet, then everything at once",
            Row::Herd => "many gateways come back at once, each with a backlog",
            Row::LinkFlaps => "the internet is cut, half-open, slow, one byte at a time, breaks in mid-frame",
            Row::Poison => "records at the head of a lane that nobody can read",
            Row::Reborn => {
                "an old backup is put back, the database is deleted, two gateways have one identity"
            }
            Row::DiskFull => "the disk is full, at any operation",
            Row::DiskBroken => "the disk fails at any operation: reading, writing, syncing",
            Row::Clocks => "the gateway boots in 1970, its clock jumps by hours, days and decades",
            Row::Histories => "stations that repeat, forget, reorder and reconnect, in virtual time",
            Row::CutOff => "no cloud while sessions begin and end, and a card is barred meanwhile",
            Row::Commands => "storms of orders, late and void ones, and deaths that cross them",
            Row::Upgrade => {
                "the agent and the cloud are upgraded over what earlier ones left: killed, without power, without room, at each step"
            }
            Row::Soak => "the link, the cloud, its database and the agent fail in turn, for long",
            Row::OneOfEach => {
                "many gateways drain; one of three NATS nodes, one of three replicas and the primary are killed for good"
            }
            Row::PowerOn => "after a power cut agent, link, cloud and Postgres come back in any order",
        }
    }
}

impl Trial {
    /// Dice of its own for every row, so that a row alone throws the same as among all.
    pub(crate) fn new(row: Row, scale: Scale, seed: u64, line: Line) -> Self {
        let salt = row.name().bytes().fold(0_u64, |salt, byte| salt * 257 + u64::from(byte));
        Self { row, scale, dice: Dice::new(seed ^ (salt << 32)), line }
    }
}

/// Plays a row to its end.
pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    match trial.row {
        Row::PowerCut => power_cut::play(trial).await,
        Row::AgentKilled => agent_killed::play(trial).await,
        Row::Simulation => by_cargo::simulation(trial).await,
        Row::Exhaustive => by_cargo::exhaustive(trial).await,
        Row::BrokerKilled => broker_killed::play(trial).await,
        Row::CloudKilled => cloud_killed::play(trial).await,
        Row::Backlog => backlog::play(trial).await,
        Row::Herd => herd::play(trial).await,
        Row::LinkFlaps => link_flaps::play(trial).await,
        Row::Poison => poison::play(trial).await,
        Row::Reborn => reborn::play(trial).await,
        Row::DiskFull => disk_faults::full(trial).await,
        Row::DiskBroken => disk_faults::broken(trial).await,
        Row::Clocks => clocks::play(trial).await,
        Row::Histories => by_cargo::histories(trial).await,
        Row::CutOff => cut_off::play(trial).await,
        Row::Commands => commands::play(trial).await,
        Row::Upgrade => upgrade::play(trial).await,
        Row::Soak => soak::play(trial).await,
        Row::PowerOn => power_on::play(trial).await,
        Row::OneOfEach => one_of_each::play(trial).await,
    }
}

/// Plays on a stage of its own, which is kept for a look when something was wrong.
async fn on_stage(
    trial: &mut Trial,
    broker: BrokerKind,
    stations: usize,
    rounds: impl AsyncFnOnce(&mut Trial, &mut Stage) -> Result<Outcome>,
) -> Result<Outcome> {
    let mut stage = Stage::build(trial.row.name(), broker, stations).await?;
    let outcome = rounds(trial, &mut stage).await;
    let fine = outcome.as_ref().is_ok_and(|outcome| outcome.verdict.findings.is_empty());
    stage.strike(fine).await?;
    outcome
}
