//! F6: in the middle of batches the cloud dies, its connections to Postgres end, and Postgres itself loses power. The edge
//! sends again what was not committed, and nothing that was committed counts twice.

use std::time::Duration;

use anyhow::Result;
use stack::house::BrokerKind;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::outcome::Outcome;
use crate::prober::Prober;
use crate::stage::{SOON, Stage, US, station};
use crate::watch::Watch;

const STATIONS: usize = 6;
/// Backlogs of an outage, on a busy machine.
const CATCH_UP: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// SIGKILL, sometimes between commit and acknowledgement.
    Cloud,
    /// `pg_terminate_backend` of one connection.
    Connection,
    /// SIGKILL of the postmaster.
    Postgres,
}

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS + 1, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let watch = Watch::over(stage);
    let prober = Prober::begin(stage, &station(STATIONS + 1)).await?;
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    let faults = deal(trial);
    trial.line.of(faults.len() as u64);
    for fault in faults {
        sleep(trial.dice.millis(0, 300)).await;
        commit(trial, stage, fault).await?;
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
    Ok(Outcome { verdict, times: vec![answers], notes: Vec::new() })
}

/// So many of each, in an order that the dice say.
fn deal(trial: &mut Trial) -> Vec<Fault> {
    let of = |fault, times| std::iter::repeat_n(fault, times);
    let scale = trial.scale;
    let mut faults: Vec<Fault> = of(Fault::Cloud, scale.of(8, 40, 1_000))
        .chain(of(Fault::Connection, scale.of(50, 150, 1_000)))
        .chain(of(Fault::Postgres, scale.of(2, 8, 50)))
        .collect();
    for last in (1..faults.len()).rev() {
        let other = trial.dice.below(last as u64 + 1);
        faults.swap(last, usize::try_from(other).expect("a place in the list"));
    }
    faults
}

pub(super) async fn commit(trial: &mut Trial, stage: &mut Stage, fault: Fault) -> Result<()> {
    match fault {
        Fault::Cloud => {
            trial.line.doing("the cloud is killed");
            let service = stage.house.cloud.service();
            if trial.dice.percent(50) {
                service.arm("cloud.after_commit")?;
                service.process()?.ended(SOON).await?;
            } else {
                service.kill9()?;
            }
            sleep(trial.dice.millis(0, 200)).await;
            stage.house.cloud.restart().await
        }
        Fault::Connection => {
            trial.line.doing("connections to Postgres end");
            let end = "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity
                where datname = current_database() and application_name <> $1 order by pid offset $2 limit 1) one";
            let which = i64::try_from(trial.dice.below(8))?;
            sqlx::query(end).bind(US).bind(which).execute(&stage.db).await?;
            Ok(())
        }
        Fault::Postgres => {
            trial.line.doing("Postgres is killed");
            stage.postgres.kill9()?;
            sleep(trial.dice.millis(0, 500)).await;
            stage.postgres.restart().await
        }
    }
}
