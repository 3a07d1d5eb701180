//! F2: the agent loses power while its stations charge. What a station got an answer for is there afterwards; what it
//! did not, it says again.

use std::time::{Duration, Instant};

use anyhow::Result;
use stack::house::BrokerKind;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, promise};
use crate::times::{Times, millis};
use crate::watch::Watch;

const STATIONS: usize = 6;
/// How soon after its start the agent has to serve stations.
const READY: Duration = Duration::from_secs(10);

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let rounds = trial.scale.of(25, 100, 500);
    trial.line.of(rounds);
    let watch = Watch::over(stage);
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    let mut ready = Times::default();
    for round in 0..rounds {
        trial.line.doing("stations charge, the agent is killed and comes back");
        kill(trial, stage, round).await?;
        let begin = Instant::now();
        stage.house.edge.start().await?;
        ready.add(begin.elapsed());
        trial.line.round();
    }
    trial.line.doing("the last sessions end");
    drivers.finish(SOON).await?;
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    verdict.findings.extend(watch.findings());
    let slowest = ready.percentile(100);
    promise(&mut verdict, slowest <= READY, format!("ready only after {}", millis(slowest)));
    Ok(Outcome { verdict, times: vec![("from start to ready".into(), ready)], notes: Vec::new() })
}

/// Every fourth time exactly between commit and answer, else whenever the dice say; then it stays away for a moment.
async fn kill(trial: &mut Trial, stage: &mut Stage, round: u64) -> Result<()> {
    sleep(trial.dice.millis(0, 900)).await;
    let service = stage.house.edge.service();
    if round % 4 == 3 {
        service.arm("edge.after_commit")?;
        service.process()?.ended(SOON).await?;
    } else {
        service.kill9()?;
    }
    trial.line.fault();
    sleep(trial.dice.millis(0, 400)).await;
    Ok(())
}
