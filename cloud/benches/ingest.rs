//! Records committed per second on a private Postgres: whole batches of 256, several gateways at once, each batch one
//! synchronous commit. Beside it the bare statement: the same raw rows by UNNEST, 1,000 at a time, and nothing projected.
//!
//! `cargo bench -p cloud --bench ingest [-- SECONDS]`
#![recursion_limit = "512"]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints, and may fail loudly")]

use std::time::{Duration, Instant};

use cloud::db::record::Origin;
use cloud::ingest::batch::{self, Outcome};
use cloud::{Config, config::Secret, db};
use shared::id::{BootId, Epoch, GatewayId, SessionId};
use shared::model::event::SessionMetered;
use shared::model::{Event, Lane, MeterReading};
use shared::sync::{Batch, ClockQuality, Header, Record};
use shared::units::{Timestamp, Watts, Wh};
use sqlx::PgPool;
use uuid::Uuid;

const GATEWAYS: u64 = 8;
const PER_BATCH: u64 = 256;
const T0: i64 = 1_790_000_000_000;

fn main() {
    let seconds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5);
    tokio::runtime::Runtime::new().unwrap().block_on(measure(Duration::from_secs(seconds)));
}

async fn measure(time: Duration) {
    let dir = tempfile::TempDir::new().unwrap();
    let postgres = stack::postgres::Postgres::start(dir.path()).await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let pool = db::open(&Config { database_url: Secret::new(&url), ..Config::default() }).await.unwrap();
    let site: i64 =
        sqlx::query_scalar("insert into sites default values returning id").fetch_one(&pool).await.unwrap();

    let bare = unnest(&pool, time).await;
    println!("bare UNNEST of 1,000 rows    {bare:>8.0} rows/s");
    for lane in [Lane::Meter, Lane::Status] {
        let rate = run(&pool, site, lane, time).await;
        println!(
            "{:<6} lane, 8 gateways      {rate:>8.0} records/s   {:.0} % of bare",
            lane.name(),
            rate / bare * 100.0
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
async fn run(pool: &PgPool, site_id: i64, lane: Lane, time: Duration) -> f64 {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..GATEWAYS {
        let origin =
            Origin { gateway: GatewayId(Uuid::new_v4()), site_id, epoch: Epoch(Uuid::new_v4()), lane };
        enroll(pool, origin).await;
        let pool = pool.clone();
        tasks.spawn(async move {
            let session = SessionId(Uuid::now_v7());
            let mut first_seq = 1;
            while started.elapsed() < time {
                let records =
                    (first_seq..first_seq + PER_BATCH).map(|seq| record(lane, session, seq)).collect();
                let batch =
                    Batch { epoch: origin.epoch, boot: BootId(Uuid::nil()), lane, first_seq, records };
                let outcome = batch::apply(&pool, origin, &batch).await.unwrap();
                assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
                first_seq += PER_BATCH;
            }
            first_seq - 1
        });
    }
    let records: u64 = tasks.join_all().await.into_iter().sum();
    records as f64 / started.elapsed().as_secs_f64()
}

async fn enroll(pool: &PgPool, origin: Origin) {
    sqlx::query(
        "insert into gateways (id, site_id, shard, frame_key, mosquitto_password) values ($1, $2, 0, $3, '')",
    )
    .bind(origin.gateway.0)
    .bind(origin.site_id)
    .bind(vec![0_u8; 32])
    .execute(pool)
    .await
    .unwrap();
    let mut tx = pool.begin().await.unwrap();
    db::cursor::register(&mut tx, origin.gateway, origin.epoch, None).await.unwrap();
    tx.commit().await.unwrap();
}

fn record(lane: Lane, session: SessionId, seq: u64) -> Record {
    let n = i64::try_from(seq).unwrap();
    let reading =
        MeterReading { power: Some(Watts(11_000)), ..MeterReading::of_register(Timestamp(T0 + n), Wh(n)) };
    let event = match lane {
        Lane::Meter | Lane::Billing => Event::SessionMetered(SessionMetered { session, reading }),
        Lane::Status => Event::PresenceChanged(shared::model::event::PresenceChanged {
            station: format!("CP{}", seq % 50).parse().unwrap(),
            connected: true,
            at: Timestamp(T0 + n),
        }),
    };
    let boot = BootId(Uuid::nil());
    Record {
        header: Header {
            kind: event.kind(),
            kind_ver: 1,
            occurred_at: Timestamp(T0 + n),
            clock: ClockQuality::Synced,
            boot,
            mono_ms: seq,
            key: event.key(boot, seq),
        },
        body: event.body(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
async fn unnest(pool: &PgPool, time: Duration) -> f64 {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..GATEWAYS {
        let pool = pool.clone();
        tasks.spawn(async move {
            let lane = Lane::Meter;
            let origin =
                Origin { gateway: GatewayId(Uuid::new_v4()), site_id: 0, epoch: Epoch(Uuid::nil()), lane };
            let session = SessionId(Uuid::now_v7());
            let mut first = 1;
            while started.elapsed() < time {
                let records: Vec<_> = (first..first + 1000).map(|seq| record(lane, session, seq)).collect();
                let numbered: Vec<_> = (first..)
                    .zip(&records)
                    .map(|(seq, record)| db::record::Numbered { seq, record })
                    .collect();
                db::record::append(&mut pool.acquire().await.unwrap(), origin, &numbered).await.unwrap();
                first += 1000;
            }
            first - 1
        });
    }
    let rows: u64 = tasks.join_all().await.into_iter().sum();
    rows as f64 / started.elapsed().as_secs_f64()
}
