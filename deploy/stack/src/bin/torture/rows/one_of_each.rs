//! Everything there is more than once: three NATS nodes, three replicas, a primary and its standby, and many gateways with a
//! backlog. In the middle of the drain one of each is killed for good.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use stack::cloud::Cloud;
use stack::edge::Edge;
use stack::house::BrokerKind;
use tokio::time::sleep;

use super::Trial;
use crate::checker::CloudBook;
use crate::outcome::Outcome;
use crate::stage::{Stage, promise, station};
use crate::teller::tell;
use crate::times::{Times, millis};

/// Stations of each gateway.
const STATIONS: usize = 2;
/// By when everything has to be there, with one of each gone.
const FINISHED: Duration = Duration::from_secs(300);

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    let gateways: usize = trial.scale.of(3, 20, 20);
    let mut stage =
        Stage::with_standby(trial.row.name(), BrokerKind::NatsCluster, gateways * STATIONS).await?;
    let outcome = rounds(trial, &mut stage, gateways).await;
    let fine = outcome.as_ref().is_ok_and(|outcome| outcome.verdict.findings.is_empty());
    stage.strike(fine).await?;
    outcome
}

async fn rounds(trial: &mut Trial, stage: &mut Stage, gateways: usize) -> Result<Outcome> {
    trial.line.of(1);
    let mut replicas = Vec::new();
    for name in ["replica-b", "replica-c"] {
        replicas.push(stage.house.replica(name).await?);
    }
    for number in 2..=gateways {
        let mut edge = stage.house.another_gateway(&format!("edge-{number}"))?;
        edge.start().await?;
        stage.others.push(edge);
    }
    stage.documents_arrived().await?;

    trial.line.doing("no broker is there, the stations go on");
    nats(stage)?.kill9_all()?;
    for (number, edge) in edges(stage).enumerate() {
        let stations: Vec<String> = (1..=STATIONS).map(|own| station(number * STATIONS + own)).collect();
        tell(stage, &edge.ocpp_url(), &stations, trial.scale.of(15, 60, 200), &mut trial.dice).await?;
    }
    let (backlog, before) = (stage.backlog()?, CloudBook::read(&stage.db).await?.records);
    trial.line.doing(format!("{backlog} records drain, and one of each is killed"));
    nats(stage)?.start().await?;
    let begin = Instant::now();
    let late = under_way(stage, before).await?;
    let took = kill_one_of_each(trial, stage, replicas).await?;
    stage.settled(FINISHED).await?;
    let all = begin.elapsed();
    trial.line.round();

    let mut verdict = stage.verdict(stage.rules()).await?;
    promise(&mut verdict, late < backlog, "everything had drained before anything was killed");
    let rate = i128::from(backlog) * 1_000 / i128::try_from(all.as_millis())?.max(1);
    let mut times = Times::default();
    times.add(took);
    let notes = vec![
        format!(
            "{gateways} gateways with {backlog} records, {late} of them in when the first of each was killed"
        ),
        format!(
            "all there after {}, {rate} a second, on one NATS node less, two replicas, and the standby",
            millis(all)
        ),
    ];
    Ok(Outcome {
        verdict,
        times: vec![("from the primary's end to the standby's promotion".into(), times)],
        notes,
    })
}

/// Waits until some of the backlog is in; how much.
async fn under_way(stage: &Stage, before: i64) -> Result<i64> {
    let begin = Instant::now();
    loop {
        let records = CloudBook::read(&stage.db).await?.records;
        if records > before {
            return Ok(records - before);
        }
        anyhow::ensure!(begin.elapsed() < FINISHED, "nothing drains");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Ends a broker, a replica that is not the one people talk to, and the primary. How long there was none.
async fn kill_one_of_each(
    trial: &mut Trial,
    stage: &mut Stage,
    mut replicas: Vec<Cloud>,
) -> Result<Duration> {
    let node = usize::try_from(trial.dice.below(3))?;
    nats(stage)?.kill9(node)?;
    trial.line.fault();
    sleep(trial.dice.millis(0, 300)).await;
    replicas[0].service().kill9()?;
    trial.line.fault();
    sleep(trial.dice.millis(0, 300)).await;
    stage.postgres.kill9()?;
    trial.line.fault();
    let begin = Instant::now();
    stage.promote().await?;
    stage.replicas = replicas;
    Ok(begin.elapsed())
}

fn nats(stage: &mut Stage) -> Result<&mut stack::nats::Cluster> {
    stage.house.nats.as_mut().context("a cluster of brokers")
}

fn edges(stage: &Stage) -> impl Iterator<Item = &Edge> {
    [&stage.house.edge].into_iter().chain(&stage.others)
}
