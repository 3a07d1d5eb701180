//! F28: after a power cut the parts come back in any order: the agent long before the router, the cloud before its database.
//! The site charges as soon as its agent runs, and everything else sorts itself out.

use std::time::Duration;

use anyhow::Result;
use stack::house::BrokerKind;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, station};
use crate::teller::tell;
use crate::watch::Watch;

const STATIONS: usize = 3;
/// Sessions of each station whenever something has come back.
const SESSIONS: u64 = 1;
const CATCH_UP: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Agent,
    Link,
    Cloud,
    Postgres,
}

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let rounds = trial.scale.of(2, 10, 50);
    trial.line.of(rounds);
    let watch = Watch::over(stage);
    for _ in 0..rounds {
        stage.house.edge.service().kill9()?;
        stage.house.cloud.service().kill9()?;
        stage.postgres.kill9()?;
        stage.house.proxy.cut();
        trial.line.fault();
        let order = shuffled(trial);
        trial.line.doing(format!("the power is back: {order:?}"));
        let mut back = Vec::new();
        for part in order {
            bring_back(trial, stage, part, &mut back).await?;
            if back.contains(&Part::Agent) {
                let stations: Vec<String> = (1..=STATIONS).map(station).collect();
                let url = stage.house.edge.ocpp_url();
                tell(stage, &url, &stations, SESSIONS, &mut trial.dice).await?;
            }
            sleep(trial.dice.millis(0, 500)).await;
        }
        stage.settled(CATCH_UP).await?;
        trial.line.round();
    }
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    verdict.findings.extend(watch.findings());
    Ok(Outcome { verdict, ..Outcome::default() })
}

fn shuffled(trial: &mut Trial) -> [Part; 4] {
    let mut parts = [Part::Agent, Part::Link, Part::Cloud, Part::Postgres];
    for last in (1..parts.len()).rev() {
        let other = trial.dice.below(last as u64 + 1);
        parts.swap(last, usize::try_from(other).expect("a place in the list"));
    }
    parts
}

async fn bring_back(trial: &mut Trial, stage: &mut Stage, part: Part, back: &mut Vec<Part>) -> Result<()> {
    match part {
        Part::Agent => stage.house.edge.start().await?,
        Part::Link => stage.house.proxy.heal(),
        Part::Cloud if !back.contains(&Part::Postgres) => {
            // It waits for its database.
            let late = trial.dice.millis(200, 1_500);
            let database = async {
                sleep(late).await;
                stage.postgres.restart().await
            };
            tokio::try_join!(stage.house.cloud.restart(), database)?;
            back.push(Part::Postgres);
        }
        Part::Cloud => stage.house.cloud.restart().await?,
        Part::Postgres if back.contains(&part) => {}
        Part::Postgres => stage.postgres.restart().await?,
    }
    back.push(part);
    Ok(())
}
