//! The gateway's storage goes bad while the site is offline: it mends itself, and everything is billed once.

use crate::story::{Charging, Story, cost};

#[tokio::test]
async fn a_damaged_database_is_restored_and_everything_is_billed_once() {
    let mut story = Story::begin("damage").await;
    let mut station = story.station("S1").await;
    story.settled().await;
    let known = station.start(&story.site.id_tag, 0).await;
    station.stop(known, 4_000).await;
    story.bills(1).await;
    story.settled().await;

    story.proxy.cut();
    let unsent = station.start(&story.site.id_tag, 4_000).await;
    station.stop(unsent, 9_000).await;
    let running = station.start(&story.site.id_tag, 9_000).await;
    station.meter(running, 10_000, 7_000).await;
    story.edge.service().kill9().unwrap();
    // With its log it would be whole again.
    for file in ["edge.sqlite3", "edge.sqlite3-wal"] {
        std::fs::write(story.edge.data().join(file), vec![0x5a; 200_000]).unwrap();
    }
    story.edge.start().await.unwrap();

    let state = story.edge.state().await.unwrap();
    assert_eq!(state["storage"]["damages"][0]["what"], "database_restored", "{state}");
    let mut station = story.station("S1").await;
    station.stop(running, 12_000).await;
    story.proxy.heal();
    let bills = story.bills(3).await;
    story.settled().await;
    let billed: Vec<_> = bills.iter().map(|bill| (bill.energy_wh, bill.total_micros)).collect();
    assert_eq!(billed, [3_000, 4_000, 5_000].map(|energy| (energy, cost(energy))));
    assert_eq!(story.count("select count(*) from sessions").await, 3);
    let alarms = "select count(*) from alarms join gateways on gateways.id = gateway_id
                  where kind = 'database_restored' and subject = gateway_id::text and acknowledged_at is null";
    assert_eq!(story.count(alarms).await, 1);
    assert_eq!(story.count("select count(*) from quarantine").await, 0, "something was parked");
}
