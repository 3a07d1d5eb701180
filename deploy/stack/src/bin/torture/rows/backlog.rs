//! F7: a site of twenty stations was without internet for seven days. What has piled up drains in minutes, what happens
//! meanwhile is not late, and the gateway stays small.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::PgPool;
use stack::house::BrokerKind;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Trial, on_stage};
use crate::checker::EdgeBook;
use crate::measure::{Peak, copy_rate, size};
use crate::outcome::Outcome;
use crate::seed::Dice;
use crate::stage::{SOON, Stage, promise, station};
use crate::teller::{Teller, tell};
use crate::times::{Times, millis};
use crate::watch::Watch;

const STATIONS: usize = 20;
/// What drains, and what a live bill takes meanwhile, at most.
const DRAIN: Duration = Duration::from_secs(300);
const LIVE: Duration = Duration::from_secs(2);
/// Billing records that are no backlog.
const SOME: i64 = 512;
const MEMORY: u64 = 256 << 20;
const DISK: u64 = 1 << 30;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS + 1, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let sessions = trial.scale.of(35, 700, 700);
    trial.line.of(3);
    let watch = Watch::over(stage);
    stage.house.proxy.cut();
    trial.line.fault();
    trial.line.doing("seven days without internet");
    let stations: Vec<String> = (1..=STATIONS).map(station).collect();
    let told = Instant::now();
    let answers = tell(stage, &stage.house.edge.ocpp_url(), &stations, sessions, &mut trial.dice).await?;
    let told = told.elapsed();
    trial.line.round();
    let backlog = stage.backlog()?;
    let disk = size(stage.house.edge.data())?;

    trial.line.doing(format!("{backlog} records drain"));
    let peak = Peak::of(stage.house.edge.service().process()?.pid());
    let drain = drain(trial, stage).await?;
    let memory = peak.finish();
    trial.line.round();
    trial.line.doing("the same rows by a plain COPY");
    let copy = copy_rate(&stage.db).await?;
    trial.line.round();

    let mut verdict = stage.verdict(stage.rules()).await?;
    verdict.findings.extend(watch.findings());
    let late = drain.live.behind.percentile(99).max(drain.live.after.percentile(99));
    promise(&mut verdict, drain.took <= DRAIN, format!("drained only after {}", millis(drain.took)));
    promise(&mut verdict, late <= LIVE, format!("live bills: p99 {}", millis(late)));
    promise(&mut verdict, memory <= MEMORY, format!("the agent held {} MiB", memory >> 20));
    promise(&mut verdict, disk <= DISK, format!("its database took {} MiB", disk >> 20));
    let rate = rate(backlog, drain.took.saturating_sub(drain.reconnected));
    let notes = vec![
        format!("{backlog} records of {} sessions, told in {}", STATIONS as u64 * sessions, millis(told)),
        format!(
            "reconnected {} after the internet was back, drained after {}",
            millis(drain.reconnected),
            millis(drain.took)
        ),
        format!(
            "{rate} records a second, committed and billed; a plain COPY of the same rows into the same table: {copy}"
        ),
        format!("the agent held {} MiB at most, its database {} MiB", memory >> 20, disk >> 20),
    ];
    let times = vec![
        ("from a station's call to its answer, offline".into(), answers),
        (
            "from a live session's end to its bill, while the billing records of the seven days drain".into(),
            drain.live.behind,
        ),
        ("the same later, during the rest of the drain".into(), drain.live.after),
    ];
    Ok(Outcome { verdict, times, notes })
}

struct Drain {
    /// Until the first record arrived.
    reconnected: Duration,
    /// Until the last one had.
    took: Duration,
    live: Live,
}

/// From a live session's end to its bill.
#[derive(Clone, Default)]
struct Live {
    /// While the billing records of the seven days were still ahead of it in its lane.
    behind: Times,
    /// Later, while everything else drained.
    after: Times,
}

/// The internet is back; a station goes on charging.
async fn drain(trial: &mut Trial, stage: &Stage) -> Result<Drain> {
    let live = Teller::connect(stage, &stage.house.edge.ocpp_url(), &station(STATIONS + 1)).await?.live();
    let (go_on, stop) = watch::channel(true);
    let dice = trial.dice.fork();
    let before = bills(&stage.db).await?;
    let begin = Instant::now();
    stage.house.proxy.heal();
    while bills(&stage.db).await? == before {
        anyhow::ensure!(begin.elapsed() < DRAIN, "nothing arrived");
        sleep(Duration::from_millis(20)).await;
    }
    let reconnected = begin.elapsed();
    let data = stage.house.edge.data().to_owned();
    let live = tokio::spawn(charge(live, dice, (stage.db.clone(), data), stop));
    drained(stage).await?;
    let took = begin.elapsed();
    go_on.send_replace(false);
    let live = timeout(SOON, live).await.context("the live station")???;
    stage.settled(SOON).await?;
    Ok(Drain { reconnected, took, live })
}

/// Waits until next to nothing is left: the live station always leaves something.
async fn drained(stage: &Stage) -> Result<()> {
    let deadline = Instant::now() + DRAIN * 4;
    loop {
        let left = stage.backlog()?;
        if left < 100 {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "{left} records are still to send");
        sleep(Duration::from_millis(50)).await;
    }
}

/// One session after the other, whether those before are billed or not; how long after each end its bill was there.
async fn charge(
    mut teller: Teller,
    mut dice: Dice,
    (db, data): (PgPool, PathBuf),
    go_on: watch::Receiver<bool>,
) -> Result<Live> {
    let mut waiting = JoinSet::new();
    while *go_on.borrow() {
        let transaction = teller.session(&mut dice).await?.to_string();
        let behind =
            EdgeBook::position(&data)?.lanes.iter().any(|lane| lane.0 == 0 && lane.1 - lane.2 > SOME);
        let (begin, db) = (Instant::now(), db.clone());
        waiting.spawn(async move {
            while !billed(&db, &transaction).await? {
                anyhow::ensure!(begin.elapsed() < DRAIN, "a live session without a bill");
                sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok((behind, begin.elapsed()))
        });
        sleep(Duration::from_millis(100)).await;
    }
    let mut live = Live::default();
    while let Some(one) = waiting.join_next().await {
        let (behind, took) = one??;
        if behind { live.behind.add(took) } else { live.after.add(took) }
    }
    Ok(live)
}

async fn billed(db: &PgPool, transaction: &str) -> Result<bool> {
    let is = "select exists (select from sessions join bills on session_id = id where station = $1 and tx_ref = $2)";
    Ok(sqlx::query_scalar(is).bind(station(STATIONS + 1)).bind(transaction).fetch_one(db).await?)
}

async fn bills(db: &PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from bills").fetch_one(db).await?)
}

/// So many in a second.
fn rate(records: i64, took: Duration) -> i128 {
    i128::from(records) * 1_000 / i128::try_from(took.as_millis()).unwrap_or(i128::MAX).max(1)
}
