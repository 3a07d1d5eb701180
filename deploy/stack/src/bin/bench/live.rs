//! From a charger's StatusNotification to the subscription event, through the agent's disk, MQTT and Postgres.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use stack::graphql::Subscription;
use tokio::task::JoinSet;

use crate::figure::{Figure, millis, percentile};
use crate::stage::{Stage, identity};

const SUBSCRIPTION: &str = "subscription($i: SubscribeConnectorStatusInputDto!) {
    subsribeConnectorStatus(input: $i) { status } }";
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let stage = Stage::build(1).await?;
    let mut figures = Vec::new();
    for (subscribers, rounds, reach) in [(1, 200, "≤ 20 ms"), (1_000, 20, "≤ 150 ms")] {
        let mut samples = latencies(&stage, subscribers, rounds).await?;
        let (p50, p99) = (percentile(&mut samples, 50), percentile(&mut samples, 99));
        let work = format!("StatusNotification → event, {subscribers} subscribers, p99");
        figures.push(Figure::new(work, format!("{} (p50 {})", millis(p99), millis(p50))).reach(reach));
    }
    Ok(figures)
}

async fn latencies(stage: &Stage, subscribers: usize, rounds: usize) -> Result<Vec<Duration>> {
    let find = "select id from connectors where charge_point_hardware_id = $1";
    let connector: i64 = sqlx::query_scalar(find).bind(identity(1)).fetch_one(&stage.db).await?;
    let mut station =
        stack::puppet::Puppet::boot(&stage.edge.ocpp_url(), &identity(1), &stage.site.password).await?;
    let client = stage.cloud.graphql();
    let mut waiting = Vec::new();
    for _ in 0..subscribers {
        let input = json!({ "i": { "connectorId": connector } });
        waiting.push(client.subscribe(SUBSCRIPTION, input).await?);
    }
    let mut samples = Vec::new();
    for round in 0..=rounds {
        let status = if round % 2 == 0 { "Preparing" } else { "Available" };
        let begin = Instant::now();
        station.status(status).await?;
        let mut hearing = JoinSet::new();
        for subscription in waiting.drain(..) {
            hearing.spawn(hear(subscription, status, begin));
        }
        while let Some(heard) = hearing.join_next().await {
            let (subscription, time) = heard??;
            waiting.push(subscription);
            // The first round also swallows the snapshots.
            if round > 0 {
                samples.push(time);
            }
        }
    }
    Ok(samples)
}

async fn hear(
    mut subscription: Subscription,
    status: &str,
    begin: Instant,
) -> Result<(Subscription, Duration)> {
    let is = |event: &serde_json::Value| event["subsribeConnectorStatus"]["status"] == status;
    subscription.first(LIMIT, is).await.with_context(|| format!("waiting for {status}"))?;
    Ok((subscription, begin.elapsed()))
}
