//! F14: the gateway's own clock is wrong. It boots in 1970 without internet, and is put forward and back while it runs.
//! Sessions keep their times, an order that is good is carried out, and one that is void is not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use stack::house::BrokerKind;
use stack::puppet::Puppet;
use tokio::time::{sleep, timeout};

use super::{Trial, on_stage};
use crate::drivers::Drivers;
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, promise, station};

const STATIONS: usize = 4;
const DAY: i64 = 86_400;
/// Seconds by which the gateway's clock is wrong when it boots: 1970, 2000, a day, an hour.
const BOOTS: [i64; 4] = [-1_790_000_000, -846_000_000, -DAY, -3_600];
/// The same for jumps while it runs: 2038, 1970, a day, an hour and a leap second to either side.
const JUMPS: [i64; 8] = [364_000_000, -1_790_000_000, DAY, -DAY, 3_600, -3_600, 1, -1];
/// Seconds that a void order was good for.
const SHORT: u64 = 2;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS + 1, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let offset = stage.house.dir.join("offset");
    shift(stage, &offset)?;
    let drivers = Drivers::begin(stage, &mut trial.dice, STATIONS);
    drivers.accepted(SOON).await?;
    let rounds = trial.scale.of(2, 8, 25);
    trial.line.of(rounds);
    let mut wrong = Vec::new();
    for round in 0..rounds {
        boot(trial, stage, &offset, BOOTS[usize::try_from(round)? % BOOTS.len()]).await?;
        for half in 0..2 {
            let by = JUMPS[usize::try_from(2 * round + half)? % JUMPS.len()];
            trial.line.doing(format!("the gateway's clock jumps by {by} s, and orders are given"));
            std::fs::write(&offset, format!("{by:+}"))?;
            trial.line.fault();
            let good = good_order(stage, &format!("good {round}.{half}")).await;
            wrong.extend(good.err().map(|error| format!("wrong by {by} s: {error:#}")));
        }
        wrong.extend(void_order(trial, stage, &offset).await?);
        trial.line.round();
    }
    std::fs::write(&offset, "+0")?;
    drivers.finish(SOON).await?;
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    wrong.into_iter().for_each(|words| promise(&mut verdict, false, words));
    Ok(Outcome { verdict, times: Vec::new(), notes: vec![format!("{} orders", 3 * rounds)] })
}

/// From the agent's next start on, the file says by how many seconds its clock is wrong. Its monotonic clock is left alone.
fn shift(stage: &mut Stage, offset: &Path) -> Result<()> {
    std::fs::write(offset, "+0")?;
    let service = stage.house.edge.service();
    service.set("LD_PRELOAD", library()?.display());
    service.set("FAKETIME_TIMESTAMP_FILE", offset.display());
    for setting in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"] {
        service.set(setting, 1);
    }
    Ok(())
}

fn library() -> Result<PathBuf> {
    let folders = Path::new("/usr/lib").read_dir()?.flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries
        .find(|library| library.exists())
        .context("libfaketime is not there: install it (`apt-get install faketime`)")
}

/// The power goes; the gateway comes back with a wrong clock and without internet, and its stations go on.
async fn boot(trial: &mut Trial, stage: &mut Stage, offset: &Path, by: i64) -> Result<()> {
    trial.line.doing(format!("the gateway boots without internet, its clock is wrong by {by} s"));
    stage.house.proxy.cut();
    stage.house.edge.service().kill9()?;
    std::fs::write(offset, format!("{by:+}"))?;
    trial.line.fault();
    stage.house.edge.start().await?;
    sleep(trial.dice.millis(1_000, 2_500)).await;
    stage.house.proxy.heal();
    stage.settled(SOON).await
}

/// An order that is good for a minute arrives.
async fn good_order(stage: &Stage, order: &str) -> Result<()> {
    let (url, password) = (stage.house.edge.ocpp_url(), &stage.house.site.password);
    let mut puppet = Puppet::boot(&url, &station(STATIONS + 1), password).await?;
    give(stage, order, 60).await?;
    timeout(SOON, heard(&mut puppet, order)).await.context("an order that is good is not carried out")?
}

/// An order whose station was away until it was void, while the clock went back: nobody hears it.
async fn void_order(trial: &mut Trial, stage: &Stage, offset: &Path) -> Result<Option<String>> {
    trial.line.doing("an order waits for its station, and the gateway's clock is put back");
    sleep(Duration::from_millis(300)).await;
    give(stage, "void", SHORT).await?;
    std::fs::write(offset, format!("{:+}", -DAY))?;
    trial.line.fault();
    sleep(Duration::from_secs(SHORT + 1)).await;
    let (url, password) = (stage.house.edge.ocpp_url(), &stage.house.site.password);
    let mut puppet = Puppet::boot(&url, &station(STATIONS + 1), password).await?;
    let heard = timeout(Duration::from_secs(1), heard(&mut puppet, "void")).await;
    Ok(heard.is_ok_and(|heard| heard.is_ok()).then(|| "an order was carried out when it was void".to_owned()))
}

async fn heard(puppet: &mut Puppet, order: &str) -> Result<()> {
    loop {
        let call = puppet.asked().await?;
        let is_it = call.payload["data"] == order;
        puppet.reply(&call, json!({ "status": "Accepted" })).await?;
        if is_it {
            return Ok(());
        }
    }
}

async fn give(stage: &Stage, order: &str, seconds: u64) -> Result<()> {
    let transfer = "mutation($to: ID!, $data: String!, $terms: OrderTerms) {
        dataTransfer(chargePointId: $to, vendorId: \"torture\", data: $data, terms: $terms) { id } }";
    let terms = json!({ "expiresIn": seconds, "waitForStation": true, "answerWithin": 0 });
    let to = (STATIONS + 1).to_string();
    let variables = json!({ "to": to, "data": order, "terms": terms });
    stage.house.operator.ask(transfer, variables).await.map(drop)
}
