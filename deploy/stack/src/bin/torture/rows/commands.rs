//! F22: orders from afar by the hundred, repeated by the network, late, void, and crossing the gateway's death. A station
//! hears each at most once, none after its time, and each comes to an end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stack::house::BrokerKind;
use stack::puppet::Puppet;
use stack::wait;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::checker::Verdict;
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, promise, station};

const STATIONS: usize = 4;
/// Orders that are given at the same time.
const STORM: u64 = 25;
/// Seconds that an order is good for.
const GOOD_FOR: u64 = 4;
/// Clocks are one machine's: an order that is heard so long after it was given was heard too late.
const TOO_LATE: Duration = Duration::from_secs(GOOD_FOR + 1);

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, STATIONS, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let storms = trial.scale.of(6, 25, 800);
    trial.line.of(storms);
    let heard = Heard::default();
    let listening: Vec<Listener> = (1..=STATIONS).map(|number| listen(stage, number, &heard)).collect();
    let mut given = BTreeMap::new();
    for storm in 0..storms {
        trial.line.doing("orders are given, and the gateway dies or loses the internet");
        let mut orders = give(trial, stage, storm, &mut given);
        disturb(trial, stage).await?;
        while let Some(order) = orders.join_next().await {
            order?;
        }
        trial.line.round();
    }
    trial.line.doing("the last orders come to an end");
    ended(stage).await?;
    drop(listening);
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    let heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    judge(&mut verdict, &given, &heard);
    let outcomes = "select coalesce(outcome, 'none'), count(*) from commands where kind = 'DataTransfer'
        group by 1 order by 1";
    let outcomes: Vec<(String, i64)> = sqlx::query_as(outcomes).fetch_all(&stage.db).await?;
    let told =
        |outcome: &str| outcomes.iter().find(|(name, _)| name == outcome).map_or(0, |(_, count)| *count);
    let accepted = usize::try_from(told("Accepted"))?;
    promise(&mut verdict, accepted <= heard.len(), format!("{accepted} accepted, {} heard", heard.len()));
    promise(&mut verdict, !outcomes.is_empty(), "no order was given at all");
    let notes =
        vec![format!("{} orders, {} heard by a station; outcomes: {outcomes:?}", given.len(), heard.len())];
    Ok(Outcome { verdict, times: Vec::new(), notes })
}

/// What stations heard, and when.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<BTreeMap<String, Vec<Instant>>>>);

/// A station that does what it is told, comes back whenever it is thrown out, and ends with this value.
struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn listen(stage: &Stage, number: usize, heard: &Heard) -> Listener {
    let (url, password) = (stage.house.edge.ocpp_url(), stage.house.site.password.clone());
    let heard = heard.clone();
    Listener(
        tokio::spawn(async move {
            loop {
                if let Ok(puppet) = Puppet::boot(&url, &station(number), &password).await {
                    // Ends when the gateway is gone.
                    obey(puppet, &heard).await.ok();
                }
                sleep(Duration::from_millis(100)).await;
            }
        })
        .abort_handle(),
    )
}

async fn obey(mut puppet: Puppet, heard: &Heard) -> Result<()> {
    loop {
        let call = puppet.asked().await?;
        if let Some(order) = call.payload["data"].as_str() {
            let mut heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
            heard.entry(order.to_owned()).or_default().push(Instant::now());
        }
        puppet.reply(&call, json!({ "status": "Accepted" })).await?;
    }
}

/// Gives a storm of orders, each with a number of its own as its message.
fn give(trial: &mut Trial, stage: &Stage, storm: u64, given: &mut BTreeMap<String, Instant>) -> JoinSet<()> {
    let transfer = "mutation($to: ID!, $data: String!, $terms: OrderTerms) {
        dataTransfer(chargePointId: $to, vendorId: \"torture\", data: $data, terms: $terms) { id } }";
    let mut orders = JoinSet::new();
    for number in 0..STORM {
        let order = format!("{storm}.{number}");
        let to = 1 + trial.dice.below(STATIONS as u64);
        let wait_for_station = trial.dice.percent(50);
        let terms = json!({ "expiresIn": GOOD_FOR, "waitForStation": wait_for_station, "answerWithin": 0 });
        let variables = json!({ "to": to.to_string(), "data": order, "terms": terms });
        given.insert(order, Instant::now());
        let operator = stage.house.operator.clone();
        orders.spawn(async move {
            // One that is not taken, because too many wait, is not given either.
            let _: Result<Value> = operator.ask(transfer, variables).await;
        });
    }
    orders
}

async fn disturb(trial: &mut Trial, stage: &mut Stage) -> Result<()> {
    sleep(trial.dice.millis(0, 300)).await;
    trial.line.fault();
    match trial.dice.below(3) {
        0 => {
            stage.house.edge.service().kill9()?;
            sleep(trial.dice.millis(0, 300)).await;
            stage.house.edge.start().await
        }
        1 => {
            stage.house.proxy.cut();
            sleep(trial.dice.millis(100, 1_200 * GOOD_FOR)).await;
            stage.house.proxy.heal();
            Ok(())
        }
        _ => {
            stage.house.cloud.service().kill9()?;
            stage.house.cloud.restart().await
        }
    }
}

/// Every order ends, whatever became of it.
async fn ended(stage: &Stage) -> Result<()> {
    let open = "select count(*) from commands where state <> 'finished'";
    wait::until("the end of every order", SOON, || async {
        let open: i64 = sqlx::query_scalar(open).fetch_one(&stage.db).await.ok()?;
        (open == 0).then_some(())
    })
    .await
    .context("I7")
}

fn judge(verdict: &mut Verdict, given: &BTreeMap<String, Instant>, heard: &BTreeMap<String, Vec<Instant>>) {
    for (order, times) in heard {
        promise(verdict, times.len() == 1, format!("order {order} was heard {} times", times.len()));
        let given = given.get(order).copied();
        promise(verdict, given.is_some(), format!("order {order} was never given"));
        let late = given.and_then(|given| times.first().map(|heard| heard.duration_since(given)));
        let late = late.unwrap_or_default();
        promise(verdict, late <= TOO_LATE, format!("order {order} was heard {late:?} after it was given"));
    }
}
