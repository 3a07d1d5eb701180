//! The cloud's half. One database goes from nothing to the newest version, and whoever migrates it is killed at one change of
//! the schema after the other: the cloud, its connection, Postgres. Then older databases are migrated by two replicas at
//! once, one of which is killed while it does.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use stack::cloud::{Broker, Cloud};
use stack::postgres::Postgres;
use uuid::Uuid;

use super::gate::Gate;
use super::old_cloud::{Shape, content, fill, schema, version};
use super::old_gateway::migrations;
use crate::rows::Trial;
use crate::stage::Stage;

/// What came of it.
pub(super) struct Migrated {
    /// The database that went through all of it, with the stage's data.
    pub(super) url: String,
    pub(super) wrong: Vec<String>,
    pub(super) note: String,
}

/// Both. The stage's own cloud does not run.
pub(super) async fn upgrades(trial: &mut Trial, stage: &mut Stage, room: &Path) -> Result<Migrated> {
    let url = stage.postgres.create_database().await?;
    let newest = schema(&mut *stage.db.acquire().await?).await?;
    let (kills, shape) = walk(trial, stage, room, &url).await?;
    let mut wrong = Vec::new();
    let walked = whole(&url, &stage.db, &newest, &shape).await;
    wrong.extend(walked.err().map(|error| format!("a cloud killed at {kills} changes: {error:#}")));
    let pairs = trial.scale.of(2, 8, 24);
    for round in 0..pairs {
        trial.line.doing("two replicas migrate at once, and one is killed");
        let from = 1 + trial.dice.below(migrations("cloud")?.len() as u64 - 1);
        if let Err(error) = pair(trial, stage, &room.join(format!("pair-{round}")), from, &newest).await {
            wrong.push(format!("two replicas at once, from version {from}: {error:#}"));
        }
        trial.line.round();
    }
    let note = format!(
        "a cloud migrated from nothing and was killed {kills} times; {pairs} times two replicas at once"
    );
    Ok(Migrated { url, wrong, note })
}

/// From nothing to the newest version; how often somebody was killed, and what to compare.
async fn walk(trial: &mut Trial, stage: &mut Stage, room: &Path, url: &str) -> Result<(u64, Shape)> {
    let step = trial.scale.of(40, 4, 1);
    let mut gate = Gate::make(url).await?;
    let mut cloud = replica(&room.join("cloud"), url)?;
    let (mut at, mut kills, mut filled) = (1, 0, None);
    loop {
        let before = version(&mut gate.db).await?;
        trial.line.doing(format!("a cloud migrates from version {before} and is killed at change {at}"));
        gate.shut(at).await?;
        let through = tokio::select! {
            started = cloud.restart() => started.map(|()| true)?,
            reached = gate.reached() => reached.map(|()| false)?,
        };
        if through {
            break;
        }
        kill(kills, &mut cloud, &mut gate, &mut stage.postgres).await?;
        (kills, at) = (kills + 1, at + step);
        trial.line.fault();
        trial.line.round();
        let after = version(&mut gate.db).await?;
        ensure!(after >= before, "it went back");
        if after > before {
            at = 1 + trial.dice.below(step);
        }
        if after > 0 && filled.is_none() {
            filled = Some(fill(&mut gate.db, &stage.db).await?);
        }
    }
    cloud.service().stop().await?;
    gate.open().await?;
    gate.take_away().await?;
    Ok((kills, filled.context("a database of the first version")?))
}

/// Kills who stands at the gate, in one way or another, and waits until nothing of it is left.
async fn kill(round: u64, cloud: &mut Cloud, gate: &mut Gate, postgres: &mut Postgres) -> Result<()> {
    match round % 8 {
        5 => {
            postgres.kill9()?;
            postgres.restart().await?;
            cloud.service().kill9()?;
            return gate.connect_again().await;
        }
        odd if odd % 2 == 1 => gate.hang_up().await?,
        _ => {}
    }
    cloud.service().kill9()?;
    gate.open().await?;
    gate.alone().await
}

/// An older database, two replicas that start at the same time, and one of them is killed at the first change, whichever of
/// them makes it.
async fn pair(trial: &mut Trial, stage: &Stage, room: &Path, from: u64, newest: &[String]) -> Result<()> {
    let url = stage.postgres.create_database().await?;
    let pool = PgPool::connect(&url).await?;
    older(room, from).await?.run(&pool).await?;
    let shape = fill(&mut *pool.acquire().await?, &stage.db).await?;
    pool.close().await;
    let mut gate = Gate::make(&url).await?;
    gate.shut(2 + trial.dice.below(4)).await?;
    let mut one = replica(&room.join("one"), &url)?;
    let mut other = replica(&room.join("other"), &url)?;
    let first = async {
        tokio::select! {
            started = one.restart() => started?,
            reached = gate.reached() => reached?,
        }
        one.service().kill9()?;
        gate.open().await
    };
    tokio::try_join!(first, other.restart())?;
    trial.line.fault();
    other.service().stop().await?;
    gate.alone().await?;
    gate.take_away().await?;
    whole(&url, &stage.db, newest, &shape).await
}

/// Is a database what the newest version would have made, and does it hold what the stage's does?
async fn whole(url: &str, stage: &PgPool, newest: &[String], shape: &Shape) -> Result<()> {
    let pool = PgPool::connect(url).await?;
    let mut db = pool.acquire().await?;
    let now = schema(&mut db).await?;
    let odd: Vec<&String> = now
        .iter()
        .filter(|line| !newest.contains(line))
        .chain(newest.iter().filter(|line| !now.contains(line)))
        .collect();
    ensure!(odd.is_empty(), "the schema is another one: {odd:?}");
    let (now, was) = (content(&mut db, shape).await?, content(&mut *stage.acquire().await?, shape).await?);
    ensure!(now == was, "its content is {now:?}, and was {was:?}");
    Ok(())
}

/// The first migrations.
async fn older(room: &Path, count: u64) -> Result<Migrator> {
    let folder = room.join("migrations");
    std::fs::create_dir_all(&folder)?;
    for file in migrations("cloud")?.iter().take(usize::try_from(count)?) {
        std::fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(Migrator::new(folder).await?)
}

fn replica(data: &Path, url: &str) -> Result<Cloud> {
    std::fs::create_dir_all(data)?;
    Cloud::prepare(data, url, &Broker::Embedded { password: Uuid::new_v4().to_string() })
}
