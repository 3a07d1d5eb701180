//! What a site costs the cloud: an idle gateway, and a session from plug to bill. From these few figures follow the machines
//! that any number of sites needs (`deploy/SCALE.md`), because nothing in the cloud is shared between sites but these machines.
//!
//! Every record travels alone, as it does while a site is online: that is the dear way. What comes in batches after an outage
//! costs less (`ingest`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use shared::tariff::Tariff;
use sqlx::types::Json;
use sqlx::{PgPool, Row as _};
use stack::house::BrokerKind;
use stack::nats::Cluster;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::figure::{Figure, millis, per_second};
use crate::gateway::Gateway;
use crate::life::{READINGS, session};
use crate::processes::{cpu, cpu_of_family, parent, resident_kib};
use crate::stage::Stage;

/// Gateways that are only connected.
const IDLE: usize = 200;
/// Gateways at whose sites people charge without a pause: enough that none of them is what limits.
const BUSY: usize = 32;
/// From the last connection to the first look.
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) async fn measure(time: Duration) -> Result<Vec<Figure>> {
    let mut stage = Stage::build(BUSY + 1).await?;
    let mut figures = idle(&mut stage, time, "cloud with its own broker").await?;
    figures.extend(sessions(&mut stage, time).await?);
    drop(stage);
    let mut stage = Stage::build_on(BrokerKind::NatsCluster, 1).await?;
    figures.extend(idle(&mut stage, time, "cloud and three NATS").await?);
    Ok(figures)
}

/// Memory and CPU that gateways cost by being there.
async fn idle(stage: &mut Stage, time: Duration, who: &str) -> Result<Vec<Figure>> {
    let gate = match &stage.nats {
        Some(nats) => nats.address(0),
        None => stage.cloud.mqtt()?,
    };
    let mut identities = Vec::with_capacity(IDLE);
    for number in 0..IDLE {
        identities.push(stage.another_gateway(&format!("idle-{number}"))?.identity()?);
    }
    let mut servers = stage.nats.as_ref().map(Cluster::pids).unwrap_or_default();
    servers.push(stage.cloud.service().process()?.pid());
    let memory = || servers.iter().map(|pid| resident_kib(*pid)).sum::<Result<u64>>();
    let busy = || servers.iter().map(|pid| cpu(*pid)).sum::<Result<Duration>>();
    let share = async || {
        let before = busy()?;
        sleep(time).await;
        anyhow::Ok((busy()? - before).as_secs_f64() / time.as_secs_f64() * 100.0)
    };
    let (before, share_before) = (memory()?, share().await?);
    let mut gateways = JoinSet::new();
    for identity in &identities {
        gateways.spawn(Gateway::connect(identity, gate).await?.idle());
    }
    sleep(SETTLING).await;
    let each = memory()?.saturating_sub(before) as f64 / IDLE as f64;
    let share = share().await?;
    ensure!(gateways.try_join_next().is_none(), "a gateway was cut off");
    Ok(vec![
        Figure::new(format!("{who}: memory per idle gateway, of {IDLE}"), format!("{each:.1} KiB")),
        Figure::new(
            format!("{who}: CPU with {IDLE} idle gateways; without any"),
            format!("{share:.1} %; {share_before:.1} % of a core"),
        ),
    ])
}

/// What was used up by now.
struct Spent {
    cloud: Duration,
    postgres: Duration,
    size: i64,
    written: i64,
}

async fn sessions(stage: &mut Stage, time: Duration) -> Result<Vec<Figure>> {
    let gate = stage.cloud.mqtt()?;
    let tariff = tariff(&stage.db).await?;
    let mut gateways = Vec::with_capacity(BUSY);
    for number in 0..BUSY {
        let identity = stage.another_gateway(&format!("busy-{number}"))?.identity()?;
        gateways.push(Gateway::connect(&identity, gate).await?);
    }
    let before = Spent::by_now(stage).await?;
    let (begin, mut running) = (Instant::now(), JoinSet::new());
    for (number, gateway) in gateways.into_iter().enumerate() {
        let (tariff, card) = (tariff.clone(), stage.site.id_tag.clone());
        running.spawn(async move { charge(gateway, number + 1, &tariff, &card, time).await });
    }
    let (mut count, mut carried) = (0_u64, 0_u64);
    while let Some(done) = running.join_next().await {
        let (its_count, its_bytes) = done??;
        (count, carried) = (count + its_count, carried + its_bytes);
    }
    let took = begin.elapsed();
    let after = Spent::by_now(stage).await?;
    let bills: i64 = sqlx::query_scalar("select count(*) from bills").fetch_one(&stage.db).await?;
    ensure!(bills.unsigned_abs() == count, "{count} sessions, {bills} bills");
    let each = |time: Duration| millis(time / u32::try_from(count).unwrap_or(u32::MAX).max(1));
    let kib = |bytes: i64| format!("{:.1} KiB", bytes as f64 / 1024.0 / count.max(1) as f64);
    let work = format!("a session live, {} records each alone", READINGS + 7);
    Ok(vec![
        Figure::new(format!("{work}: billed, {BUSY} gateways"), per_second(count, took)),
        Figure::new(
            "… CPU of cloud and broker; of Postgres",
            format!("{}; {}", each(after.cloud - before.cloud), each(after.postgres - before.postgres)),
        ),
        Figure::new("… in frames over MQTT", kib(i64::try_from(carried)?)),
        Figure::new(
            "… kept in Postgres; written to its log",
            format!("{}; {}", kib(after.size - before.size), kib(after.written - before.written)),
        ),
        Figure::new("… of it raw records; readings; the rest", shares(&stage.db, count).await?),
    ])
}

/// One session after the other; how many, and the bytes of their frames.
async fn charge(
    mut gateway: Gateway,
    station: usize,
    tariff: &Tariff,
    card: &str,
    time: Duration,
) -> Result<(u64, u64)> {
    let (mut heads, mut count, mut register) = ([0_u64; 3], 0, 0);
    let (carried, deadline) = (gateway.carried, Instant::now() + time);
    while Instant::now() < deadline {
        for event in session(station, tariff, card, register)? {
            let lane = event.lane();
            let head = &mut heads[lane.index()];
            *head += 1;
            let record = gateway.record(&event, *head);
            gateway.batch(lane, *head, vec![record]).await?;
        }
        register += READINGS * 1_000;
        count += 1;
    }
    Ok((count, gateway.carried - carried))
}

/// That of the stations.
async fn tariff(db: &PgPool) -> Result<Tariff> {
    let query = "select body from tariffs order by created_at desc limit 1";
    let Json(tariff): Json<Tariff> =
        sqlx::query_scalar(query).fetch_optional(db).await?.context("the stations have no tariff")?;
    Ok(tariff)
}

impl Spent {
    async fn by_now(stage: &mut Stage) -> Result<Self> {
        let query = "select pg_backend_pid() as pid, pg_database_size(current_database()) as size,
            (pg_current_wal_lsn() - '0/0')::bigint as written";
        let row = sqlx::query(query).fetch_one(&stage.db).await?;
        let backend: i32 = row.get("pid");
        Ok(Self {
            cloud: cpu(stage.cloud.service().process()?.pid())?,
            postgres: cpu_of_family(parent(backend.unsigned_abs())?)?,
            size: row.get("size"),
            written: row.get("written"),
        })
    }
}

/// KiB for each session.
async fn shares(db: &PgPool, count: u64) -> Result<String> {
    let query = "select
          sum(size) filter (where name like 'records%' or name like 'record_keys%') as records,
          sum(size) filter (where name like 'meter_readings%') as readings,
          sum(size) filter (where name in ('sessions', 'bills', 'session_costs')) as rest
        from (select relname as name, pg_total_relation_size(oid)::float8 as size from pg_class
              where relkind = 'r' and relnamespace = 'public'::regnamespace) as tables";
    let row = sqlx::query(query).fetch_one(db).await?;
    let of = |name: &str| row.get::<Option<f64>, _>(name).unwrap_or(0.0) / 1024.0 / count.max(1) as f64;
    Ok(format!("{:.1}; {:.1}; {:.1} KiB", of("records"), of("readings"), of("rest")))
}
