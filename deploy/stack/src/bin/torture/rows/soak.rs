//! F27: everything goes on and everything fails, in turn, for long. All invariants, and nothing grows.

use std::time::{Duration, Instant};

use anyhow::Result;
use stack::house::BrokerKind;
use tokio::time::sleep;

use super::cloud_killed::{self, Fault};
use super::{Trial, link_flaps, on_stage};
use crate::drivers::{Drivers, TEMPO};
use crate::measure::resident;
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, promise};
use crate::watch::Watch;

const STATIONS: usize = 8;
const CATCH_UP: Duration = Duration::from_secs(300);
/// What the agent may hold at the end.
const MEMORY: u64 = 256 << 20;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let (lasts, tempo) = trial.scale.of((10, TEMPO), (90, TEMPO), (24 * 3600, 1));
    let lasts = Duration::from_secs(lasts);
    trial.line.of(lasts.as_secs());
    let watch = Watch::over(stage);
    let drivers = Drivers::at_tempo(stage, &mut trial.dice, STATIONS, tempo);
    drivers.accepted(SOON).await?;
    let begin = Instant::now();
    let mut held = Vec::new();
    while begin.elapsed() < lasts {
        fail(trial, stage).await?;
        trial.line.fault();
        held.push(resident(stage.house.edge.service().process()?.pid())? >> 20);
        while trial.line.rounds() < begin.elapsed().as_secs() {
            trial.line.round();
        }
    }
    trial.line.doing("the last sessions end");
    drivers.finish(SOON).await?;
    stage.settled(CATCH_UP).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    verdict.findings.extend(watch.findings());
    let most = held.iter().max().copied().unwrap_or_default();
    promise(&mut verdict, most << 20 <= MEMORY, format!("the agent held {most} MiB"));
    let (first, last) = (held.first().copied().unwrap_or_default(), held.last().copied().unwrap_or_default());
    let notes = vec![format!("the agent held {first} MiB at first, {last} at the end, {most} at most")];
    Ok(Outcome { verdict, times: Vec::new(), notes })
}

async fn fail(trial: &mut Trial, stage: &mut Stage) -> Result<()> {
    sleep(trial.dice.millis(200, 1_500)).await;
    match trial.dice.below(20) {
        0..10 => {
            link_flaps::spoil(trial, stage).await;
            sleep(trial.dice.millis(100, 1_500)).await;
            stage.house.proxy.heal();
            Ok(())
        }
        10..14 => cloud_killed::commit(trial, stage, Fault::Connection).await,
        14..17 => cloud_killed::commit(trial, stage, Fault::Cloud).await,
        17 => cloud_killed::commit(trial, stage, Fault::Postgres).await,
        _ => {
            trial.line.doing("the agent is killed");
            stage.house.edge.service().kill9()?;
            stage.house.edge.start().await
        }
    }
}
