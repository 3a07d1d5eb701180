//! Does the checker find it? Real sessions of real programs, then a copy of the database in which somebody did what the
//! programs must not do.

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, PgPool};
use stack::house::BrokerKind;

use super::{Finding, Verdict, panics, secrets};
use crate::drivers::Drivers;
use crate::seed::Dice;
use crate::stage::{SOON, Stage};

const STATIONS: usize = 2;

/// What somebody does to the copy, and whether what the checker says of it is right.
type Deed = (&'static str, fn(&[Finding]) -> bool);

const DEEDS: [Deed; 8] = [
    ("select 1", |found| found.is_empty()),
    (
        "with gone as (select id from sessions limit 1), unpaid as (delete from bills where session_id in (select id from gone))
         delete from sessions where id in (select id from gone)",
        |found| matches!(found, [Finding::Lost { .. }]),
    ),
    (
        "insert into sessions (id, gateway_id, station, evse, tx_ref, started_at, stopped_at, energy_wh)
         select gen_random_uuid(), gateway_id, station, evse, tx_ref, started_at, stopped_at, energy_wh from sessions limit 1",
        |found| matches!(found, [Finding::Doubled { times: 2, place: "cloud", .. }]),
    ),
    (
        "insert into sessions (id, gateway_id, station, evse, tx_ref) select gen_random_uuid(), gateway_id, station, evse, '1'
         from sessions limit 1",
        |found| matches!(found, [Finding::Invented { place: "cloud", .. }]),
    ),
    (
        "update bills set total_micros = total_micros + 10000 where session_id = (select min(session_id::text)::uuid from bills)",
        |found| matches!(found, [Finding::Money { owed, billed, .. }] if billed - owed == 10_000),
    ),
    (
        "update sessions set energy_wh = energy_wh + 1 where id = (select min(id::text)::uuid from sessions)",
        |found| matches!(found, [Finding::Energy { place: "cloud", .. }]),
    ),
    (
        "delete from records where (epoch, lane, seq) in (select epoch, lane, seq from records where lane = 1 limit 1)",
        |found| matches!(found, [Finding::Gap { .. }]),
    ),
    (
        "alter table audit disable trigger user; update audit set action = 'nothing' where id = (select max(id) - 1 from audit)",
        |found| matches!(found, [Finding::Audit { .. }]),
    ),
];

#[tokio::test]
async fn a_lost_a_doubled_a_mispriced_and_an_invented_session_are_found() {
    let mut stage = Stage::build("checker", BrokerKind::Embedded, STATIONS).await.unwrap();
    let drivers = Drivers::begin(&stage, &mut Dice::new(1), STATIONS);
    drivers.accepted(SOON).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    drivers.finish(SOON).await.unwrap();
    stage.settled(SOON).await.unwrap();
    stage.house.cloud.service().stop().await.unwrap();
    let original = stage.house.database_url.rsplit('/').next().unwrap().to_owned();
    stage.db.close().await;
    for (number, (deed, right)) in DEEDS.into_iter().enumerate() {
        let verdict = tampered(&mut stage, &original, number, deed).await.unwrap();
        assert!(verdict.sessions > 2, "{verdict:?}");
        assert!(right(&verdict.findings), "{deed}: {:?}", verdict.findings);
    }
}

/// What the checker says of a copy of the database after somebody's deed.
async fn tampered(stage: &mut Stage, original: &str, number: usize, deed: &'static str) -> Result<Verdict> {
    let copy = format!("copy_{number}");
    let server = PgPool::connect(&stage.postgres.url("postgres")).await?;
    sqlx::query(AssertSqlSafe(format!("create database {copy} template {original}")))
        .execute(&server)
        .await?;
    server.close().await;
    let url = stage.postgres.url(&copy);
    stage.house.cloud.service().set("DATABASE_URL", &url);
    stage.db = PgPool::connect(&url).await?;
    sqlx::raw_sql(deed).execute(&stage.db).await.context(deed)?;
    let verdict = stage.verdict(stage.rules()).await;
    stage.db.close().await;
    verdict
}

#[test]
fn panics_and_secrets_in_a_log_are_found() {
    let log = "INFO fine\nthread 'main' panicked at src/main.rs:1:1:\npassword=correct-horse";
    assert_eq!(panics("edge", log).len(), 1);
    let dealt_out = [
        ("the password".to_owned(), "correct-horse".to_owned()),
        ("another".into(), "battery-staple".into()),
    ];
    let found = secrets("edge", log, &dealt_out);
    assert!(matches!(&found[..], [Finding::Secret { whose, .. }] if whose == "the password"), "{found:?}");
}
