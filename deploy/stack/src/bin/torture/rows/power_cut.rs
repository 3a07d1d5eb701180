//! F1: the power goes at every operation of the agent on its files. One run is written down; then the disk of each moment is
//! worked out, more than once, and looked at: what a station was told by then is there, whole, and numbered without gaps. On
//! some of these disks the agent itself is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use stack::edge::Edge;
use stack::house::BrokerKind;
use stack::workdir::Workdir;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::outcome::Outcome;
use crate::power::{Disk, Kept, Op, Promised, read, recorder};
use crate::stage::{SOON, Stage, promise};

const STATIONS: usize = 4;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let cuts = trial.scale.of(1_000, 3_000, 10_000);
    trial.line.of(cuts);
    trial.line.doing("stations charge, all that the agent does is written down");
    let (before, ops) = record(trial, stage).await?;
    let data = stage.house.edge.data().to_owned();
    let promised = Promised::by_message(&data)?;
    let (end, _) = Kept::read(&data)?;

    let mut moments = Moments { disk: before, said: Vec::new(), promised: &promised };
    let changes = ops.iter().filter(|op| !matches!(op, Op::Said { .. })).count() as u64;
    let starts = trial.scale.of(5, 15, 50);
    let (mut wrong, mut started, mut cut) = (Vec::new(), 0, 0);
    let room = Workdir::new("torture-f1-disk")?;
    trial.line.doing("the power goes, and the disk is looked at");
    for (number, op) in ops.iter().enumerate() {
        moments.go_on(op);
        // Spread over all operations, some of them more than once.
        let passed = ops[..=number].iter().filter(|op| !matches!(op, Op::Said { .. })).count() as u64;
        while cut < cuts * passed / changes.max(1) {
            let (files, manner) = moments.disk.after_cut(&mut trial.dice);
            let image = lay_out(room.path(), &data, &files)?;
            let found = look(&image, &moments.said, &end);
            let found = found.unwrap_or_else(|error| vec![format!("{error:#}")]);
            wrong.extend(
                found.into_iter().map(|found| format!("after operation {number}, {manner}: {found}")),
            );
            if cut * starts / cuts >= started {
                started += 1;
                if let Err(error) = start_on(&stage.house.edge, &image).await {
                    wrong.push(format!(
                        "after operation {number}, {manner}: the agent does not start: {error:#}"
                    ));
                }
            }
            trial.line.fault();
            trial.line.round();
            cut += 1;
        }
    }
    stage.house.edge.start().await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    wrong.into_iter().for_each(|words| promise(&mut verdict, false, words));
    let notes = vec![format!(
        "{changes} operations on files, {} answers to starts and stops, {cuts} disks, the agent started on {started}",
        moments.said.len()
    )];
    Ok(Outcome { verdict, times: Vec::new(), notes })
}

/// Has the agent work for a while, and returns what was on its disk before, and all that it did.
async fn record(trial: &mut Trial, stage: &mut Stage) -> Result<(Disk, Vec<Op>)> {
    let edge = &mut stage.house.edge;
    edge.service().stop().await?;
    let (data, traces) = (edge.data().to_owned(), edge.data().with_file_name("trace"));
    let before = Disk::of(&data)?;
    edge.service().under(recorder(&traces));
    edge.start().await?;
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    sleep(Duration::from_secs(trial.scale.of(6, 15, 45))).await;
    drivers.finish(SOON).await?;
    stage.settled(SOON).await?;
    stage.house.edge.service().stop().await?;
    stage.house.edge.service().under(Vec::new());
    // The recorder ends a moment after what it watches.
    sleep(Duration::from_millis(500)).await;
    Ok((before, read(&traces, &data)?))
}

/// The disk, and what was said, up to a moment.
struct Moments<'a> {
    disk: Disk,
    said: Vec<&'a Promised>,
    promised: &'a BTreeMap<String, Promised>,
}

impl Moments<'_> {
    fn go_on(&mut self, op: &Op) {
        self.disk.apply(op);
        if let Op::Said { bytes } = op {
            self.said.extend(answered(bytes).into_iter().filter_map(|id| self.promised.get(&id)));
        }
    }
}

/// The ids of the messages that are answered in these bytes: `[3,"ID",`.
fn answered(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split("[3,\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(id, _)| id.to_owned()).collect()
}

/// Writes the files of a disk to a folder of its own.
pub(super) fn lay_out(room: &Path, data: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<PathBuf> {
    let image = room.join("edge");
    if image.exists() {
        std::fs::remove_dir_all(&image)?;
    }
    for (path, content) in files {
        let path = image.join(path.strip_prefix(data).context("a file of the agent's")?);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, content)?;
    }
    Ok(image)
}

fn look(image: &Path, said: &[&Promised], end: &Kept) -> Result<Vec<String>> {
    let (kept, mut wrong) = Kept::read(image)?;
    wrong.extend(kept.missing(said.iter().copied(), end)?);
    Ok(wrong)
}

/// Starts the agent on a disk, far from the cloud, and ends it.
async fn start_on(edge: &Edge, image: &Path) -> Result<()> {
    let mut again = edge.elsewhere(image)?;
    again.start().await?;
    again.state().await?;
    again.service().stop().await
}
