//! The primary of Postgres dies in the middle of a backlog, its standby is promoted, and the replicas go on there: what was
//! acknowledged is there, what was not is sent again.

use sqlx::PgPool;
use stack::house::{BrokerKind, House};
use stack::postgres::Postgres;
use stack::puppet::Puppet;
use stack::wait;
use stack::workdir::Workdir;

use crate::story::{SOON, now, start, stop};

const SESSIONS: i64 = 300;

async fn count(db: &PgPool, query: &'static str) -> Option<i64> {
    sqlx::query_scalar(query).fetch_one(db).await.ok()
}

async fn charges(house: &House, sessions: i64) {
    let mut station = Puppet::boot(&house.edge.ocpp_url(), "S1", &house.site.password).await.unwrap();
    for number in 0..sessions {
        let begun =
            station.call("StartTransaction", start(&house.site.id_tag, number * 100, now())).await.unwrap();
        let transaction = begun["transactionId"].as_i64().unwrap();
        station.call("StopTransaction", stop(transaction, number * 100 + 100, now())).await.unwrap();
    }
}

#[tokio::test]
async fn a_standby_takes_over_in_the_middle_of_a_backlog() {
    let dir = Workdir::new("failover").unwrap();
    let mut primary = Postgres::start(&dir.path().join("primary")).await.unwrap();
    let url = primary.create_database().await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    let standby = primary.standby(&dir.path().join("standby")).await.unwrap();
    let both = primary.url_with(&standby, name);
    let mut house = House::build(dir.path(), &both, BrokerKind::Mosquitto, &["S1"]).await.unwrap();
    let held = "select count(*) from documents where held_version = version";
    let db = PgPool::connect(&url).await.unwrap();
    wait::until("the agent's documents", SOON, || async { (count(&db, held).await? >= 3).then_some(()) })
        .await
        .unwrap();

    house.proxy.cut();
    charges(&house, SESSIONS).await;
    house.proxy.heal();
    // Some of it is committed, most is not.
    let some = "select count(*) from bills";
    wait::until("the first bills", SOON, || async { (count(&db, some).await? > 0).then_some(()) })
        .await
        .unwrap();
    primary.kill9().unwrap();
    db.close().await;
    standby.promote().await.unwrap();

    let db = PgPool::connect(&standby.url(name)).await.unwrap();
    wait::until("every bill at the new primary", SOON, || async {
        (count(&db, some).await? >= SESSIONS).then_some(())
    })
    .await
    .unwrap();
    let whole = "select count(*) from sessions join bills on session_id = id where energy_wh = 100";
    assert_eq!(count(&db, whole).await, Some(SESSIONS), "each once, each right");
    assert_eq!(count(&db, "select count(*) from sessions").await, Some(SESSIONS));
    let parked = "select count(*) from quarantine";
    assert_eq!(count(&db, parked).await, Some(0));
    let failovers = house.cloud.metric("database_failovers_total", "").await.unwrap();
    assert_eq!(failovers, 1.0);
    // Whoever starts now finds the one that takes writes by himself.
    house.cloud.service().kill9().unwrap();
    house.cloud.restart().await.unwrap();
    charges(&house, 1).await;
    wait::until("one more", SOON, || async { (count(&db, some).await? == SESSIONS + 1).then_some(()) })
        .await
        .unwrap();
}
