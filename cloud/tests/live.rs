//! Many watchers over real sockets: each is told, whatever the others do, and nobody takes more than his share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;

use axum::Router;
use cloud::App;
use cloud::config::Live;
use serde_json::{Value, json};
use stack::postgres::Postgres;
use support::socket::{Socket, TRANSPORT};
use support::world::{LOGIN, PASSWORD};
use support::{Person, api_with};
use tempfile::TempDir;

const SITES: i64 = 1_000;
const WATCHERS: usize = 100;
const CHANGES: i64 = 30;

struct World {
    address: SocketAddr,
    app: App,
    anybody: Person,
}

impl World {
    async fn new(postgres: &Postgres, limits: Live) -> Self {
        let url = postgres.create_database().await.unwrap();
        let (router, app): (Router, App) = api_with(&url, |config| config.live = limits).await;
        sqlx::migrate!().run(&app.db).await.unwrap();
        let address = support::socket::serve(router.clone()).await;
        Self { address, app, anybody: Person { router, token: None } }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live() {
    let dir = TempDir::new().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    who_never_reads_slows_nobody(&postgres).await;
    a_user_has_so_many_connections_and_subscriptions(&postgres).await;
}

async fn who_never_reads_slows_nobody(postgres: &Postgres) {
    let world = World::new(postgres, Live::default()).await;
    fill(&world).await;
    let watch = |delta: bool| {
        let query = format!(
            "subscription($i: InputFilterMarkersDto!) {{ markerUpdated(input: $i{}) {{ siteid available location }} }}",
            if delta { ", delta: true" } else { "" }
        );
        json!({"query": query, "variables": {"i": {"connectorTypesSelected": ["CCS2"]}}})
    };
    // As much as one may ask for: every change is megabytes to him, and he takes nothing.
    let mut stuck = Socket::ready(world.address, TRANSPORT, Value::Null).await;
    for id in 0..50 {
        let mut payload = watch(false);
        payload["query"] =
            json!(payload["query"].as_str().unwrap().replace("siteid", &format!("s{id}: siteid")));
        stuck.say(json!({"type": "subscribe", "id": id.to_string(), "payload": payload})).await;
    }
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let mut socket = Socket::ready(world.address, TRANSPORT, Value::Null).await;
        socket.say(json!({"type": "subscribe", "id": "1", "payload": watch(true)})).await;
        let snapshot = socket.hear().await;
        assert_eq!(snapshot["payload"]["data"]["markerUpdated"].as_array().unwrap().len(), 1_000);
        watchers.push(socket);
    }
    let before = memory();
    for change in 0..CHANGES {
        let status = if change % 2 == 0 { "Charging" } else { "Available" };
        sqlx::query("update connectors set status_name = $1 where site_id = 1")
            .bind(status)
            .execute(&world.app.db)
            .await
            .unwrap();
        world.app.live.hint(cloud::live::Hint::site(1));
        for watcher in &mut watchers {
            let event = watcher.hear().await;
            let markers = &event["payload"]["data"]["markerUpdated"];
            assert_eq!((&markers[0]["siteid"], &markers[0]["available"]), (&json!(1), &json!(change % 2)));
        }
    }
    let grown = memory().saturating_sub(before);
    // 50 subscriptions × 30 changes × 85 kB would be 128 MB.
    assert!(grown < 60_000_000, "{grown} bytes are waiting for somebody who never reads");
}

async fn fill(world: &World) {
    sqlx::query(
        "with s as (
             insert into sites (id, location)
             select n, jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(n % 360 - 180, n % 180 - 90))
             from generate_series(1, $1) n returning id),
         p as (insert into charge_points (id, site_id) select id, id from s returning id)
         insert into connectors (charge_point_id, site_id, connector_id, connector_type_name, status_name, power, price)
         select id, id, 1, 'CCS2', 'Available', 50, 0.45 from p",
    )
    .bind(SITES)
    .execute(&world.app.db)
    .await
    .unwrap();
}

/// Bytes that this process holds.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

async fn a_user_has_so_many_connections_and_subscriptions(postgres: &Postgres) {
    let limits = Live { connections_per_user: 2, subscriptions_per_user: 1, ..Live::default() };
    let world = World::new(postgres, limits).await;
    let one = token(&world, "one").await;
    let other = token(&world, "other").await;
    let payload = |token: &str| json!({"Authorization": format!("Bearer {token}")});
    let mut first = Socket::ready(world.address, TRANSPORT, payload(&one)).await;
    let mut second = Socket::ready(world.address, TRANSPORT, payload(&one)).await;
    let mut third = Socket::open(world.address, Some(TRANSPORT)).await;
    third.say(json!({"type": "connection_init", "payload": payload(&one)})).await;
    assert_eq!(third.hear().await, 4429);
    let _other = Socket::ready(world.address, TRANSPORT, payload(&other)).await;

    let progress = "subscription { chargingProgressUpdated(input: {}) { power_usage } }";
    let begin = |id: &str| json!({"type": "subscribe", "id": id, "payload": {"query": progress}});
    first.say(begin("1")).await;
    first.say(json!({"type": "ping"})).await;
    assert_eq!(first.hear().await, json!({"type": "pong"}));
    second.say(begin("2")).await;
    let refused = second.hear().await;
    assert_eq!(refused["payload"][0]["extensions"]["code"], "TOO_MANY_REQUESTS", "{refused}");
    assert_eq!(refused["payload"][0]["message"], "At most 1 subscriptions per user: end others first");
}

async fn token(world: &World, name: &str) -> String {
    let hash = cloud::auth::hash_password(PASSWORD).await.unwrap();
    let new = cloud::db::user::NewUser {
        username: Some(name),
        role: "driver",
        password_hash: Some(&hash),
        ..Default::default()
    };
    let mut connection = world.app.db.acquire().await.unwrap();
    cloud::db::user::insert(&mut connection, &new).await.unwrap();
    let input = json!({"input": {"username": name, "password": PASSWORD}});
    world.anybody.get(LOGIN, input).await["login"]["accessToken"].as_str().unwrap().to_owned()
}
