//! F12 and F13: the disk under the agent's database is full, or fails, from some operation on, until the agent is started anew.
//! It may end, and must not answer for what it could not keep; afterwards it goes on as if nothing had been.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use stack::edge::Edge;
use stack::house::BrokerKind;
use tokio::time::{Instant, sleep};

use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage};
use crate::times::Times;
use crate::watch::Watch;

const STATIONS: usize = 6;
/// How long a sick disk is left to the agent.
const SICK: Duration = Duration::from_millis(2_500);

/// What a disk says, to which calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sickness {
    calls: &'static str,
    error: &'static str,
    /// From then on, or that once.
    stays: bool,
}

pub(super) const FULL: [Sickness; 2] = [
    Sickness { calls: "pwrite64,write,ftruncate,fallocate", error: "ENOSPC", stays: true },
    Sickness { calls: "pwrite64", error: "ENOSPC", stays: false },
];
const BROKEN: [Sickness; 4] = [
    Sickness { calls: "fsync,fdatasync", error: "EIO", stays: false },
    Sickness { calls: "pwrite64", error: "EIO", stays: false },
    Sickness { calls: "pread64", error: "EIO", stays: false },
    Sickness { calls: "pread64,pwrite64,fsync,fdatasync,ftruncate", error: "EIO", stays: true },
];

pub(crate) async fn full(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, async |trial, stage| rounds(trial, stage, &FULL).await)
        .await
}

pub(crate) async fn broken(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, async |trial, stage| rounds(trial, stage, &BROKEN).await)
        .await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage, kinds: &[Sickness]) -> Result<Outcome> {
    let rounds = trial.scale.of(8, 60, 1_000);
    trial.line.of(rounds);
    let watch = Watch::over(stage);
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    let (mut ready, mut ended) = (Times::default(), 0);
    for round in 0..rounds {
        let kind = kinds[usize::try_from(round)? % kinds.len()];
        trial.line.doing(format!("stations charge, {} says {}", kind.calls, kind.error));
        ended += u64::from(fall_sick(trial, stage, kind).await?);
        let begin = Instant::now();
        stage.house.edge.start().await?;
        ready.add(begin.elapsed());
        sleep(trial.dice.millis(100, 600)).await;
        trial.line.round();
    }
    trial.line.doing("the last sessions end");
    drivers.finish(SOON).await?;
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    verdict.findings.extend(watch.findings());
    let mut notes =
        vec![format!("the agent ended by itself {ended} times of {rounds}, and was killed the other times")];
    notes.extend(last_words(&mut stage.house.edge));
    Ok(Outcome {
        verdict,
        times: vec![("from start to ready, on a disk that is well again".into(), ready)],
        notes,
    })
}

/// Starts the agent on a disk that is about to fail. Did it end by itself?
async fn fall_sick(trial: &mut Trial, stage: &mut Stage, kind: Sickness) -> Result<bool> {
    let edge = &mut stage.house.edge;
    edge.service().kill9()?;
    let database = edge.data().join("edge.sqlite3");
    // Calls are counted by thread, and the one that writes has most of them.
    let nth = 1 + trial.dice.below(150);
    edge.service().under(under(&database, kind, nth));
    trial.line.fault();
    let started = edge.start().await;
    edge.service().under(Vec::new());
    let process = edge.service().process()?;
    let ended = started.is_err() || process.ended(SICK).await.is_ok();
    if !ended {
        edge.service().kill9()?;
    }
    Ok(ended)
}

/// What it gave as the reason, and how often.
fn last_words(edge: &mut Edge) -> Vec<String> {
    let folder = format!("{}/", edge.data().display());
    let log = edge.service().log().replace(&folder, "");
    let mut counts = BTreeMap::<&str, u32>::new();
    for reason in log.lines().filter_map(|line| line.split_once("ERROR ")).map(|(_, reason)| reason) {
        *counts.entry(reason.split_once(": ").map_or(reason, |(_, reason)| reason)).or_default() += 1;
    }
    counts.into_iter().map(|(reason, times)| format!("{times} times: {reason}")).collect()
}

/// What to start an agent under, so that the disk below its database fails at the nth of such calls.
pub(super) fn under(database: &Path, kind: Sickness, nth: u64) -> Vec<OsString> {
    let Sickness { calls, error, stays } = kind;
    let from_then_on = if stays { "+" } else { "" };
    let mut words: Vec<OsString> =
        ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none"].map(OsString::from).into();
    for file in ["", "-wal"] {
        let mut name = database.as_os_str().to_owned();
        name.push(file);
        words.extend(["-P".into(), name]);
    }
    words.extend(["-e".into(), format!("trace={calls}").into()]);
    words.extend(["-e".into(), format!("inject={calls}:error={error}:when={nth}{from_then_on}").into()]);
    words
}
