//! Making, changing, deleting and linking; what follows from it; and who may not.

use serde_json::{Value, json};

use crate::Cast;
use crate::support::Person;

pub(crate) async fn all(cast: &Cast) {
    saving(cast).await;
    creating(cast).await;
    parents(cast).await;
    updating(cast).await;
    many(cast).await;
    owners_and_organizations(cast).await;
    linking(cast).await;
    connectors_stay_with_their_charge_points(cast).await;
    prices(cast).await;
    deleting(cast).await;
    organizations(cast).await;
    people(cast).await;
}

fn site(name: &str) -> Value {
    json!({"name": name, "site": "s", "site_area": "a", "location": {"type": "Point", "coordinates": [10, 20]},
           "address": "addr", "zip_code": 12345, "phone_number": "+1", "default_price": 0.3, "information": "info",
           "dynamic_asset": "Yes", "asset_type": "t", "instant_power": 10, "battery": "none"})
}

async fn make(person: &Person, kind: &str, input: Value) -> i64 {
    let one = format!("{}{}", kind[..1].to_lowercase(), &kind[1..]);
    let query = format!("mutation($i: CreateOne{kind}Input!) {{ createOne{kind}(input: $i) {{ id }} }}");
    let made = person.get(&query, json!({"i": {one: input}})).await;
    made[format!("createOne{kind}")]["id"].as_str().unwrap().parse().unwrap()
}

async fn update(person: &Person, kind: &str, id: i64, update: Value) -> Value {
    let query = format!("mutation($i: UpdateOne{kind}Input!) {{ updateOne{kind}(input: $i) {{ id }} }}");
    person.ask(&query, json!({"i": {"id": id, "update": update}})).await
}

fn message(answer: &Value) -> &str {
    answer["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

async fn row(cast: &Cast, sql: &str, id: i64) -> Value {
    let sql = format!("select to_jsonb(row) from ({sql}) row");
    let row: Option<Value> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(cast.world.db()).await.unwrap();
    row.unwrap_or_default()
}

async fn log(cast: &Cast, entity: &str) -> Vec<(String, Option<String>, Value, Value)> {
    sqlx::query_as(
        "select action, row_id, coalesce(before, 'null'), coalesce(after, 'null') from audit where entity = $1 order by id",
    )
    .bind(entity)
    .fetch_all(cast.world.db())
    .await
    .unwrap()
}

/// What other operations change of the entities is in the log as well.
async fn saving(cast: &Cast) {
    let all = async || {
        (
            log(cast, "Site").await.len(),
            log(cast, "ChargePoint").await.len(),
            log(cast, "Connector").await.len(),
        )
    };
    let before = all().await;
    let mut input = crate::full_site();
    input["id"] = json!(cast.sites[0]);
    let save =
        async |input: &Value| drop(cast.owner.get(crate::SAVE, json!({"input": {"data": input}})).await);
    save(&input).await;
    input["chargepoints"][1]["connectors"][0]["power"] = json!(55);
    save(&input).await;
    let entry = log(cast, "Connector").await.pop().unwrap();
    assert_eq!((entry.0.as_str(), &entry.2["power"], &entry.3["power"]), ("update", &json!(50), &json!(55)));
    input["chargepoints"][1]["connectors"][0]["power"] = json!(50);
    save(&input).await;
    assert_eq!(all().await, (before.0, before.1, before.2 + 2), "what changed, and nothing else");
    let made = log(cast, "Site").await;
    assert!(made.iter().any(|entry| entry.0 == "create" && entry.3["name"] == "Full"));
}

async fn creating(cast: &Cast) {
    let owner = &cast.owner;
    let create = "mutation($i:CreateOneSiteInput!){ createOneSite(input:$i){ id name ownerId location default_price zip_code battery connectors { id } } }";
    let made = owner.get(create, json!({"i": {"site": site("S2")}})).await["createOneSite"].take();
    assert_eq!(
        (&made["name"], &made["ownerId"], &made["default_price"], &made["connectors"]),
        (&json!("S2"), &json!(cast.owner_id), &json!(0.3), &json!([]))
    );
    let entry = log(cast, "Site").await.pop().unwrap();
    assert_eq!((entry.0.as_str(), &json!(entry.1), &entry.2), ("create", &made["id"], &Value::Null));
    assert_eq!((&entry.3["name"], &entry.3["ownerId"]), (&json!("S2"), &json!(cast.owner_id)));

    let mut dear = site("S3");
    dear["default_price"] = json!(1000);
    assert_eq!(owner.get(create, json!({"i": {"site": dear}})).await["createOneSite"]["default_price"], 1000);
    dear["default_price"] = json!(1_000_000);
    let (text, code) = owner.refused(create, json!({"i": {"site": dear}})).await;
    assert_eq!(
        (text.as_str(), code.as_str()),
        ("default_price must be a price, from 0 to less than a million.", "BAD_USER_INPUT")
    );
    assert_eq!(cast.driver.refused(create, json!({"i": {"site": site("S")}})).await.1, "FORBIDDEN");
    assert_eq!(
        cast.world.anybody.refused(create, json!({"i": {"site": site("S")}})).await.1,
        "UNAUTHENTICATED"
    );

    let some = "mutation($i:CreateManySitesInput!){ createManySites(input:$i){ name } }";
    let made = owner.get(some, json!({"i": {"sites": [site("M2"), site("M1")]}})).await;
    assert_eq!(made["createManySites"], json!([{"name": "M2"}, {"name": "M1"}]));
    let mut broken = site("M4");
    broken["location"] = json!({"type": "Point", "coordinates": ["x", "y"]});
    owner.refused(some, json!({"i": {"sites": [site("M3"), broken]}})).await;
    let left = owner.get("{ sitesPage(filter: {name: {like: \"M_\"}}) { totalCount } }", json!({})).await;
    assert_eq!(left["sitesPage"]["totalCount"], 2, "all of it or nothing");
}

async fn parents(cast: &Cast) {
    let (owner, stranger) = (&cast.owner, &cast.stranger);
    let theirs = make(stranger, "Site", site("theirs")).await;
    let create = "mutation($i:CreateOneChargePointInput!){ createOneChargePoint(input:$i){ id status power public siteId } }";
    let input = |site: i64| json!({"i": {"chargePoint": {"chargePointHardwareId": "CP-1", "siteId": site}}});
    let (text, _) = owner.refused(create, input(theirs)).await;
    assert_eq!(text, format!("Unable to find SiteEntity with id: {theirs}"));
    let made = owner.get(create, input(cast.sites[1])).await["createOneChargePoint"].take();
    assert_eq!(
        (&made["power"], &made["public"], &made["siteId"]),
        (&json!(0), &json!(true), &json!(cast.sites[1]))
    );
    let charge_point: i64 = made["id"].as_str().unwrap().parse().unwrap();
    let (text, code) = owner.refused(create, input(cast.sites[0])).await;
    assert_eq!((text.as_str(), code.as_str()), ("This chargePointHardwareId is taken.", "BAD_USER_INPUT"));

    let create = "mutation($i:CreateOneConnectorInput!){ createOneConnector(input:$i){ id connectorId statusName priceUnit chargePointHardwareId chargePoints { id } } }";
    let input = |charge_point: i64, site: i64| json!({"i": {"connector": {"label": "N", "price": 0.1, "power": 11, "chargePointId": charge_point, "siteId": site}}});
    for number in [1, 2] {
        let made = owner.get(create, input(charge_point, cast.sites[1])).await["createOneConnector"].take();
        assert_eq!(
            (&made["connectorId"], &made["statusName"], &made["chargePointHardwareId"], &made["priceUnit"]),
            (&json!(number), &json!("Faulted"), &json!("CP-1"), &json!("$/kWh"))
        );
        assert_eq!(made["chargePoints"], json!([{"id": charge_point.to_string()}]));
    }
    assert!(owner.refused(create, input(charge_point, cast.sites[0])).await.0.contains("is at site"));
    let (text, _) = stranger.refused(create, input(charge_point, theirs)).await;
    assert_eq!(text, format!("Unable to find ChargePointEntity with id: {charge_point}"));
    let (text, _) = stranger.refused(create, input(charge_point, cast.sites[1])).await;
    assert_eq!(text, format!("Unable to find SiteEntity with id: {}", cast.sites[1]));
}

async fn updating(cast: &Cast) {
    let (owner, id) = (&cast.owner, cast.sites[1]);
    let update_one = "mutation($i:UpdateOneSiteInput!){ updateOneSite(input:$i){ id name address } }";
    let changed =
        owner.get(update_one, json!({"i": {"id": id, "update": {"name": "renamed", "address": null}}})).await;
    assert_eq!(changed["updateOneSite"], json!({"id": id.to_string(), "name": "renamed", "address": null}));
    let entry = log(cast, "Site").await.pop().unwrap();
    assert_eq!(
        (entry.0.as_str(), &entry.2["name"], &entry.3["name"]),
        ("update", &json!("Empty"), &json!("renamed"))
    );

    let before = (row(cast, "select * from sites where id = $1", id).await, log(cast, "Site").await.len());
    update(owner, "Site", id, json!({"name": "renamed"})).await;
    update(owner, "Site", id, json!({})).await;
    let after = (row(cast, "select * from sites where id = $1", id).await, log(cast, "Site").await.len());
    assert_eq!(before, after, "what changes nothing leaves no trace");

    for other in [&cast.stranger, &cast.owner] {
        let id = if std::ptr::eq(other, &cast.owner) { 999_999 } else { id };
        let answer = update(other, "Site", id, json!({"name": "stolen"})).await;
        assert_eq!(message(&answer), format!("Unable to find SiteEntity with id: {id}"));
        assert_eq!(
            (&answer["data"], &answer["errors"][0]["extensions"]["status"]),
            (&Value::Null, &json!(404))
        );
        assert_eq!(answer["errors"][0]["path"], json!(["updateOneSite"]));
    }
    assert_eq!(
        message(&update(owner, "Site", id, json!({"id": "5"})).await),
        "Id cannot be specified when updating"
    );
    assert_eq!(
        message(&update(owner, "Site", id, json!({"battery": null})).await),
        "battery cannot be null."
    );
    // What the server keeps may be sent back, and is not written.
    let read = "query { chargePoints(filter: {chargePointHardwareId: {eq: \"15\"}}) { id created_at } }";
    let read = owner.get(read, json!({})).await["chargePoints"][0].take();
    let id: i64 = read["id"].as_str().unwrap().parse().unwrap();
    let answer = update(
        owner,
        "ChargePoint",
        id,
        json!({"created_at": "2001-01-01T00:00:00Z", "deleted_at": "2026-01-01T00:00:00Z"}),
    )
    .await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let now = row(cast, "select created_at > '2020-01-01' as kept, deleted_at is not null as marked from charge_points where id = $1", id).await;
    assert_eq!(now, json!({"kept": true, "marked": true}));
    let status = json!({"statusName": "Unavailable", "deleted_at": null});
    let connector: i64 = sqlx::query_scalar("select id from connectors where label = 'A'")
        .fetch_one(cast.world.db())
        .await
        .unwrap();
    assert!(update(owner, "Connector", connector, status).await.get("errors").is_none());
    assert_eq!(
        row(cast, "select status_name from connectors where id = $1", connector).await["status_name"],
        "Unavailable"
    );
}

async fn many(cast: &Cast) {
    let all = "mutation($i:UpdateManySitesInput!){ updateManySites(input:$i){ updatedCount __typename } }";
    let input = json!({"i": {"filter": {"name": {"like": "M_"}}, "update": {"site_area": "y"}}});
    assert_eq!(
        cast.owner.get(all, input.clone()).await["updateManySites"],
        json!({"updatedCount": 2, "__typename": "UpdateManyResponse"})
    );
    assert_eq!(cast.stranger.get(all, input).await["updateManySites"]["updatedCount"], 0);
    let entries = log(cast, "Site").await;
    let actions: Vec<&str> = entries.iter().rev().take(3).map(|entry| entry.0.as_str()).collect();
    assert_eq!(actions, ["updateMany", "update", "update"]);
    let gone = "mutation($i:DeleteManySitesInput!){ deleteManySites(input:$i){ deletedCount } }";
    let input = json!({"i": {"filter": {"name": {"in": ["M1", "M2"]}}}});
    assert_eq!(cast.stranger.get(gone, input.clone()).await["deleteManySites"]["deletedCount"], 0);
    assert_eq!(cast.owner.get(gone, input).await["deleteManySites"]["deletedCount"], 2);
}

async fn owners_and_organizations(cast: &Cast) {
    let (owner, id) = (&cast.owner, cast.sites[1]);
    let organization = |name: &str| json!({"name": name, "email": "o@o.com", "phone_number": "+1", "address": "a", "zip_code": 1});
    let own = make(owner, "Organization", organization("own")).await;
    let theirs = make(&cast.stranger, "Organization", organization("theirs")).await;
    assert_eq!(
        message(&update(owner, "Site", id, json!({"organizationId": theirs})).await),
        format!("Unable to find OrganizationEntity with id: {theirs}")
    );
    assert!(
        update(owner, "Site", id, json!({"organizationId": own, "ownerId": cast.owner_id}))
            .await
            .get("errors")
            .is_none()
    );
    let stranger = cast.owner_id + 1;
    let answer = update(owner, "Site", id, json!({"ownerId": stranger})).await;
    assert_eq!(
        (
            answer["errors"][0]["extensions"]["code"].as_str(),
            message(&answer).starts_with("ownerId is not yours")
        ),
        (Some("FORBIDDEN"), true)
    );
    assert!(
        update(&cast.admin, "Site", id, json!({"ownerId": 999_999})).await["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("UserEntity")
    );
    assert!(update(&cast.admin, "Site", id, json!({"ownerId": stranger})).await.get("errors").is_none());
    let owners = "select (select owner_id from charge_points where site_id = s.id limit 1) as owner from sites s where id = $1";
    assert_eq!(row(cast, owners, id).await["owner"], stranger, "what stands there follows");
    assert!(
        update(&cast.admin, "Site", id, json!({"ownerId": cast.owner_id, "organizationId": null}))
            .await
            .get("errors")
            .is_none()
    );

    // A member sees what his role lets him, and a viewer changes nothing.
    let member: i64 = sqlx::query_scalar("select id from users where username = 'driver'")
        .fetch_one(cast.world.db())
        .await
        .unwrap();
    sqlx::query(
        "insert into organization_members (organization_id, user_id, role) values ($1, $2, 'viewer')",
    )
    .bind(own)
    .bind(member)
    .execute(cast.world.db())
    .await
    .unwrap();
    update(owner, "Site", id, json!({"organizationId": own})).await;
    let seen = cast.driver.get("{ sites { id } organizations { name sites { id } } }", json!({})).await;
    assert_eq!(
        seen,
        json!({"sites": [{"id": id.to_string()}], "organizations": [{"name": "own", "sites": [{"id": id.to_string()}]}]})
    );
    assert_eq!(
        update(&cast.driver, "Site", id, json!({"name": "x"})).await["errors"][0]["extensions"]["code"],
        "FORBIDDEN"
    );
    let through = cast
        .owner
        .get("{ organizations(filter: {Site: {name: {eq: \"renamed\"}}}) { name } }", json!({}))
        .await;
    assert_eq!(through["organizations"], json!([{"name": "own"}]));
    sqlx::query("update organization_members set role = 'owner'").execute(cast.world.db()).await.unwrap();
    assert!(update(&cast.driver, "Site", id, json!({"site_area": "x"})).await.get("errors").is_none());
    assert_eq!(
        update(&cast.driver, "Site", id, json!({"organizationId": null})).await["errors"][0]["extensions"]["code"],
        "FORBIDDEN"
    );
    sqlx::query("delete from organization_members").execute(cast.world.db()).await.unwrap();
}

async fn link(person: &Person, name: &str, id: i64, others: &[i64]) -> Value {
    let input = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let query = format!("mutation($i: {input}!) {{ {name}(input: $i) {{ id }} }}");
    person.ask(&query, json!({"i": {"id": id, "relationIds": others}})).await
}

async fn linking(cast: &Cast) {
    let (owner, [full, empty]) = (&cast.owner, cast.sites);
    let db = cast.world.db();
    let connector: i64 =
        sqlx::query_scalar("select id from connectors where label = 'D'").fetch_one(db).await.unwrap();
    let home: i64 = sqlx::query_scalar("select charge_point_id from connectors where label = 'D'")
        .fetch_one(db)
        .await
        .unwrap();
    let place =
        async || row(cast, "select site_id, charge_point_id from connectors where id = $1", connector).await;
    let done = |answer: Value| assert!(answer.get("errors").is_none(), "{answer}");

    done(link(owner, "addConnectorsToSite", empty, &[connector]).await);
    assert_eq!(
        place().await,
        json!({"site_id": empty, "charge_point_id": null}),
        "it left its charge point behind"
    );
    done(link(owner, "addConnectorsToChargePoint", home, &[connector]).await);
    assert_eq!(
        place().await,
        json!({"site_id": full, "charge_point_id": home}),
        "and is where its charge point is"
    );
    done(link(owner, "setConnectorsOnChargePoint", home, &[]).await);
    assert_eq!(place().await, json!({"site_id": full, "charge_point_id": null}));
    done(link(owner, "setChargePointsOnConnector", connector, &[home]).await);
    assert_eq!(place().await, json!({"site_id": full, "charge_point_id": home}));
    done(link(owner, "setChargePointsOnConnector", connector, &[]).await);
    done(link(owner, "setSitesOnConnector", connector, &[empty]).await);
    assert_eq!(place().await["site_id"], empty);
    done(link(owner, "addSitesToConnector", connector, &[full]).await);
    done(link(owner, "addChargePointsToConnector", connector, &[home]).await);
    assert_eq!(place().await, json!({"site_id": full, "charge_point_id": home}));

    done(link(owner, "addChargePointsToSite", empty, &[home]).await);
    assert_eq!(place().await["site_id"], empty, "its connectors move with a charge point");
    done(link(owner, "addChargePointsToSite", full, &[home]).await);
    assert!(message(&link(owner, "setChargePointsOnSite", full, &[home]).await).contains("needs a site"));
    assert!(message(&link(owner, "setSitesOnConnector", connector, &[]).await).contains("needs a site"));
    assert!(
        message(&link(owner, "addSitesToConnector", connector, &[full, empty]).await)
            .contains("one site only")
    );

    for (name, id, other, entity) in [
        ("addConnectorsToSite", full, connector, "SiteEntity"),
        ("setSitesOnConnector", connector, full, "ConnectorEntity"),
        ("addConnectorsToChargePoint", home, connector, "ChargePointEntity"),
    ] {
        let answer = link(&cast.stranger, name, id, &[other]).await;
        assert_eq!(message(&answer), format!("Unable to find {entity} with id: {id}"));
    }
    let theirs = make(&cast.stranger, "Site", site("grasp")).await;
    let answer = link(&cast.stranger, "addConnectorsToSite", theirs, &[connector]).await;
    assert_eq!(message(&answer), format!("Unable to find ConnectorEntity with id: {connector}"));
    let answer = link(owner, "addConnectorsToSite", full, &[999_999]).await;
    assert_eq!(message(&answer), "Unable to find ConnectorEntity with id: 999999");
}

async fn connectors_stay_with_their_charge_points(cast: &Cast) {
    let db = cast.world.db();
    let home: i64 = sqlx::query_scalar("select charge_point_id from connectors where label = 'D'")
        .fetch_one(db)
        .await
        .unwrap();
    assert!(
        update(&cast.owner, "ChargePoint", home, json!({"chargePointHardwareId": "16b"}))
            .await
            .get("errors")
            .is_none()
    );
    let names: Vec<String> =
        sqlx::query_scalar("select charge_point_hardware_id from connectors where charge_point_id = $1")
            .bind(home)
            .fetch_all(db)
            .await
            .unwrap();
    assert_eq!(names, ["16b"]);
    let twice = update(&cast.owner, "ChargePoint", home, json!({"chargePointHardwareId": "15"})).await;
    assert_eq!(message(&twice), "This chargePointHardwareId is taken.");
}

async fn prices(cast: &Cast) {
    let db = cast.world.db();
    let connector: i64 =
        sqlx::query_scalar("select id from connectors where label = 'A'").fetch_one(db).await.unwrap();
    let priced = async || {
        row(
            cast,
            "select price::text, tariff_id is not null as foreign from connectors where id = $1",
            connector,
        )
        .await
    };
    update(&cast.owner, "Connector", connector, json!({"price": 0.1, "priceUnit": "€/kWh"})).await;
    assert_eq!(priced().await, json!({"price": "0.100000", "foreign": true}));
    update(&cast.owner, "Connector", connector, json!({"priceUnit": "$/kWh"})).await;
    assert_eq!(priced().await["foreign"], false);
}

async fn deleting(cast: &Cast) {
    let (owner, db) = (&cast.owner, cast.world.db());
    let connector: i64 =
        sqlx::query_scalar("select id from connectors where label = 'A'").fetch_one(db).await.unwrap();
    sqlx::query(
        "with one as (insert into sessions (id, gateway_id, site_id, charge_point_id, connector_id, station, evse)
         select gen_random_uuid(), gen_random_uuid(), site_id, charge_point_id, id, '15', 1 from connectors where id = $1
         returning id)
         insert into bills (session_id, currency, total_micros, lines) select id, 'USD', 1, '[]' from one",
    )
    .bind(connector).execute(db).await.unwrap();
    let history = "query { connectorChargingHistory(input: {chargePointHardwareId: \"15\"}) { id } }";
    assert_eq!(owner.get(history, json!({})).await["connectorChargingHistory"].as_array().unwrap().len(), 1);
    assert_eq!(cast.stranger.get(history, json!({})).await["connectorChargingHistory"], json!([]));

    let delete = "mutation deleteOneConnector($input: DeleteOneConnectorInput!){ deleteOneConnector(input: $input){ id label __typename } }";
    let input = json!({"input": {"id": connector}});
    let (text, _) = cast.stranger.refused(delete, input.clone()).await;
    assert_eq!(text, format!("Unable to find ConnectorEntity with id: {connector}"));
    assert_eq!(
        owner.get(delete, input.clone()).await["deleteOneConnector"],
        json!({"id": connector.to_string(), "label": "A", "__typename": "ConnectorDeleteResponse"})
    );
    assert_eq!(
        owner.refused(delete, input).await.0,
        format!("Unable to find ConnectorEntity with id: {connector}")
    );
    let entry = log(cast, "Connector").await.pop().unwrap();
    assert_eq!((entry.0.as_str(), &entry.2["label"], &entry.3), ("delete", &json!("A"), &Value::Null));

    let point = "mutation($id: ID!) { deleteOneChargePoint(input: {id: $id}) { id } }";
    let id: i64 = sqlx::query_scalar("select id from charge_points where charge_point_hardware_id = '15'")
        .fetch_one(db)
        .await
        .unwrap();
    owner.get(point, json!({"id": id})).await;
    let gone = "mutation($id: ID!) { deleteOneSite(input: {id: $id}) { id name ownerId } }";
    assert_eq!(
        owner.get(gone, json!({"id": cast.sites[0]})).await["deleteOneSite"],
        json!({"id": cast.sites[0].to_string(), "name": "Full", "ownerId": cast.owner_id})
    );
    let kept: (i64, i64) =
        sqlx::query_as("select (select count(*) from sessions), (select count(*) from bills)")
            .fetch_one(db)
            .await
            .unwrap();
    assert_eq!(kept, (1, 1), "history outlives what it happened at");
}

async fn organizations(cast: &Cast) {
    let owner = &cast.owner;
    let create = "mutation($i:CreateOneOrganizationInput!){ createOneOrganization(input:$i){ id name email phone_number location address zip_code created_at } }";
    let input = json!({"i": {"organization": {"name": "Org", "email": "o@o.com", "phone_number": "+1", "address": "a", "zip_code": 1,
                       "location": {"type": "Point", "coordinates": [1, 2]}}}});
    let made = owner.get(create, input).await["createOneOrganization"].take();
    assert_eq!(made["location"], json!({"type": "Point", "coordinates": [1, 2]}));
    let id: i64 = made["id"].as_str().unwrap().parse().unwrap();
    let at = async || {
        row(cast, "select organization_id from sites where id = $1", cast.sites[1]).await["organization_id"]
            .clone()
    };
    assert!(link(owner, "addSitesToOrganization", id, &[cast.sites[1]]).await.get("errors").is_none());
    assert_eq!(at().await, id);
    assert!(link(owner, "setSitesOnOrganization", id, &[]).await.get("errors").is_none());
    assert_eq!(at().await, Value::Null);
    link(owner, "addSitesToOrganization", id, &[cast.sites[1]]).await;
    let theirs = link(&cast.stranger, "addSitesToOrganization", id, &[]).await;
    assert_eq!(message(&theirs), format!("Unable to find OrganizationEntity with id: {id}"));

    let delete = "mutation deleteOrganization($input: CustomDeleteOrganizationInput!){ deleteOrganization(input: $input){ deletedCount } }";
    let input = json!({"input": {"organizationId": id}});
    let (text, code) = cast.stranger.refused(delete, input.clone()).await;
    assert_eq!((text.as_str(), code.as_str()), ("You not owned this organization!", "UNAUTHENTICATED"));
    let (text, code) = owner.refused(delete, json!({"input": {"organizationId": 999_999}})).await;
    assert_eq!((text.as_str(), code.as_str()), ("You not owned this organization!", "UNAUTHENTICATED"));
    assert_eq!(owner.get(delete, input).await["deleteOrganization"]["deletedCount"], 1);
    assert_eq!(at().await, Value::Null, "its sites stay");
    let other = owner.get("{ organizations { id } }", json!({})).await["organizations"][0]["id"].clone();
    link(owner, "addSitesToOrganization", other.as_str().unwrap().parse().unwrap(), &[cast.sites[1]]).await;
    let delete = "mutation($id: ID!) { deleteOneOrganization(input: {id: $id}) { id name } }";
    assert_eq!(owner.get(delete, json!({"id": other})).await["deleteOneOrganization"]["name"], "own");
    assert_eq!(at().await, Value::Null);
}

async fn people(cast: &Cast) {
    let (owner, id) = (&cast.owner, cast.owner_id);
    let change = "mutation updateUser($input:UpdateOneUserInput!){ updateOneUser(input:$input){ id country state address unit city zip } }";
    let address = json!({"country": "USA", "state": "Florida", "address": "address", "unit": "unit", "city": "city", "zip": 234_234});
    let changed =
        owner.get(change, json!({"input": {"id": id, "update": address}})).await["updateOneUser"].take();
    assert_eq!((&changed["state"], &changed["zip"]), (&json!("Florida"), &json!(234_234)));
    let (text, _) =
        cast.stranger.refused(change, json!({"input": {"id": id, "update": {"name": "x"}}})).await;
    assert_eq!(text, format!("Unable to find UserEntity with id: {id}"));
    for field in ["role", "balance", "password"] {
        let answer =
            owner.ask(change, json!({"input": {"id": id, "update": {field: "administrator"}}})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    }
    let create = "mutation($i:CreateOneUserInput!){ createOneUser(input:$i){ id name phone role } }";
    let input = json!({"i": {"user": {"phone": "+10000000001", "name": "New"}}});
    assert_eq!(owner.refused(create, input.clone()).await.1, "FORBIDDEN");
    let made = cast.admin.get(create, input.clone()).await["createOneUser"].take();
    assert_eq!((&made["phone"], &made["role"]), (&json!("+10000000001"), &json!("end-user")));
    assert_eq!(cast.admin.refused(create, input).await.0, "This username, phone or email is taken.");
    let many = "mutation { updateManyUsers(input: {filter: {}, update: {city: \"X\"}}) { updatedCount } }";
    assert_eq!(owner.get(many, json!({})).await["updateManyUsers"]["updatedCount"], 1, "himself");
    let gone = "mutation { deleteManyUsers(input: {filter: {}}) { deletedCount } }";
    assert_eq!(cast.driver.get(gone, json!({})).await["deleteManyUsers"]["deletedCount"], 1, "himself");
    assert_eq!(cast.driver.refused("{ me { id } }", json!({})).await.1, "UNAUTHENTICATED");
}
