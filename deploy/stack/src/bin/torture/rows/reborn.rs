//! F11: an installer puts an old backup back, somebody deletes the database, and a copied SD card makes two gateways of one.
//! Each is noticed and told of, what was charged before and after is billed, and nothing twice.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stack::house::BrokerKind;
use stack::puppet::Puppet;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::checker::EdgeBook;
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, promise, station};
use crate::teller::{Teller, tell};

const STATIONS: usize = 4;
/// Sessions of each station between two deeds.
const SESSIONS: u64 = 3;
/// The database and its log.
const FILES: [&str; 3] = ["edge.sqlite3", "edge.sqlite3-wal", "edge.sqlite3-shm"];

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let rounds: u64 = trial.scale.of(1, 5, 50);
    trial.line.of(rounds * 4);
    let mut noticed = 0;
    for _ in 0..rounds {
        trial.line.doing("an old backup is put back");
        noticed += restored(trial, stage, false).await.context("restored")?;
        trial.line.doing("an old backup is put back, offline");
        noticed += restored(trial, stage, true).await.context("restored offline")?;
        trial.line.doing("the database is deleted");
        noticed += deleted(trial, stage).await.context("deleted")?;
        trial.line.doing("two gateways with one identity");
        noticed += cloned(trial, stage).await.context("cloned")?;
    }
    let mut rules = stage.rules();
    rules.edges_whole = false;
    let mut verdict = stage.verdict(rules).await?;
    let deeds = trial.line.faults();
    promise(&mut verdict, noticed == deeds, format!("{noticed} of {deeds} deeds raised an alarm"));
    let alarms = stage.alarms().await?;
    Ok(Outcome {
        verdict,
        times: Vec::new(),
        notes: vec![format!("{noticed} of {deeds} noticed; alarms: {alarms:?}")],
    })
}

/// The database as it was some sessions ago comes back: the cloud has more than it. `offline`: new sessions take the
/// numbers of those that it forgot before the cloud can say so.
async fn restored(trial: &mut Trial, stage: &mut Stage, offline: bool) -> Result<u64> {
    charge(trial, stage).await?;
    let data = stage.house.edge.data().to_owned();
    let backup = data.with_file_name("backup");
    stage.house.edge.service().stop().await?;
    copy(&data, &backup)?;
    stage.house.edge.start().await?;
    charge(trial, stage).await?;
    stage.settled(SOON).await?;
    let before = stage.alarms().await?;
    stage.house.edge.service().stop().await?;
    copy(&backup, &data)?;
    reborn(trial, stage, offline, before).await
}

/// The database is gone; the identity is not.
async fn deleted(trial: &mut Trial, stage: &mut Stage) -> Result<u64> {
    charge(trial, stage).await?;
    stage.settled(SOON).await?;
    let before = stage.alarms().await?;
    stage.house.edge.service().stop().await?;
    remove(stage.house.edge.data())?;
    reborn(trial, stage, false, before).await
}

/// Starts it, has it charge, and counts one when an alarm was raised.
async fn reborn(
    trial: &mut Trial,
    stage: &mut Stage,
    offline: bool,
    before: Vec<(String, i64)>,
) -> Result<u64> {
    trial.line.fault();
    if offline {
        stage.house.proxy.cut();
        stage.house.edge.start().await?;
        charge(trial, stage).await?;
        charge(trial, stage).await?;
        stage.house.proxy.heal();
    } else {
        stage.house.edge.start().await?;
        knows_its_stations(stage).await?;
        charge(trial, stage).await?;
    }
    stage.settled(SOON).await?;
    trial.line.round();
    Ok(u64::from(stage.alarms().await? != before))
}

/// Waits until an edge that may have forgotten them lets its stations in again. Not too often: who fails often is not
/// heard for a minute.
async fn knows_its_stations(stage: &Stage) -> Result<()> {
    let (url, password) = (stage.house.edge.ocpp_url(), &stage.house.site.password);
    stack::wait::until("the edge to know its stations", SOON, || async {
        let come_in = Puppet::connect(&url, &station(1), password).await;
        if come_in.is_err() {
            sleep(Duration::from_secs(1)).await;
        }
        come_in.ok()
    })
    .await
    .map(drop)
}

/// A second gateway runs from a copy of everything; both charge.
async fn cloned(trial: &mut Trial, stage: &mut Stage) -> Result<u64> {
    charge(trial, stage).await?;
    stage.settled(SOON).await?;
    let before = stage.alarms().await?;
    let data = stage.house.edge.data().to_owned();
    let copied = data.with_file_name("clone");
    stage.house.edge.service().stop().await?;
    copy_all(&data, &copied)?;
    stage.house.edge.start().await?;
    let mut clone = stage.house.edge.elsewhere(&copied)?;
    clone.service().set("EDGE_SYNC__MQTT_URL", format!("mqtt://{}", stage.house.proxy.address()));
    clone.start().await?;
    trial.line.fault();
    for _ in 0..SESSIONS {
        for (edge, number) in [(&stage.house.edge, 1), (&clone, 2)] {
            let mut teller = Teller::connect(stage, &edge.ocpp_url(), &station(number)).await?.live();
            teller.session(&mut trial.dice).await?;
        }
    }
    // Each takes the other's place at the broker until a person takes one of them away: first the one, then the other.
    clone.service().stop().await?;
    stage.settled(SOON).await?;
    stage.house.edge.service().stop().await?;
    clone.start().await?;
    settled(stage, &copied).await?;
    clone.service().stop().await?;
    stage.house.edge.start().await?;
    stage.settled(SOON).await?;
    std::fs::remove_dir_all(&copied)?;
    trial.line.round();
    Ok(u64::from(stage.alarms().await? != before))
}

/// Waits until the cloud has what another edge than the stage's has written.
async fn settled(stage: &Stage, data: &Path) -> Result<()> {
    stack::wait::until("the clone's records", SOON, || async {
        let cloud = crate::checker::CloudBook::watermarks(&stage.db).await.ok()?;
        crate::checker::behind(&EdgeBook::position(data).ok()?, &cloud).is_empty().then_some(())
    })
    .await
}

async fn charge(trial: &mut Trial, stage: &Stage) -> Result<()> {
    let stations: Vec<String> = (1..=STATIONS).map(station).collect();
    tell(stage, &stage.house.edge.ocpp_url(), &stations, SESSIONS, &mut trial.dice).await.map(drop)
}

fn remove(data: &Path) -> Result<()> {
    for file in FILES {
        let path = data.join(file);
        ensure!(!path.exists() || std::fs::remove_file(&path).is_ok(), "{} stays", path.display());
    }
    Ok(())
}

/// Copies the database of one folder over that of another.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    remove(to)?;
    for file in FILES.iter().filter(|file| from.join(file).exists()) {
        std::fs::copy(from.join(file), to.join(file))?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
