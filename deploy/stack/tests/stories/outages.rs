//! Postgres and the broker die under load and come back; every session is billed once and right.

use stack::house::BrokerKind;
use stack::postgres::Postgres;
use stack::puppet::Puppet;
use stack::wait;
use stack::workdir::Workdir;

use crate::story::{Charging, SOON, Story, cost};

const SESSIONS: i64 = 30;

#[tokio::test]
async fn postgres_dies_under_load() {
    let dir = Workdir::new("own-postgres").unwrap();
    let mut postgres = Postgres::start(dir.path()).await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let story = Story::on(&url, "postgres-outage", BrokerKind::Embedded).await;
    let (load, mut expected) = load(&story).await;
    wait::until("the first bills", SOON, || async { (story.count(BILLS).await > 3).then_some(()) })
        .await
        .unwrap();
    postgres.kill9().unwrap();
    postgres.restart().await.unwrap();
    load.await.unwrap();
    all_billed(&story, &mut expected).await;
}

#[tokio::test]
async fn mosquitto_dies_under_load() {
    let mut story = Story::with_broker("mosquitto-outage", BrokerKind::Mosquitto).await;
    let (load, mut expected) = load(&story).await;
    wait::until("the first bills", SOON, || async { (story.count(BILLS).await > 3).then_some(()) })
        .await
        .unwrap();
    let mosquitto = story.mosquitto.as_mut().unwrap();
    mosquitto.kill9().unwrap();
    mosquitto.restart().await.unwrap();
    load.await.unwrap();
    all_billed(&story, &mut expected).await;
}

#[tokio::test]
async fn the_cloud_with_its_broker_dies_under_load() {
    let mut story = Story::begin("cloud-outage").await;
    let (load, mut expected) = load(&story).await;
    wait::until("the first bills", SOON, || async { (story.count(BILLS).await > 3).then_some(()) })
        .await
        .unwrap();
    story.cloud.service().kill9().unwrap();
    story.cloud.restart().await.unwrap();
    load.await.unwrap();
    all_billed(&story, &mut expected).await;
}

const BILLS: &str = "select count(*) from bills";

/// Charges without a pause in the background; also returns what it will have charged.
async fn load(story: &Story) -> (tokio::task::JoinHandle<()>, Vec<(i64, i64)>) {
    let mut station: Puppet = story.station("S1").await;
    let id_tag = story.site.id_tag.clone();
    let energy = |session: i64| 1_000 + 11 * session;
    let expected = (0..SESSIONS).map(|session| (energy(session), cost(energy(session)))).collect();
    let load = tokio::spawn(async move {
        let mut register = 0;
        for session in 0..SESSIONS {
            let transaction = station.start(&id_tag, register).await;
            station.meter(transaction, register + 500, 7_000).await;
            register += energy(session);
            station.stop(transaction, register).await;
            // Slow enough that the outage falls into the middle.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    (load, expected)
}

async fn all_billed(story: &Story, expected: &mut [(i64, i64)]) {
    let bills = story.bills(expected.len()).await;
    let billed: Vec<_> = bills.into_iter().map(|bill| (bill.energy_wh, bill.total_micros)).collect();
    expected.sort_unstable();
    assert_eq!(billed, expected);
    story.settled().await;
    story.assert_lanes_whole().await;
}
