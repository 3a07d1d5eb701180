//! F24: gateways and clouds of every older version are brought up to date, and on the way the power goes, the disk is full,
//! processes are killed. Afterwards schema and data are whole, and the site goes on with what came through: sessions that
//! ran under the old version end under the new one, and are billed once.

mod cloud;
mod edge;
mod gate;
mod old_cloud;
mod old_gateway;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use stack::house::BrokerKind;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, promise};

const STATIONS: usize = 4;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    trial
        .line
        .doing("stations charge, the internet goes, then the gateway's power in the middle of sessions");
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    sleep(Duration::from_secs(3)).await;
    stage.house.proxy.cut();
    sleep(Duration::from_secs(2)).await;
    stage.house.edge.service().kill9()?;
    stage.house.cloud.service().stop().await?;
    let room = stage.house.dir.join("upgrades");
    let lived = room.join("lived");
    old_gateway::copy(stage.house.edge.data(), &lived, |_| true)?;

    let (mut wrong, mut notes) = edge::upgrades(trial, stage, &room, &lived).await?;
    let cloud = cloud::upgrades(trial, stage, &room).await?;
    wrong.extend(cloud.wrong);
    notes.push(cloud.note);

    trial.line.doing("the site goes on with what came through");
    old_again(stage.house.edge.data(), &lived)?;
    stage.move_to(&cloud.url)?;
    stage.house.cloud.restart().await?;
    stage.house.edge.start().await?;
    stage.house.proxy.heal();
    drivers.accepted(SOON).await?;
    sleep(Duration::from_secs(2)).await;
    drivers.finish(SOON).await?;
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    wrong.into_iter().for_each(|words| promise(&mut verdict, false, words));
    Ok(Outcome { verdict, times: Vec::new(), notes })
}

/// Puts what the first version would have left in the place of what this one left.
fn old_again(data: &Path, lived: &Path) -> Result<()> {
    for entry in data.read_dir()? {
        let path = entry?.path();
        match path.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        }
        .with_context(|| path.display().to_string())?;
    }
    old_gateway::make(lived, 1, data)
}
