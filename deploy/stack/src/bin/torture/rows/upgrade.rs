//! F24: programs are upgraded over what earlier ones left, and are killed meanwhile. A gateway's database is put back to each
//! version that there ever was, with sessions that run and bills that were not sent, and today's agent is started on it: the
//! power goes at its operations on files, and the disk is full at one of them. The cloud's replicas migrate an empty database,
//! two at once, and are killed after each step.

use std::path::Path;

use anyhow::{Context, Result};
use sqlx::PgPool;
use stack::cloud::{Broker, Cloud};
use stack::edge::Edge;
use stack::house::BrokerKind;
use stack::workdir::Workdir;
use tokio::time::sleep;

use super::disk_faults::{FULL, under};
use super::power_cut::{lay_out, start_on};
use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::older;
use crate::outcome::Outcome;
use crate::power::{Disk, Kept, read, recorder};
use crate::stage::{SOON, Stage, promise};

const STATIONS: usize = 4;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let steps = older::migrations()?;
    trial.line.doing("stations charge, and what is billed cannot be sent");
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    sleep(trial.dice.millis(1_000, 2_000)).await;
    stage.house.proxy.cut();
    sleep(trial.dice.millis(4_000, 5_000)).await;
    stage.house.edge.service().kill9()?;

    let mut wrong = Vec::new();
    for known in 1..steps.len() {
        trial.line.doing(format!("a gateway of version {known} is upgraded"));
        let of_it = gateway(trial, &stage.house.edge, &steps[..known]).await?;
        wrong.extend(of_it.into_iter().map(|words| format!("a gateway of version {known}, {words}")));
    }
    let files = cloud(trial, stage, &mut wrong).await?;

    trial.line.doing("the last sessions end");
    stage.house.proxy.heal();
    stage.house.edge.start().await?;
    drivers.finish(SOON).await?;
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    wrong.into_iter().for_each(|words| promise(&mut verdict, false, words));
    let notes = vec![format!(
        "{} versions of a gateway's database before today's, {files} of the cloud's",
        steps.len() - 1
    )];
    Ok(Outcome { verdict, times: Vec::new(), notes })
}

/// Upgrades a gateway again and again, each time with something in the way. What is wrong afterwards.
async fn gateway(trial: &mut Trial, edge: &Edge, steps: &[String]) -> Result<Vec<String>> {
    let room = Workdir::new("torture-f24-disk")?;
    let (old, found) = (room.path().join("old"), room.path().join("found"));
    older::copy(edge.data(), &old, steps)?;
    let (whole, mut wrong) = Kept::read(&old)?;
    let before = Disk::of(&old)?;
    let mut upgraded = edge.elsewhere(&old)?;
    let traces = room.path().join("trace");
    upgraded.service().under(recorder(&traces));
    upgraded.start().await?;
    upgraded.service().kill9()?;
    // The recorder ends a moment after what it watches.
    sleep(std::time::Duration::from_millis(300)).await;
    let ops = read(&traces, &old)?;

    let cuts = usize::try_from(trial.scale.of(4, 25, 150))?;
    let mut disk = before.clone();
    let mut done = 0;
    for (number, op) in ops.iter().enumerate() {
        disk.apply(op);
        while done < cuts * (number + 1) / ops.len() {
            let (files, manner) = disk.after_cut(&mut trial.dice);
            let image = lay_out(&found, &old, &files)?;
            let what = look(edge, &image, &whole).await;
            wrong.extend(
                what.into_iter()
                    .map(|what| format!("the power went at operation {number}, {manner}: {what}")),
            );
            trial.line.fault();
            trial.line.round();
            done += 1;
        }
    }
    for _ in 0..trial.scale.of(1, 5, 25) {
        let (files, _) = before.after_cut(&mut trial.dice);
        let image = lay_out(&found, &old, &files)?;
        let nth = 1 + trial.dice.below(30);
        let mut sick = edge.elsewhere(&image)?;
        sick.service().under(under(&image.join("edge.sqlite3"), FULL[0], nth));
        // Whether it ends by itself is its own affair.
        sick.start().await.ok();
        sick.service().kill9().ok();
        let what = look(edge, &image, &whole).await;
        wrong.extend(what.into_iter().map(|what| format!("the disk was full from write {nth} on: {what}")));
        trial.line.fault();
        trial.line.round();
    }
    Ok(wrong)
}

/// Starts the agent on a disk; everything must be there then.
async fn look(edge: &Edge, image: &Path, whole: &Kept) -> Vec<String> {
    if let Err(error) = start_on(edge, image).await {
        return vec![format!("the agent does not start: {error:#}")];
    }
    match Kept::read(image) {
        Ok((kept, wrong)) => wrong.into_iter().chain(kept.lacks(whole)).collect(),
        Err(error) => vec![format!("{error:#}")],
    }
}

/// Two replicas migrate one database; one is killed after some step, and both are started again. How many steps there are.
async fn cloud(trial: &mut Trial, stage: &Stage, wrong: &mut Vec<String>) -> Result<i64> {
    let today = schema(&stage.db).await?;
    let steps: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(&stage.db).await?;
    let room = Workdir::new("torture-f24-cloud")?;
    let rounds = trial.scale.of(3, steps, steps * 5);
    for round in 0..rounds {
        let last = round * steps / rounds;
        trial.line.doing(format!("the cloud is killed after {last} of {steps} migrations"));
        let url = stage.postgres.create_database().await?;
        let db = PgPool::connect(&url).await?;
        let broker = Broker::Embedded { password: stack::house::secret() };
        let mut first = Cloud::prepare(&room.path().join("first"), &url, &broker)?;
        let mut second = Cloud::prepare(&room.path().join("second"), &url, &broker)?;
        tokio::select! {
            started = first.restart() => started?,
            () = applied(&db, last) => {}
        }
        first.service().kill9()?;
        trial.line.fault();
        tokio::try_join!(first.restart(), second.restart())?;
        let (one, other) = (today.lines(), schema(&db).await?);
        if let Some((wanted, found)) = one.zip(other.lines()).find(|(one, other)| one != other) {
            wrong.push(format!("the cloud was killed after {last} migrations: {found} instead of {wanted}"));
        }
        first.service().stop().await?;
        second.service().stop().await?;
        db.close().await;
        trial.line.round();
    }
    Ok(steps)
}

/// Waits, without a pause, until so many migrations are there.
async fn applied(db: &PgPool, count: i64) {
    let query = "select count(*) from _sqlx_migrations";
    // Before the first one there is nothing to be counted.
    while !sqlx::query_scalar::<_, i64>(query).fetch_one(db).await.is_ok_and(|it| it >= count) {}
}

/// All that makes up a database but its rows, line by line.
async fn schema(db: &PgPool) -> Result<String> {
    let query = "select string_agg(line, E'\\n' order by line) from (
        select format('column %s.%s %s %s', table_name, column_name, data_type, is_nullable) as line
            from information_schema.columns where table_schema = 'public'
        union all select format('index %s', indexdef) from pg_indexes where schemaname = 'public'
        union all select format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
            where connamespace = 'public'::regnamespace
        union all select format('policy %s %s %s', tablename, policyname, qual) from pg_policies
        union all select format('trigger %s', pg_get_triggerdef(oid)) from pg_trigger where not tgisinternal
        union all select format('function %s', pg_get_functiondef(p.oid)) from pg_proc p left join pg_depend d
            on d.objid = p.oid and d.deptype = 'e' where pronamespace = 'public'::regnamespace and d.objid is null
              and prokind = 'f'
        union all select format('migration %s %s', version, success) from _sqlx_migrations
    ) as lines";
    sqlx::query_scalar::<_, Option<String>>(query).fetch_one(db).await?.context("a database has a schema")
}
