//! The map over a real database: its filters, and what a watcher hears of every sort of change.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cloud::graphql::{Api, Event};
use cloud::{App, auth, live};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use support::{Person, api};
use tempfile::TempDir;

const MARKERS: &str = "query($input: InputFilterMarkersDto!) { getFilteredMarkers(input: $input) {
    siteid name address distance available total cursor } }";

struct World {
    app: App,
    api: Api,
    auth: Arc<auth::Auth>,
    anybody: Person,
}

/// The events of one subscription to markers.
struct Map(BoxStream<'static, Event>);

impl World {
    /// Berlin (two connectors, one free), Paris (one, free, not public), Suva and Apia on either side of the antimeridian.
    async fn new(postgres: &stack::postgres::Postgres) -> Self {
        let url = postgres.create_database().await.unwrap();
        let (router, app) = api(&url).await;
        sqlx::migrate!().run(&app.db).await.unwrap();
        let api = Api::new(app.clone()).unwrap();
        let auth = Arc::new(auth::Auth::load(&app.config, app.db.clone()).await.unwrap());
        let world = Self { app, api, auth, anybody: Person { router, token: None } };
        for (id, name, address, lon, lat) in [
            (1, "Spree", "Müllerstraße 1, Berlin", 13.4, 52.5),
            (2, "Seine", "4 rue de l'Église, Paris", 2.35, 48.86),
            (3, "Suva", "100% Main_Street", 178.4, -18.1),
            (4, "Апиа", "Пляж", -171.8, -13.8),
        ] {
            world.site(id, name, address, lon, lat).await;
        }
        world.connector(11, 1, "Type 2", "Available").await;
        world.connector(12, 1, "CCS2", "Charging").await;
        world.connector(21, 2, "Type 2", "Preparing").await;
        world.connector(31, 3, "Type 2", "Faulted").await;
        world.connector(41, 4, "Type 2", "Available").await;
        world.run("update charge_points set public = false where id = 2").await;
        world
    }

    async fn site(&self, id: i64, name: &str, address: &str, lon: f64, lat: f64) {
        let place = json!({"type": "Point", "coordinates": [lon, lat]});
        sqlx::query("insert into sites (id, name, address, location) values ($1, $2, $3, $4)")
            .bind(id)
            .bind(name)
            .bind(address)
            .bind(place)
            .execute(&self.app.db)
            .await
            .unwrap();
        sqlx::query("insert into charge_points (id, site_id) values ($1, $1)")
            .bind(id)
            .execute(&self.app.db)
            .await
            .unwrap();
    }

    async fn connector(&self, id: i64, site: i64, kind: &str, status: &str) {
        sqlx::query(
            "insert into connectors (id, charge_point_id, site_id, connector_id, connector_type_name, status_name, power, price)
             values ($1, $2, $2, $1, $3, $4, 22, 0.45)",
        )
        .bind(id)
        .bind(site)
        .bind(kind)
        .bind(status)
        .execute(&self.app.db)
        .await
        .unwrap();
    }

    async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.app.db).await.unwrap();
    }

    /// As whoever changes something does it: the change, and a word to all.
    async fn change(&self, sql: &'static str) {
        let mut tx = self.app.db.begin().await.unwrap();
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
        live::notify(&mut tx, &live::Hint::site(0)).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn markers(&self, filter: Value) -> Vec<Value> {
        let answer = self.anybody.get(MARKERS, json!({"input": asked(filter)})).await;
        answer["getFilteredMarkers"].as_array().unwrap().clone()
    }

    /// Ids only.
    async fn ids(&self, filter: Value) -> Vec<i64> {
        let mut ids: Vec<_> =
            self.markers(filter).await.iter().map(|row| row["siteid"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        ids
    }

    fn subscribe(&self, query: &str, variables: Value) -> BoxStream<'static, Event> {
        let incoming = serde_json::from_value(json!({"query": query, "variables": variables}));
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let caller = auth::Caller::new(Arc::clone(&self.auth), None, address);
        self.api.subscribe(incoming.unwrap(), caller)
    }

    fn watch(&self, filter: Value, delta: bool, after: Option<&str>) -> Map {
        let query = "subscription($i: InputFilterMarkersDto!, $delta: Boolean!, $after: String) {
            markerUpdated(input: $i, delta: $delta, after: $after) { siteid available total cursor } }";
        Map(self.subscribe(query, json!({"i": asked(filter), "delta": delta, "after": after})))
    }
}

impl Map {
    async fn event(&mut self) -> Value {
        match tokio::time::timeout(Duration::from_secs(5), self.0.next()).await.expect("in time") {
            Some(Event::Next(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// `(site, available, total)` of each marker, by site, and the cursor of the last.
    async fn hear(&mut self) -> (Vec<(i64, i64, i64)>, String) {
        let event = self.event().await;
        let rows = event["data"]["markerUpdated"].as_array().unwrap_or_else(|| panic!("{event}"));
        let number = |row: &Value, field: &str| row[field].as_i64().unwrap();
        let (last, others) = rows.split_last().expect("some markers");
        assert!(others.iter().all(|row| row["cursor"].is_null()), "one cursor is enough: {event}");
        let mut seen: Vec<_> = rows
            .iter()
            .map(|row| (number(row, "siteid"), number(row, "available"), number(row, "total")))
            .collect();
        seen.sort_unstable();
        (seen, last["cursor"].as_str().unwrap().to_owned())
    }

    async fn hears(&mut self, wanted: &[(i64, i64, i64)]) -> String {
        let (seen, cursor) = self.hear().await;
        assert_eq!(seen, wanted, "{cursor}");
        cursor
    }
}

/// A filter that lets everything through but for what is said.
fn asked(mut filter: Value) -> Value {
    let fields = filter.as_object_mut().unwrap();
    fields.entry("connectorTypesSelected").or_insert(json!(["Type 2", "CCS2"]));
    filter
}

#[tokio::test]
async fn the_map() {
    let dir = TempDir::new().unwrap();
    let postgres = stack::postgres::Postgres::start(dir.path()).await.unwrap();
    a_map_is_found_by_place_and_words_and_stays_what_it_was(&postgres).await;
    every_change_is_heard_by_those_whom_it_concerns(&postgres).await;
    who_comes_back_with_a_cursor_hears_what_he_missed(&postgres).await;
    a_cursor_that_is_none_is_refused_with_advice(&postgres).await;
    a_site_tells_only_of_its_own_changes(&postgres).await;
}

async fn a_map_is_found_by_place_and_words_and_stays_what_it_was(postgres: &stack::postgres::Postgres) {
    let world = World::new(postgres).await;
    assert_eq!(world.ids(json!({})).await, [1, 2, 3, 4], "all owners', public or not, free or not");
    assert_eq!(world.ids(json!({"onlyPublic": true})).await, [1, 3, 4]);
    assert_eq!(world.ids(json!({"onlyAvailable": true})).await, [1, 2, 4]);
    places(&world).await;
    words(&world).await;
    bad_input(&world).await;
}

async fn places(world: &World) {
    let within = |west: f64, south: f64, east: f64, north: f64| json!({"boundingBox": {"west": west, "south": south, "east": east, "north": north}});
    assert_eq!(world.ids(within(2.35, 48.86, 13.4, 52.5)).await, [1, 2], "edges are inside");
    assert_eq!(world.ids(within(0.0, 40.0, 10.0, 50.0)).await, [2]);
    assert_eq!(world.ids(within(170.0, -30.0, -170.0, 0.0)).await, [3, 4], "across the antimeridian");
    assert_eq!(world.ids(within(-170.0, -30.0, 170.0, 0.0)).await, [0; 0]);

    let near = json!({"latitude": -16, "longitude": 179.9, "maxDistance": 1_500_000});
    let around = world.markers(json!({"near": near})).await;
    let seen: Vec<_> =
        around.iter().map(|row| (row["siteid"].as_i64(), row["distance"].as_f64().unwrap() / 1e3)).collect();
    assert!(matches!(seen[..], [(Some(3), 275.0..290.0), (Some(4), 915.0..940.0)]), "{seen:?}");
    let nearest = json!({"near": {"latitude": 50, "longitude": 10}, "limit": 3, "onlyAvailable": true});
    let order: Vec<_> = world.markers(nearest).await.iter().map(|row| row["siteid"].clone()).collect();
    assert_eq!(order, [1, 2, 4], "the nearest first, and over the pole");
    assert_eq!(world.markers(json!({"limit": 2})).await.len(), 2);
    let all = world.markers(json!({})).await;
    assert!(all.iter().all(|row| row["distance"].is_null()));
    assert_eq!(
        all.iter().filter(|row| row["name"] == "Spree" && row["address"] == "Müllerstraße 1, Berlin").count(),
        1
    );
}

async fn words(world: &World) {
    for (search, found) in [
        ("mullerstrasse", vec![1]),
        ("BERLIN müll", vec![1]),
        ("eglise", vec![2]),
        ("апиа пляж", vec![4]),
        ("АПИА", vec![4]),
        ("100% main_", vec![3]),
        ("100_", vec![]),
        ("spree paris", vec![]),
        (" ", vec![1, 2, 3, 4]),
        ("st", vec![1, 3]),
    ] {
        assert_eq!(world.ids(json!({"search": search})).await, found, "{search}");
    }
    let together = json!({"search": "s", "onlyAvailable": true, "near": {"latitude": 48, "longitude": 2, "maxDistance": 200_000}});
    assert_eq!(world.ids(together).await, [2]);
}

async fn bad_input(world: &World) {
    for filter in [
        json!({"boundingBox": {"west": 0, "south": 10, "east": 1, "north": 0}}),
        json!({"boundingBox": {"west": 0, "south": 0, "east": 181, "north": 1}}),
        json!({"near": {"latitude": 91, "longitude": 0}}),
        json!({"near": {"latitude": 0, "longitude": 0, "maxDistance": -1}}),
        json!({"limit": 0}),
        json!({"search": "x".repeat(101)}),
    ] {
        let (_, code) = world.anybody.refused(MARKERS, json!({"input": asked(filter)})).await;
        assert_eq!(code, "BAD_USER_INPUT");
    }
}

async fn every_change_is_heard_by_those_whom_it_concerns(postgres: &stack::postgres::Postgres) {
    let world = World::new(postgres).await;
    let mut all = world.watch(json!({}), true, None);
    let mut whole = world.watch(json!({}), false, None);
    let europe =
        json!({"boundingBox": {"west": -10, "south": 35, "east": 30, "north": 70}, "onlyAvailable": true});
    let mut free_in_europe = world.watch(europe, true, None);
    let mut nearest = world.watch(json!({"near": {"latitude": 50, "longitude": 10}, "limit": 1}), true, None);
    all.hears(&[(1, 1, 2), (2, 1, 1), (3, 0, 1), (4, 1, 1)]).await;
    whole.hears(&[(1, 1, 2), (2, 1, 1), (3, 0, 1), (4, 1, 1)]).await;
    free_in_europe.hears(&[(1, 1, 2), (2, 1, 1)]).await;
    nearest.hears(&[(1, 1, 2)]).await;

    world.change("update connectors set status_name = 'Charging' where id = 11").await;
    all.hears(&[(1, 0, 2)]).await;
    whole.hears(&[(1, 0, 2), (2, 1, 1), (3, 0, 1), (4, 1, 1)]).await;
    free_in_europe.hears(&[(1, 0, 0)]).await;
    nearest.hears(&[(1, 0, 2)]).await;

    world.change("delete from connectors where id = 12").await;
    all.hears(&[(1, 0, 1)]).await;
    nearest.hears(&[(1, 0, 1)]).await;
    world.change("delete from sites where id = 1").await;
    all.hears(&[(1, 0, 0)]).await;
    nearest.hears(&[(1, 0, 0), (2, 1, 1)]).await;
    world
        .change("update sites set location = '{\"type\": \"Point\", \"coordinates\": [10, 50]}' where id = 3")
        .await;
    all.hears(&[(3, 0, 1)]).await;
    world.change("update connectors set status_name = 'Available' where id = 31").await;
    all.hears(&[(3, 1, 1)]).await;
    free_in_europe.hears(&[(3, 1, 1)]).await;
    // Nothing that the map shows; then something without a word to anybody.
    world.change("update connectors set label = 'new' where id = 31").await;
    world.run("update connectors set status_name = 'Reserved' where id = 21").await;
    all.hears(&[(2, 0, 1)]).await;
    free_in_europe.hears(&[(2, 0, 0)]).await;
}

async fn who_comes_back_with_a_cursor_hears_what_he_missed(postgres: &stack::postgres::Postgres) {
    let world = World::new(postgres).await;
    let mut before = world.watch(json!({}), true, None);
    let cursor = before.hears(&[(1, 1, 2), (2, 1, 1), (3, 0, 1), (4, 1, 1)]).await;
    drop(before);

    // This one began first and ends last: a counter or a clock would have passed it by.
    let mut slow = world.app.db.begin().await.unwrap();
    sqlx::query("update connectors set status_name = 'Charging' where id = 21")
        .execute(&mut *slow)
        .await
        .unwrap();
    world.run("update connectors set status_name = 'Available' where id = 31").await;
    let mut between = world.watch(json!({}), true, Some(&cursor));
    let between_cursor = between.hears(&[(3, 1, 1)]).await;
    drop(between);
    slow.commit().await.unwrap();
    world.run("delete from sites where id = 4").await;
    world.run("update connectors set power = 5000 where id = 12").await;

    let (seen, _) = world.watch(json!({}), true, Some(&between_cursor)).hear().await;
    for missed in [(1, 1, 1), (2, 0, 1), (4, 0, 0)] {
        assert!(seen.contains(&missed), "{missed:?} in {seen:?}");
    }
    let mut late = world.watch(json!({}), true, Some(&cursor));
    late.hears(&[(1, 1, 1), (2, 0, 1), (3, 1, 1), (4, 0, 0)]).await;
    world.change("update connectors set status_name = 'Faulted' where id = 31").await;
    late.hears(&[(3, 0, 1)]).await;

    // Elsewhere a mere status is no news.
    let paris = json!({"boundingBox": {"west": 2, "south": 48, "east": 3, "north": 49}});
    let (seen, _) = world.watch(paris, true, Some(&cursor)).hear().await;
    assert!(seen.contains(&(2, 0, 1)) && !seen.iter().any(|(site, ..)| *site == 3), "{seen:?}");
    // A query is never behind, whoever keeps the whole map, and gives a cursor as well.
    for (status, free) in [("Charging", 0), ("Available", 1)] {
        sqlx::query("update connectors set status_name = $1 where id = 31")
            .bind(status)
            .execute(&world.app.db)
            .await
            .unwrap();
        let rows = world.markers(json!({})).await;
        assert_eq!(rows.iter().find(|row| row["siteid"] == 3).unwrap()["available"], free);
    }
    let listed = world.markers(json!({})).await;
    let cursor = listed.last().unwrap()["cursor"].as_str().unwrap().to_owned();
    world.change("update connectors set status_name = 'Available' where id = 31").await;
    let (seen, _) = world.watch(json!({}), true, Some(&cursor)).hear().await;
    assert!(seen.contains(&(3, 1, 1)), "{seen:?}");
}

async fn a_cursor_that_is_none_is_refused_with_advice(postgres: &stack::postgres::Postgres) {
    let world = World::new(postgres).await;
    let cluster = "1.1.1";
    for (filter, after) in [(json!({}), "nonsense"), (json!({}), cluster), (json!({"limit": 1}), cluster)] {
        let event = world.watch(filter, true, Some(after)).event().await;
        let error = &event["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{event}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("subscribe without it") || message.contains("leave one of them out"),
            "{message}"
        );
    }
}

async fn a_site_tells_only_of_its_own_changes(postgres: &stack::postgres::Postgres) {
    let world = World::new(postgres).await;
    let query = "subscription($i: InputFilterSiteDto!) { siteUpdated(input: $i) { site_name connector_type available total } }";
    let input = json!({"i": {"siteId": 1, "connectorTypesSelected": ["Type 2"]}});
    let mut site = Map(world.subscribe(query, input));
    let row = |name: &str, available: i64| {
        json!({"data": {"siteUpdated": [
        {"site_name": name, "connector_type": "Type 2", "available": available, "total": 1}]}})
    };
    assert_eq!(site.event().await, row("Spree", 1));
    // Of another site, of another type, and of nothing that is shown.
    world.change("update connectors set status_name = 'Charging' where id = 21").await;
    world.change("update connectors set status_name = 'Available' where id = 12").await;
    world.change("update connectors set status_name = 'Preparing' where id = 11").await;
    world.change("update sites set name = 'Havel' where id = 1").await;
    assert_eq!(site.event().await, row("Havel", 1));
    world.change("update connectors set status_name = 'Charging' where id = 11").await;
    assert_eq!(site.event().await, row("Havel", 0));
    world.change("delete from connectors where id = 11").await;
    assert_eq!(site.event().await, json!({"data": {"siteUpdated": []}}));
}
