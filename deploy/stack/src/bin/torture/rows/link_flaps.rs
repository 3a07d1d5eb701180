//! F9: the internet between the site and the cloud is as bad as it gets. The site does not notice, and everything arrives
//! once it is better.

use std::time::Duration;

use anyhow::Result;
use stack::house::BrokerKind;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::outcome::Outcome;
use crate::prober::Prober;
use crate::stage::{SOON, Stage, station};
use crate::watch::Watch;

const STATIONS: usize = 6;
const CATCH_UP: Duration = Duration::from_secs(120);

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS + 1, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let watch = Watch::over(stage);
    let prober = Prober::begin(stage, &station(STATIONS + 1)).await?;
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    let (rounds, longest) = trial.scale.of((10, 2_000), (25, 4_000), (240, 30_000));
    trial.line.of(rounds);
    for _ in 0..rounds {
        spoil(trial, stage).await;
        trial.line.fault();
        sleep(trial.dice.millis(300, longest)).await;
        if trial.dice.percent(50) {
            // What hung is not delivered late but lost.
            stage.house.proxy.cut();
            sleep(trial.dice.millis(0, 200)).await;
        }
        stage.house.proxy.heal();
        sleep(trial.dice.millis(100, longest / 2)).await;
        trial.line.round();
    }
    trial.line.doing("the last sessions end");
    drivers.finish(SOON).await?;
    let answers = prober.finish();
    stage.settled(CATCH_UP).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    verdict.findings.extend(watch.findings());
    let broken = stage.house.proxy.dropped();
    let times = vec![answers.judge(&mut verdict)];
    Ok(Outcome {
        verdict,
        times,
        notes: vec![format!("{broken} connections broke in the middle of a frame")],
    })
}

pub(super) async fn spoil(trial: &mut Trial, stage: &Stage) {
    let proxy = &stage.house.proxy;
    match trial.dice.below(5) {
        0 => {
            trial.line.doing("the internet is gone");
            proxy.cut();
        }
        1 => {
            trial.line.doing("connections stand, nothing arrives");
            proxy.stall();
        }
        2 => {
            trial.line.doing("two seconds there and back");
            proxy.delay(Duration::from_secs(1));
        }
        3 => {
            trial.line.doing("one byte at a time");
            proxy.dribble();
        }
        _ => {
            trial.line.doing("connections break in the middle of frames");
            proxy.cut();
            sleep(Duration::from_millis(50)).await;
            proxy.heal();
            proxy.drop_after(200 + trial.dice.below(20_000));
        }
    }
}
