//! Records per second from gateways' frames to acknowledged rows, beside what the same Postgres takes by bare UNNEST.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use shared::id::{EvseNo, SessionId, StationId, StationTxRef};
use shared::model::session::SessionStarted;
use shared::model::token::{AuthStatus, AuthorisedBy};
use shared::model::{Event, Lane, MeterReading, event::SessionMetered};
use shared::sync::MAX_BATCH_RECORDS;
use shared::units::{Timestamp, Watts, Wh};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::figure::{Figure, per_second};
use crate::gateway::Gateway;
use crate::stage::{Stage, now};

const GATEWAYS: usize = 8;
const WRITERS: usize = 2;
const ROWS: usize = 1_000;

pub(crate) async fn measure(time: Duration) -> Result<Vec<Figure>> {
    let mut stage = Stage::build(1).await?;
    let gate = stage.cloud.mqtt()?;
    let mut gateways = JoinSet::new();
    for number in 0..GATEWAYS {
        let identity = stage.another_gateway(&format!("gateway-{number}"))?.identity()?;
        gateways.spawn(async move { pour(Gateway::connect(&identity, gate).await?, time).await });
    }
    let mut records = 0;
    while let Some(count) = gateways.join_next().await {
        records += count??;
    }
    let parked: i64 = sqlx::query_scalar("select count(*) from quarantine").fetch_one(&stage.db).await?;
    if parked > 0 {
        bail!("{parked} records were parked: that is not what is to be measured");
    }
    let rows = limit(&stage.db, time, Bare::Unnest).await?;
    let copied = limit(&stage.db, time, Bare::Copy).await?;
    let share = records * 100 / rows.max(1);
    let ours = format!("{} ({share} % of UNNEST)", per_second(records, time));
    let beside =
        format!("1,000 rows by UNNEST: {}; by COPY: {}", per_second(rows, time), per_second(copied, time));
    Ok(vec![Figure::new("records ingested, acknowledged after commit", ours).beside(beside).reach("≥ 50 %")])
}

/// Starts a session and sends readings of it for a while; returns how many records were acknowledged.
async fn pour(mut gateway: Gateway, time: Duration) -> Result<u64> {
    let session = SessionId(Uuid::now_v7());
    gateway.batch(Lane::Billing, 1, vec![gateway.record(&started(session)?, 0)]).await?;
    let (begin, deadline) = (now(), Instant::now() + time);
    let mut sent = 0;
    while Instant::now() < deadline {
        let numbers = sent..sent + MAX_BATCH_RECORDS as u64;
        let records =
            numbers.map(|number| gateway.record(&metered(session, begin, number), number)).collect();
        gateway.batch(Lane::Meter, sent + 1, records).await?;
        sent += MAX_BATCH_RECORDS as u64;
    }
    Ok(sent)
}

fn started(session: SessionId) -> Result<Event> {
    Ok(Event::SessionStarted(SessionStarted {
        session,
        station: StationId::new(crate::stage::identity(1))?,
        evse: EvseNo(1),
        tx_ref: StationTxRef(session.to_string()),
        token: None,
        auth: AuthStatus::Accepted,
        authorised_by: AuthorisedBy::SiteList,
        at: now(),
        meter_start: Wh(0),
        tariff: None,
        caused_by: None,
        flags: Vec::new(),
    }))
}

fn metered(session: SessionId, begin: Timestamp, number: u64) -> Event {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let reading = MeterReading {
        power: Some(Watts(11_000)),
        ..MeterReading::of_register(Timestamp(begin.0 + number), Wh(number))
    };
    Event::SessionMetered(SessionMetered { session, reading })
}

/// How rows come in without any meaning, committed by the thousand.
#[derive(Clone, Copy)]
enum Bare {
    Unnest,
    Copy,
}

/// The limit: the same rows, and nothing else.
async fn limit(db: &PgPool, time: Duration, by: Bare) -> Result<u64> {
    sqlx::query("drop table if exists bench_records").execute(db).await?;
    sqlx::query("create table bench_records (like records including all)").execute(db).await?;
    let deadline = Instant::now() + time;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let db = db.clone();
        writers.spawn(async move {
            let (gateway, mut written) = (Uuid::new_v4(), 0);
            while Instant::now() < deadline {
                match by {
                    Bare::Unnest => unnest(&db, gateway, written).await?,
                    Bare::Copy => copy(&db, gateway, written).await?,
                }
                written += ROWS as u64;
            }
            anyhow::Ok(written)
        });
    }
    let mut rows = 0;
    while let Some(written) = writers.join_next().await {
        rows += written??;
    }
    Ok(rows)
}

async fn unnest(db: &PgPool, gateway: Uuid, first: u64) -> Result<()> {
    let first = i64::try_from(first)?;
    let numbers: Vec<i64> = (first..).take(ROWS).collect();
    let keys: Vec<Vec<u8>> =
        numbers.iter().map(|number| format!("{gateway}/{number}").into_bytes()).collect();
    let bodies: Vec<Vec<u8>> = numbers.iter().map(|_| vec![7; 40]).collect();
    let insert = "insert into bench_records
            (gateway_id, epoch, lane, seq, kind, kind_ver, occurred_at, clock, boot_id, mono_ms, key, body)
        select $1, $1, 1, seq, 16, 1, now(), 0, $1, seq, key, body
        from unnest($2::bigint[], $3::bytea[], $4::bytea[]) as rows (seq, key, body)";
    sqlx::query(insert).bind(gateway).bind(&numbers).bind(&keys).bind(&bodies).execute(db).await?;
    Ok(())
}

async fn copy(db: &PgPool, gateway: Uuid, first: u64) -> Result<()> {
    let mut connection = db.acquire().await?;
    let copy = "copy bench_records
        (gateway_id, epoch, lane, seq, kind, kind_ver, occurred_at, clock, boot_id, mono_ms, key, body) from stdin";
    let body = "07".repeat(40);
    let mut lines = String::new();
    for number in (first..).take(ROWS) {
        let key: String = format!("{gateway}/{number}").bytes().map(|byte| format!("{byte:02x}")).collect();
        writeln!(
            lines,
            "{gateway}\t{gateway}\t1\t{number}\t16\t1\tnow\t0\t{gateway}\t{number}\t\\\\x{key}\t\\\\x{body}"
        )?;
    }
    let mut into = connection.copy_in_raw(copy).await?;
    into.send(lines.into_bytes()).await?;
    into.finish().await?;
    Ok(())
}
