//! From a charger's StatusNotification to the subscription event, through the agent's disk, MQTT and Postgres.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stack::graphql::Subscription;
use tokio::task::JoinSet;

use crate::figure::{Figure, millis, percentile};
use crate::stage::{Stage, identity};

const SUBSCRIPTION: &str = "subscription($i: SubscribeConnectorStatusInputDto!) {
    subsribeConnectorStatus(input: $i) { status } }";
const LIMIT: Duration = Duration::from_secs(20);

const WHOLE: &str = "subscription($i: InputFilterMarkersDto!) {
    markerUpdated(input: $i) { siteid location available total } }";
const DELTA: &str = "subscription($i: InputFilterMarkersDto!) {
    markerUpdated(input: $i, delta: true) { siteid location available total cursor } }";

/// What is watched: the query, its variables, and what is to be seen of the station's connector.
#[derive(Clone, Copy)]
struct Watch {
    name: &'static str,
    query: &'static str,
    subscribers: usize,
    rounds: usize,
    reach: &'static str,
}

const WATCHES: [Watch; 4] = [
    Watch {
        name: "subsribeConnectorStatus",
        query: SUBSCRIPTION,
        subscribers: 1,
        rounds: 200,
        reach: "≤ 20 ms",
    },
    Watch {
        name: "subsribeConnectorStatus",
        query: SUBSCRIPTION,
        subscribers: 1_000,
        rounds: 20,
        reach: "≤ 150 ms",
    },
    Watch {
        name: "markerUpdated, 200 sites",
        query: WHOLE,
        subscribers: 1_000,
        rounds: 20,
        reach: "≤ 150 ms",
    },
    Watch { name: "markerUpdated(delta)", query: DELTA, subscribers: 1_000, rounds: 20, reach: "≤ 150 ms" },
];

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let stage = Stage::build(1).await?;
    crate::api::fill(&stage.db, 199).await?;
    let kind =
        "update connectors set connector_type_name = 'CCS2', power = 50 where charge_point_hardware_id = $1";
    sqlx::query(kind).bind(identity(1)).execute(&stage.db).await?;
    let mut figures = Vec::new();
    for watch in WATCHES {
        let mut samples = latencies(&stage, watch).await?;
        let (p50, p99) = (percentile(&mut samples, 50), percentile(&mut samples, 99));
        let work = format!("charger → {}, {} watch, p99", watch.name, watch.subscribers);
        figures.push(Figure::new(work, format!("{} (p50 {})", millis(p99), millis(p50))).reach(watch.reach));
    }
    Ok(figures)
}

async fn latencies(stage: &Stage, watch: Watch) -> Result<Vec<Duration>> {
    let Watch { query, subscribers, rounds, .. } = watch;
    let find = "select id, site_id from connectors where charge_point_hardware_id = $1";
    let (connector, site): (i64, i64) = sqlx::query_as(find).bind(identity(1)).fetch_one(&stage.db).await?;
    let mut station =
        stack::puppet::Puppet::boot(&stage.edge.ocpp_url(), &identity(1), &stage.site.password).await?;
    let client = stage.cloud.graphql();
    let mut waiting = Vec::new();
    for _ in 0..subscribers {
        let input = match query {
            SUBSCRIPTION => json!({ "i": { "connectorId": connector } }),
            _ => json!({ "i": { "connectorTypesSelected": ["Type 2", "CCS2"] } }),
        };
        waiting.push(client.subscribe(query, input).await?);
    }
    let mut samples = Vec::new();
    for round in 0..=rounds {
        let status = if round % 2 == 0 { "Charging" } else { "Available" };
        let begin = Instant::now();
        station.status(status).await?;
        let mut hearing = JoinSet::new();
        for subscription in waiting.drain(..) {
            hearing.spawn(hear(subscription, status, site, begin));
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
    site: i64,
    begin: Instant,
) -> Result<(Subscription, Duration)> {
    let available = i64::from(status == "Available");
    let marker = |marker: &Value| marker["siteid"] == site && marker["available"] == available;
    let is = |event: &Value| {
        event["subsribeConnectorStatus"]["status"] == status
            || event["markerUpdated"].as_array().is_some_and(|markers| markers.iter().any(marker))
    };
    subscription.first(LIMIT, is).await.with_context(|| format!("waiting for {status}"))?;
    Ok((subscription, begin.elapsed()))
}
