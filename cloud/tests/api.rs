//! The API over a real database: signing in, saving sites, the map, history, and what one must not see or touch.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use cloud::auth;
use serde_json::{Value, json};
use support::Person;
use support::world::{LOGIN, PASSWORD, World};

const SAVE: &str = "mutation($input: CustomSiteCreateInputDto!) { createOrUpdateSiteWithChargePoints(input: $input) { siteId } }";
const MARKERS: &str = "query($input: InputFilterMarkersDto!) { getFilteredMarkers(input: $input) { siteid location available total } }";
const SITE: &str = "query($input: InputFilterSiteDto!) { getFilteredSite(input: $input) {
    site_name site_address connector_type power price available available_ids total } }";

fn site() -> Value {
    let connector = |label: &str, number: u8, kind: &str, power: u8, price: f64| {
        json!({"label": label, "connectorId": number, "connectorTypeName": kind, "connectorTypeId": "1",
               "power": power, "maxPower": 60, "price": price, "priceUnit": "$/kWh"})
    };
    json!({
        "name": "Site Name", "site": "Site", "zip_code": 100_000, "phone_number": "+7923923923", "default_price": 0.25,
        "instant_power": 100, "address": "1 Main St", "location": {"type": "Point", "coordinates": [-122.4, 37.7]},
        "chargepoints": [
            {"chargePointHardwareId": "15", "chargePointName": "chargePoint #1", "power": 100, "siteId": "1", "connectors": [
                connector("A", 1, "Type 1", 7, 0.25), connector("B", 2, "Type 1", 7, 0.25), connector("C", 3, "CCS2", 50, 0.45)]},
            {"chargePointHardwareId": "16", "connectors": [connector("D", 1, "CCS2", 50, 0.45)]},
        ],
    })
}

async fn save(person: &Person, data: Value) -> Value {
    person.get(SAVE, json!({"input": {"data": data}})).await["createOrUpdateSiteWithChargePoints"]["siteId"]
        .clone()
}

fn all_types() -> Value {
    json!(["Type 1", "Type 2", "Tesla", "CCS1", "CCS2", "CHAdeMO"])
}

#[tokio::test]
async fn the_first_call_to_the_last() {
    let world = World::new().await;
    let (owner_id, owner) = world.person("owner", "business-owner").await;
    let (_, stranger) = world.person("stranger", "business-owner").await;
    let (driver_id, driver) = world.person("driver", "driver").await;
    let (_, admin) = world.person("admin", "administrator").await;

    signing_in(&world, &owner, owner_id).await;
    let id = saving(&world, &owner, &stranger, &driver).await;
    the_map(&world, id).await;
    onboarding(&world, id, &owner, &stranger, &driver).await;
    people(&admin, &owner, driver_id).await;
    history(&world, id, &owner, &stranger, &driver, driver_id).await;
    orders(&owner, &stranger, &driver).await;
    live(&world).await;
}

async fn signing_in(world: &World, owner: &Person, owner_id: i64) {
    let me = owner.get("{ me { id username email role } }", json!({})).await;
    assert_eq!(
        me["me"],
        json!({"id": owner_id.to_string(), "username": "owner", "email": null, "role": "business-owner"})
    );
    let (text, code) = owner.refused("{ me { phone } }", json!({})).await;
    assert_eq!(
        (text.as_str(), code.as_str()),
        ("Cannot return null for non-nullable field User.phone.", "INTERNAL_SERVER_ERROR")
    );

    for input in [
        json!({"username": "owner", "password": "wrong password"}),
        json!({"username": "nobody", "password": PASSWORD}),
    ] {
        let (text, code) = world.anybody.refused(LOGIN, json!({"input": input})).await;
        assert_eq!((text.as_str(), code.as_str()), ("Incorrect username or password!", "UNAUTHENTICATED"));
    }
    let (text, code) =
        world.anybody.refused(LOGIN, json!({"input": {"email": "a@b.c", "code": "999999"}})).await;
    assert_eq!((text.as_str(), code.as_str()), ("Incorrect verification code!", "UNAUTHENTICATED"));
    for _ in 0..10 {
        world
            .anybody
            .refused(LOGIN, json!({"input": {"username": "guessed", "password": "wrong password"}}))
            .await;
    }
    let (_, code) = world
        .anybody
        .refused(LOGIN, json!({"input": {"username": "guessed", "password": "wrong password"}}))
        .await;
    assert_eq!(code, "TOO_MANY_REQUESTS");

    let (id, gone) = world.person("gone", "driver").await;
    gone.get("{ me { id } }", json!({})).await;
    sqlx::query("update users set token_version = token_version + 1 where id = $1")
        .bind(id)
        .execute(world.db())
        .await
        .unwrap();
    assert_eq!(gone.refused("{ me { id } }", json!({})).await.1, "UNAUTHENTICATED");
}

async fn saving(world: &World, owner: &Person, stranger: &Person, driver: &Person) -> i64 {
    let id = save(owner, site()).await;
    assert!(id.is_i64(), "a whole number: {id}");
    let snapshot = async || {
        (world.rows("sites").await, world.rows("charge_points").await, world.rows("connectors").await)
    };
    let first = snapshot().await;

    let mut again = site();
    again["id"] = id.clone();
    save(owner, again.clone()).await;
    assert_eq!(snapshot().await, first, "the same input twice changes nothing");

    for thief in [stranger, driver] {
        let (text, _) = thief.refused(SAVE, json!({"input": {"data": again}})).await;
        assert!(
            text == format!("Unable to find SiteEntity with id: {id}") || text.contains("role"),
            "{text}"
        );
    }
    // A charge point of somebody else, by id and by identity; each leaves no orphan behind.
    let (text, _) =
        stranger.refused(SAVE, json!({"input": {"data": {"name": "x", "chargepoints": [{"id": 1}]}}})).await;
    assert_eq!(text, "Unable to find ChargePointEntity with id: 1");
    let (text, code) = stranger
        .refused(
            SAVE,
            json!({"input": {"data": {"name": "x", "chargepoints": [{"chargePointHardwareId": "15"}]}}}),
        )
        .await;
    assert_eq!((text.as_str(), code.as_str()), ("This chargePointHardwareId is taken.", "BAD_USER_INPUT"));
    assert_eq!(snapshot().await, first, "nothing of a refused call is kept");

    for (zone, known) in [("Mars/Olympus", false), ("Europe/Berlin", true)] {
        let answer = owner.ask(SAVE, json!({"input": {"data": {"id": id, "timezone": zone}}})).await;
        assert_eq!(answer.get("errors").is_none(), known, "{answer}");
    }
    save(owner, json!({"id": id, "name": "renamed"})).await;
    let row: (String, String, f64) =
        sqlx::query_as("select name, address, zip_code from sites").fetch_one(world.db()).await.unwrap();
    assert_eq!(row, ("renamed".into(), "1 Main St".into(), 100_000.0), "what is not sent is kept");

    let empty = save(owner, json!({"name": "NoCP", "zip_code": 1, "default_price": 1000})).await;
    assert_ne!(empty, id, "without charge points, and 1000 is a price");
    sqlx::query("delete from sites where id = $1").bind(empty.as_i64()).execute(world.db()).await.unwrap();
    id.as_i64().unwrap()
}

async fn the_map(world: &World, id: i64) {
    sqlx::query("update connectors set status_name = case label when 'A' then 'Available' when 'C' then 'Preparing' else 'Charging' end")
        .execute(world.db()).await.unwrap();
    let markers = async |filter: Value| {
        world.anybody.get(MARKERS, json!({"input": filter})).await["getFilteredMarkers"].take()
    };
    let place = json!({"type": "Point", "coordinates": [-122.4, 37.7]});
    assert_eq!(
        markers(json!({"connectorTypesSelected": all_types()})).await,
        json!([{"siteid": id, "location": place, "available": 2, "total": 4}])
    );
    let half = json!({"connectorTypesSelected": all_types(), "minPrice": 0.25, "maxPrice": 0.25});
    assert_eq!(markers(half).await[0]["total"], 2);
    for nothing in [
        json!({"connectorTypesSelected": []}),
        json!({"connectorTypesSelected": all_types(), "maxPower": null}),
        json!({"connectorTypesSelected": all_types(), "minPower": 51}),
    ] {
        assert_eq!(markers(nothing).await, json!([]));
    }
    let (_, code) =
        world.anybody.refused(MARKERS, json!({"input": {"connectorTypesSelected": "CCS2"}})).await;
    assert_eq!(code, "BAD_USER_INPUT");

    let groups = async |site: Value| {
        let input = json!({"input": {"connectorTypesSelected": all_types(), "siteId": site}});
        world.anybody.get(SITE, input).await["getFilteredSite"].take()
    };
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from connectors order by label").fetch_all(world.db()).await.unwrap();
    assert_eq!(
        groups(json!(id)).await,
        json!([
            {"site_name": "renamed", "site_address": "1 Main St", "connector_type": "CCS2", "power": 50, "price": 0.45,
             "available": 1, "available_ids": [ids[2]], "total": 2},
            {"site_name": "renamed", "site_address": "1 Main St", "connector_type": "Type 1", "power": 7, "price": 0.25,
             "available": 1, "available_ids": [ids[0]], "total": 2},
        ])
    );
    sqlx::query("update connectors set status_name = 'Faulted'").execute(world.db()).await.unwrap();
    assert_eq!(groups(json!(id)).await[0]["available_ids"], Value::Null);
    assert_eq!((groups(json!(93_000)).await, groups(Value::Null).await), (json!([]), json!([])));
}

async fn onboarding(world: &World, id: i64, owner: &Person, stranger: &Person, driver: &Person) {
    let claim = "mutation($id: ID!) { createClaimCode(siteId: $id) { code expiresAt } }";
    let made = owner.get(claim, json!({"id": id})).await;
    assert!(made["createClaimCode"]["code"].as_str().unwrap().len() >= 20);
    assert_eq!(
        stranger.refused(claim, json!({"id": id})).await.0,
        format!("Unable to find SiteEntity with id: {id}")
    );
    assert_eq!(driver.refused(claim, json!({"id": id})).await.1, "FORBIDDEN");

    let provision = "mutation($id: ID!, $stations: [StationInput!]!) { provisionStations(siteId: $id, stations: $stations) { identity password } }";
    let stations = json!([{"identity": "15"}, {"identity": "NEW-1", "password": "0123456789abcdef"}]);
    let made = owner.get(provision, json!({"id": id, "stations": stations})).await;
    assert_eq!(made["provisionStations"][1], json!({"identity": "NEW-1", "password": "0123456789abcdef"}));
    let stored: Vec<String> = sqlx::query_scalar(
        "select credential from charge_points where credential is not null order by credential",
    )
    .fetch_all(world.db())
    .await
    .unwrap();
    assert!(stored[0].starts_with("$argon2id$") && stored[1].starts_with("sha256$"), "{stored:?}");
    stranger.refused(provision, json!({"id": id, "stations": stations})).await;

    let exists = "query($id: String) { checkChargerIdExist(input: {chargerId: $id}) { exist } }";
    assert_eq!(driver.get(exists, json!({"id": "15"})).await["checkChargerIdExist"]["exist"], true);
    assert_eq!(driver.get(exists, json!({"id": "nope"})).await["checkChargerIdExist"]["exist"], false);
    assert_eq!(world.anybody.refused(exists, json!({"id": "15"})).await.1, "UNAUTHENTICATED");
}

async fn people(admin: &Person, owner: &Person, driver: i64) {
    let create = "mutation($input: CreateUserInput!) { createUser(input: $input) { id role } }";
    let input = json!({"input": {"email": "new@example.com", "password": PASSWORD, "role": "end-user"}});
    assert_eq!(owner.refused(create, input.clone()).await.1, "FORBIDDEN");
    assert_eq!(admin.get(create, input.clone()).await["createUser"]["role"], "driver");
    assert_eq!(admin.refused(create, input).await.1, "BAD_USER_INPUT");

    let add = "mutation($user: ID, $token: String!) { addIdToken(userId: $user, token: $token) { id userId status } }";
    let given = admin.get(add, json!({"user": driver, "token": "CARD-1"})).await;
    assert_eq!(given["addIdToken"]["userId"], driver);
    assert_eq!(
        admin.get(add, json!({"user": driver, "token": "card-1"})).await,
        given,
        "the same again changes nothing"
    );
    assert_eq!(owner.refused(add, json!({"token": "CARD-1"})).await.1, "BAD_USER_INPUT");
    assert_eq!(
        owner.refused(add, json!({"user": driver, "token": "X"})).await.0,
        format!("Unable to find UserEntity with id: {driver}")
    );
}

async fn history(
    world: &World,
    site: i64,
    owner: &Person,
    stranger: &Person,
    driver: &Person,
    driver_id: i64,
) {
    sqlx::query(
        "with one as (
            insert into sessions (id, gateway_id, site_id, connector_id, station, evse, tx_ref, user_id, started_at, meter_start,
                                  stopped_at, meter_stop, energy_wh)
            select gen_random_uuid(), gen_random_uuid(), $1, (select min(id) from connectors), '15', 1, '7', $2,
                   '2026-11-22T16:33:15.092Z', 0, '2026-11-22T17:33:15.092Z', 12500, 12500 returning id)
         insert into bills (session_id, currency, total_micros, lines)
         select id, 'USD', 3120000, '[{\"dimension\": \"Energy\", \"quantity\": 12500, \"price_micros\": 250000, \"amount_micros\": 3120000}]' from one",
    )
    .bind(site).bind(driver_id).execute(world.db()).await.unwrap();
    sqlx::query(
        "insert into sessions (id, gateway_id, site_id, station, evse, tx_ref, user_id, started_at, meter_start)
         values (gen_random_uuid(), gen_random_uuid(), $1, '15', 1, '8', $2, '2026-11-22T17:33:15.092Z', 12500)",
    )
    .bind(site).bind(driver_id).execute(world.db()).await.unwrap();

    let own = "query userCharginHistory($input: ChargingHistoryInput!){ userChargingHistory(input:$input){ count data{ id transactionId chargePointHardwareId connectorId userId meterStart meterStop session_start session_end } } }";
    let page = driver.get(own, json!({"input": {"paging": {"limit": 10, "offset": 0}}})).await;
    assert_eq!(
        page["userChargingHistory"],
        json!({"count": 2, "data": [
            {"id": "2", "transactionId": "8", "chargePointHardwareId": "15", "connectorId": 1, "userId": driver_id,
             "meterStart": 12.5, "meterStop": 0, "session_start": "2026-11-22T17:33:15.092Z", "session_end": null},
            {"id": "1", "transactionId": "7", "chargePointHardwareId": "15", "connectorId": 1, "userId": driver_id,
             "meterStart": 0, "meterStop": 12.5, "session_start": "2026-11-22T16:33:15.092Z", "session_end": "2026-11-22T17:33:15.092Z"},
        ]})
    );
    assert_eq!(driver.get(own, json!({"input": {}})).await["userChargingHistory"]["count"], 2);
    let second = driver.get(own, json!({"input": {"paging": {"limit": 1, "offset": 1}}})).await;
    assert_eq!(second["userChargingHistory"]["data"][0]["id"], "1");

    let all = "query chargingHistory($filter: ChargingHistoryFilter!, $sorting: [ChargingHistorySort!]) {
        chargingHistories(filter: $filter, sorting: $sorting) { siteAddress session_start connectorType powerSpend moneySpent } }";
    let asked =
        json!({"filter": {"userId": {"eq": driver_id}}, "sorting": [{"field": "id", "direction": "DESC"}]});
    for person in [driver, owner] {
        let rows = person.get(all, asked.clone()).await["chargingHistories"].take();
        assert_eq!(
            rows[0],
            json!({"siteAddress": "1 Main St", "session_start": "2026-11-22T17:33:15.092Z",
            "connectorType": null, "powerSpend": null, "moneySpent": null})
        );
        assert_eq!(
            rows[1],
            json!({"siteAddress": "1 Main St", "session_start": "2026-11-22T16:33:15.092Z",
            "connectorType": "Type 1", "powerSpend": 12.5, "moneySpent": 3.12})
        );
    }
    assert_eq!(stranger.get(all, asked).await["chargingHistories"], json!([]));
    for (filter, count) in [
        (json!({"powerSpend": {"between": {"lower": 12.5, "upper": 13}}, "moneySpent": {"eq": 3.12}}), 1),
        (json!({"session_start": {"gt": "2026-11-22T17:00:00Z"}}), 1),
        (
            json!({"id": {"in": [1, "2"]}, "siteAddress": {"iLike": "1 MAIN%"}, "session_end": {"is": true}}),
            1,
        ),
        (json!({"or": [{"connectorType": {"eq": "Type 1"}}, {"transactionId": {"eq": "8"}}]}), 2),
    ] {
        let rows = driver.get(all, json!({"filter": filter})).await;
        assert_eq!(rows["chargingHistories"].as_array().unwrap().len(), count, "{filter}");
    }

    let one = "query($id: ID!) { session(id: $id) { status energyWh bill { currency total lines { kind quantity unit price amount } } } }";
    assert_eq!(
        owner.get(one, json!({"id": "1"})).await["session"],
        json!({"status": "Completed", "energyWh": 12500, "bill": {"currency": "USD", "total": "3.12", "lines": [
            {"kind": "energy", "quantity": 12500, "unit": "Wh", "price": "0.25", "amount": "3.12"}]}})
    );
    assert_eq!(stranger.get(one, json!({"id": "1"})).await["session"], Value::Null);
}

async fn orders(owner: &Person, stranger: &Person, driver: &Person) {
    let reset = "mutation($id: ID!) { resetStation(chargePointId: $id) { id state outcome } }";
    assert_eq!(
        owner.refused(reset, json!({"id": "1"})).await,
        ("The site has no gateway yet.".into(), "BAD_USER_INPUT".into())
    );
    assert_eq!(
        stranger.refused(reset, json!({"id": "1"})).await.0,
        "Unable to find ChargePointEntity with id: 1"
    );
    assert_eq!(driver.refused(reset, json!({"id": "1"})).await.1, "FORBIDDEN");

    let start = "mutation($id: Float) { startTransactionByUser(input: {id: $id}) { status } }";
    let stop = "mutation($id: Float) { stopTransactionByUser(input: {id: $id}) { status } }";
    assert_eq!(driver.get(start, json!({"id": 1})).await["startTransactionByUser"]["status"], "Offline");
    assert_eq!(
        driver.refused(start, json!({"id": 99_000})).await.0,
        "Unable to find ConnectorEntity with id: 99000"
    );
    assert!(stranger.refused(stop, json!({"id": 1})).await.0.contains("no running session of yours"));
}

async fn live(world: &World) {
    let schema = cloud::graphql::Api::new(world.app.clone()).unwrap();
    let incoming = serde_json::from_value(json!({
        "query": "subscription($input: SubscribeConnectorStatusInputDto!) { subsribeConnectorStatus(input: $input) { status } }",
        "variables": {"input": {"connectorId": 1}},
    }));
    let auth = std::sync::Arc::new(auth::Auth::load(&world.app.config, world.app.db.clone()).await.unwrap());
    let caller = auth::Caller::new(auth.clone(), None, std::net::IpAddr::from([127, 0, 0, 1]));
    let mut events = schema.subscribe(incoming.unwrap(), caller);
    assert_eq!(
        heard(&mut events).await,
        r#"{"data":{"subsribeConnectorStatus":{"status":"Faulted"}}}"#,
        "a snapshot first"
    );
    sqlx::query("update connectors set status_name = 'Charging', updated_at = now() where id = 1")
        .execute(world.db())
        .await
        .unwrap();
    world.app.live.hint(cloud::live::Hint { connectors: vec![1], ..Default::default() });
    assert_eq!(heard(&mut events).await, r#"{"data":{"subsribeConnectorStatus":{"status":"Charging"}}}"#);

    let watch = |person: u8| {
        let incoming = serde_json::from_value(json!({
            "query": "subscription($i: InputFilterMarkersDto!) { markerUpdated(input: $i) { available total } }",
            "variables": {"i": {"connectorTypesSelected": all_types()}},
        }));
        let caller = auth::Caller::new(auth.clone(), None, std::net::IpAddr::from([10, 0, 0, person]));
        schema.subscribe(incoming.unwrap(), caller)
    };
    let (mut first, mut second) = (watch(1), watch(2));
    for available in [0, 1] {
        let markers = format!(r#"{{"data":{{"markerUpdated":[{{"available":{available},"total":4}}]}}}}"#);
        assert_eq!(heard(&mut first).await, markers);
        assert_eq!(heard(&mut second).await, markers);
        sqlx::query("update connectors set status_name = 'Available', updated_at = now() where id = 1")
            .execute(world.db())
            .await
            .unwrap();
        world.app.live.hint(cloud::live::Hint { connectors: vec![1], ..Default::default() });
    }
}

async fn heard(events: &mut futures_util::stream::BoxStream<'static, cloud::graphql::Event>) -> String {
    let event = tokio::time::timeout(Duration::from_secs(5), futures_util::StreamExt::next(events)).await;
    match event.expect("in time") {
        Some(cloud::graphql::Event::Next(text)) => text.to_string(),
        other => panic!("{other:?}"),
    }
}
