//! F5: the broker dies and has forgotten everything when it comes back: the embedded one with its whole replica, while
//! another replica goes on, and mosquitto alone.

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
    trial.line.of(2 * kills(trial));
    let mut outcome = on_stage(trial, BrokerKind::Embedded, STATIONS + 1, rounds).await?;
    let other = on_stage(trial, BrokerKind::Mosquitto, STATIONS + 1, rounds).await?;
    outcome.verdict.add(other.verdict);
    outcome.times.extend(other.times);
    outcome.notes.push("the embedded broker first, then mosquitto".into());
    Ok(outcome)
}

fn kills(trial: &Trial) -> u64 {
    trial.scale.of(5, 15, 100)
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let mut replica = stage.house.replica("replica-b").await?;
    let watch = Watch::over(stage);
    let prober = Prober::begin(stage, &station(STATIONS + 1)).await?;
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    for _ in 0..kills(trial) {
        sleep(trial.dice.millis(200, 1_500)).await;
        trial.line.doing("the broker is killed and comes back");
        let away = trial.dice.millis(0, 500);
        match &mut stage.house.mosquitto {
            Some(mosquitto) => {
                mosquitto.kill9()?;
                sleep(away).await;
                mosquitto.restart().await?;
            }
            None => {
                stage.house.cloud.service().kill9()?;
                sleep(away).await;
                stage.house.cloud.restart().await?;
            }
        }
        trial.line.fault();
        trial.line.round();
    }
    trial.line.doing("the last sessions end");
    drivers.finish(SOON).await?;
    let answers = prober.finish();
    stage.settled(CATCH_UP).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    verdict.findings.extend(watch.findings());
    let answers = answers.judge(&mut verdict);
    replica.service().stop().await?;
    Ok(Outcome { verdict, times: vec![answers], notes: Vec::new() })
}
