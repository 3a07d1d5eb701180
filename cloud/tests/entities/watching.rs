//! What is heard of changes: by whom, in which order, on every replica, and after a while away.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cloud::graphql::{Api, Event};
use cloud::{App, auth, live};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};

use crate::Cast;
use crate::support::{Person, api};

/// A replica that one watches at.
struct Replica {
    app: App,
    api: Api,
    auth: Arc<auth::Auth>,
}

struct Ear(BoxStream<'static, Event>);

impl Replica {
    async fn new(cast: &Cast) -> Self {
        let (_, app) = api(cast.world.app.config.database_url.expose()).await;
        let auth = Arc::new(auth::Auth::load(&app.config, app.db.clone()).await.unwrap());
        Self { api: Api::new(app.clone()).unwrap(), app, auth }
    }

    fn watch(&self, who: &Person, query: &str, variables: Value) -> Ear {
        let incoming = serde_json::from_value(json!({"query": query, "variables": variables})).unwrap();
        let caller = auth::Caller::new(self.auth.clone(), who.token.clone(), IpAddr::from([127, 0, 0, 1]));
        Ear(self.api.subscribe(incoming, caller))
    }
}

impl Ear {
    async fn hear(&mut self) -> Value {
        let event = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.expect("in time");
        match event {
            Some(Event::Next(text) | Event::Refused(text)) => serde_json::from_str(&text).unwrap(),
            None => Value::Null,
        }
    }

    /// The data of what is heard, and the cursor.
    async fn data(&mut self) -> (Value, String) {
        let mut answer = self.hear().await;
        assert!(answer.get("errors").is_none(), "{answer}");
        let cursor = answer["extensions"]["cursor"].as_str().unwrap_or_default().to_owned();
        (answer["data"].take(), cursor)
    }
}

pub(crate) async fn all(cast: &Cast) {
    let replica = Replica::new(cast).await;
    rows(cast, &replica).await;
    numbers(cast, &replica).await;
    after_a_while_away(cast, &replica).await;
    stations(cast, &replica).await;
    people(cast, &replica).await;
    the_end_of_a_token(cast, &replica).await;
}

async fn now(person: &Person) -> Value {
    person.get("{ changeCursor }", json!({})).await["changeCursor"].take()
}

async fn make_site(person: &Person, name: &str) -> i64 {
    let create = "mutation($name: String!) { createOneSite(input: {site: {name: $name, site: \"\", site_area: \"\", address: \"\",
        location: {type: \"Point\", coordinates: [1, 2]}, zip_code: 1, phone_number: \"\", default_price: 0.5, information: \"\",
        dynamic_asset: \"\", asset_type: \"\", instant_power: 1, battery: \"\"}}) { id } }";
    let made = person.get(create, json!({"name": name})).await;
    made["createOneSite"]["id"].as_str().unwrap().parse().unwrap()
}

async fn rename(person: &Person, id: i64, name: &str) {
    let update = "mutation($id: ID!, $name: String!) { updateOneSite(input: {id: $id, update: {name: $name}}) { id } }";
    person.get(update, json!({"id": id, "name": name})).await;
}

async fn delete(person: &Person, id: i64) {
    person.get("mutation($id: ID!) { deleteOneSite(input: {id: $id}) { id } }", json!({"id": id})).await;
}

async fn rows(cast: &Cast, replica: &Replica) {
    let after = json!({"after": now(&cast.owner).await});
    let created =
        "subscription($after: ID) { createdSite(after: $after) { id name location connectors { id } } }";
    let (mut own, mut strange, mut all) = (
        replica.watch(&cast.owner, created, after.clone()),
        replica.watch(&cast.stranger, created, after.clone()),
        replica.watch(&cast.admin, created, after.clone()),
    );
    let updated = "subscription($after: ID) { updatedOneSite(after: $after, input: {filter: {name: {like: \"x%\"}}}) { name } }";
    let deleted = "subscription($after: ID) { deletedOneSite(after: $after) { id name ownerId __typename } }";
    let mut renamed = replica.watch(&cast.owner, updated, after.clone());
    let mut gone = replica.watch(&cast.owner, deleted, after.clone());

    let id = make_site(&cast.owner, "one").await;
    rename(&cast.owner, id, "not this").await;
    rename(&cast.owner, id, "xyz").await;
    let place = json!({"type": "Point", "coordinates": [1, 2]});
    let (heard, cursor) = own.data().await;
    assert_eq!(
        heard,
        json!({"createdSite": {"id": id.to_string(), "name": "one", "location": place, "connectors": []}})
    );
    assert!(cursor.parse::<i64>().unwrap() > 0, "{cursor}");
    assert_eq!(renamed.data().await.0, json!({"updatedOneSite": {"name": "xyz"}}));
    delete(&cast.owner, id).await;
    assert_eq!(
        gone.data().await.0,
        json!({"deletedOneSite": {"id": id.to_string(), "name": "xyz", "ownerId": cast.owner_id, "__typename": "SiteDeleteResponse"}})
    );

    let theirs = make_site(&cast.stranger, "two").await;
    assert_eq!(strange.data().await.0["createdSite"]["id"], theirs.to_string(), "nothing of what is not his");
    assert_eq!(all.data().await.0["createdSite"]["name"], "one");
    assert_eq!(all.data().await.0["createdSite"]["name"], "two");
    delete(&cast.stranger, theirs).await;
    let mut nobody = replica.watch(&cast.world.anybody, created, json!({}));
    let answer = nobody.hear().await;
    assert_eq!(
        (&answer["errors"][0]["message"], &answer["errors"][0]["path"]),
        (&json!("Unauthorized"), &json!(["createdSite"]))
    );
}

async fn numbers(cast: &Cast, replica: &Replica) {
    let after = json!({"after": now(&cast.owner).await});
    let updated = "subscription($after: ID) { updatedManySites(after: $after) { updatedCount __typename } }";
    let deleted = "subscription($after: ID) { deletedManySites(after: $after) { n: deletedCount } }";
    let (mut changed, mut gone) = (
        replica.watch(&cast.owner, updated, after.clone()),
        replica.watch(&cast.owner, deleted, after.clone()),
    );
    let mut strange = replica.watch(&cast.stranger, updated, after);
    for name in ["n1", "n2", "n3"] {
        make_site(&cast.owner, name).await;
    }
    let own = make_site(&cast.stranger, "n4").await;
    let many = "mutation { updateManySites(input: {filter: {name: {like: \"n_\"}}, update: {site_area: \"z\"}}) { updatedCount } }";
    cast.owner.get(many, json!({})).await;
    assert_eq!(
        changed.data().await.0["updatedManySites"],
        json!({"updatedCount": 3, "__typename": "UpdateManyResponse"})
    );
    cast.stranger.get(many, json!({})).await;
    assert_eq!(strange.data().await.0["updatedManySites"]["updatedCount"], 1);
    delete(&cast.stranger, own).await;
    cast.owner
        .get(
            "mutation { deleteManySites(input: {filter: {name: {like: \"n_\"}}}) { deletedCount } }",
            json!({}),
        )
        .await;
    assert_eq!(gone.data().await.0["deletedManySites"], json!({"n": 3}));
}

async fn after_a_while_away(cast: &Cast, replica: &Replica) {
    let created = "subscription($after: ID) { createdSite(after: $after) { name } }";
    let from = json!({"after": now(&cast.owner).await});
    let id = make_site(&cast.owner, "before").await;
    let (heard, cursor) = replica.watch(&cast.owner, created, from).data().await;
    assert_eq!(heard["createdSite"]["name"], "before");
    // Gone, and so is the replica; meanwhile things happen, one of them to something that is not there any more.
    let mut ids = vec![id];
    for name in ["r1", "r2", "r3"] {
        ids.push(make_site(&cast.owner, name).await);
    }
    delete(&cast.owner, ids[2]).await;
    let another = Replica::new(cast).await;
    let mut again = another.watch(&cast.owner, created, json!({"after": cursor}));
    for name in ["r1", "r2", "r3"] {
        assert_eq!(again.data().await.0["createdSite"]["name"], name, "nothing is missed, in order");
    }
    ids.push(make_site(&cast.owner, "live").await);
    assert_eq!(again.data().await.0["createdSite"]["name"], "live");
    for id in ids {
        cast.owner
            .ask("mutation($id: ID!) { deleteOneSite(input: {id: $id}) { id } }", json!({"id": id}))
            .await;
    }
    let mut wrong = another.watch(&cast.owner, created, json!({"after": "x"}));
    assert_eq!(wrong.hear().await["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
}

async fn stations(cast: &Cast, replica: &Replica) {
    let db = cast.world.db();
    let (id, point): (i64, i64) =
        sqlx::query_as("select id, charge_point_id from connectors where label = 'B'")
            .fetch_one(db)
            .await
            .unwrap();
    let from = json!({"after": now(&cast.owner).await});
    let status = "subscription($after: ID) { updatedOneConnector(after: $after) { label statusName price sites { name } } }";
    let presence =
        "subscription($after: ID) { updatedOneChargePoint(after: $after) { chargePointHardwareId status } }";
    let mut own = replica.watch(&cast.owner, status, from.clone());
    let mut other = replica.watch(&cast.stranger, status, from.clone());
    let mut points = replica.watch(&cast.owner, presence, from.clone());
    // Begun once a change of a person was heard.
    let update = "mutation($id: ID!, $price: Float) { updateOneConnector(input: {id: $id, update: {price: $price}}) { id } }";
    cast.owner.get(update, json!({"id": id, "price": 0.3})).await;
    assert_eq!(
        own.data().await.0["updatedOneConnector"],
        json!({"label": "B", "statusName": "Faulted", "price": 0.3, "sites": [{"name": "Full"}]})
    );
    let rename =
        "mutation($id: ID!) { updateOneChargePoint(input: {id: $id, update: {owner: \"we\"}}) { id } }";
    cast.owner.get(rename, json!({"id": point})).await;
    assert_eq!(points.data().await.0["updatedOneChargePoint"]["status"], Value::Null);

    sqlx::query("update connectors set status_name = 'Charging', status = 'Charging', updated_at = now() where id = $1")
        .bind(id).execute(db).await.unwrap();
    sqlx::query("update charge_points set status = 'Connected', updated_at = now() where id = $1")
        .bind(point)
        .execute(db)
        .await
        .unwrap();
    replica.app.live.hint(live::Hint { connectors: vec![id], ..live::Hint::default() });
    let (heard, cursor) = own.data().await;
    assert_eq!((&heard["updatedOneConnector"]["statusName"], cursor.as_str()), (&json!("Charging"), ""));
    assert_eq!(
        points.data().await.0["updatedOneChargePoint"],
        json!({"chargePointHardwareId": "15", "status": "Connected"})
    );

    // A person's change of a status is told once, and then the next thing.
    let set = "mutation($id: ID!, $s: String) { updateOneConnector(input: {id: $id, update: {statusName: $s}}) { id } }";
    for status in ["Unavailable", "Faulted"] {
        cast.owner.get(set, json!({"id": id, "s": status})).await;
        let (heard, cursor) = own.data().await;
        assert_eq!((&heard["updatedOneConnector"]["statusName"], cursor.is_empty()), (&json!(status), false));
    }
    // Who comes back is told how things are that changed meanwhile.
    drop(own);
    sqlx::query("update connectors set status_name = 'Preparing', status_at = now() where id = $1")
        .bind(id)
        .execute(db)
        .await
        .unwrap();
    let mut again = replica.watch(&cast.owner, status, json!({"after": now(&cast.owner).await}));
    assert_eq!(again.data().await.0["updatedOneConnector"]["statusName"], "Preparing");
    sqlx::query("update connectors set price = 0.25, status_name = 'Faulted' where id = $1")
        .bind(id)
        .execute(db)
        .await
        .unwrap();
    sqlx::query("update charge_points set status = null, owner = null").execute(db).await.unwrap();

    let theirs = make_site(&cast.stranger, "own").await;
    let point = "mutation($id: Float!) { createOneChargePoint(input: {chargePoint: {siteId: $id}}) { id } }";
    let point = cast.stranger.get(point, json!({"id": theirs})).await["createOneChargePoint"]["id"].take();
    let point: i64 = point.as_str().unwrap().parse().unwrap();
    let made = "mutation($p: Float!, $s: Float!) { createOneConnector(input: {connector: {label: \"own\", chargePointId: $p, siteId: $s}}) { id } }";
    let id =
        cast.stranger.get(made, json!({"p": point, "s": theirs})).await["createOneConnector"]["id"].take();
    cast.stranger.get(update, json!({"id": id, "price": 1})).await;
    assert_eq!(
        other.data().await.0["updatedOneConnector"]["label"],
        "own",
        "of the others' nothing was heard"
    );
    delete(&cast.stranger, theirs).await;
}

async fn people(cast: &Cast, replica: &Replica) {
    let from = json!({"after": now(&cast.owner).await});
    let updated = "subscription($after: ID) { updatedOneUser(after: $after) { username city role } }";
    let (mut own, mut all) =
        (replica.watch(&cast.owner, updated, from.clone()), replica.watch(&cast.admin, updated, from));
    let update =
        "mutation($id: ID!, $city: String) { updateOneUser(input: {id: $id, update: {city: $city}}) { id } }";
    cast.stranger.get(update, json!({"id": cast.owner_id + 1, "city": "A"})).await;
    cast.admin.get(update, json!({"id": cast.owner_id, "city": "B"})).await;
    let heard = own.data().await.0;
    assert_eq!(
        heard["updatedOneUser"],
        json!({"username": "owner", "city": "B", "role": "business-owner"}),
        "oneself, whoever did it"
    );
    assert_eq!(all.data().await.0["updatedOneUser"]["city"], "A");
}

async fn the_end_of_a_token(cast: &Cast, replica: &Replica) {
    let (id, person) = cast.world.person("leaving", "business-owner").await;
    let created = "subscription($after: ID) { createdSite(after: $after) { name } }";
    let mut ear = replica.watch(&person, created, json!({"after": now(&person).await}));
    make_site(&person, "a").await;
    assert_eq!(ear.data().await.0["createdSite"]["name"], "a");
    make_site(&person, "b").await;
    sqlx::query("update users set token_version = token_version + 1 where id = $1")
        .bind(id)
        .execute(cast.world.db())
        .await
        .unwrap();
    let answer = ear.hear().await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{answer}");
    assert_eq!(ear.hear().await, Value::Null);
    sqlx::query("delete from sites where owner_id = $1").bind(id).execute(cast.world.db()).await.unwrap();
    sqlx::query("delete from users where id = $1").bind(id).execute(cast.world.db()).await.unwrap();
}
