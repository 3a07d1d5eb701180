//! The log of what people changed: everything is in it, those see it whom it concerns, and nobody rewrites it unseen.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use cloud::db::audit_chain::{self, Broken};
use serde_json::{Value, json};
use support::Person;
use support::world::World;

/// Changes that write to the log, each shown by a test here or beside it. The generated ones all go through one place
/// (`entity::write`), whatever they are called.
const LOGGED: &str = "deleteOrganization createUser changePassword resetPassword signOutEverywhere addIdToken addCard updateCard
    blockCard unblockCard deleteCard createCardGroup deleteCardGroup letCardGroupIn adoptCard learnCard
    createOrUpdateSiteWithChargePoints startTransactionByUser stopTransactionByUser createClaimCode renewGateway acknowledgeAlarm provisionStations resetStation
    unlockConnector changeAvailability getConfiguration changeConfiguration clearCache triggerMessage dataTransfer
    createApiKey revokeApiKey addOrganizationMember changeOrganizationMember removeOrganizationMember leaveOrganization
    confirmContact setChargingProfile clearChargingProfiles getCompositeSchedule bookConnector softBookConnector
    cancelBookConnector createFirmware deleteFirmware updateFirmware requestLog
    getLocalListVersion sendLocalList keepLocalLists openOnboardingWindow closeOnboardingWindow
    adoptStation rejectStation holdStation releaseStation setWantedConfiguration readStationFrames
    setStationQuirks acceptQuirkSuggestion dismissQuirkSuggestion
    installCertificate deleteCertificate getCertificates renewCertificate rotatePassword raiseSecurityProfile
    bulkOrder pauseBulkOrder resumeBulkOrder cancelBulkOrder";

/// Those that do not, and why.
const NOT_LOGGED: [(&str, &str); 4] = [
    ("sendCodeLogin", "sends a message; that it made an account is logged there"),
    ("login", "changes nothing but one's own sign-in"),
    ("refreshLogin", "as login"),
    ("signOut", "as login"),
];

const GENERATED: [&str; 8] =
    ["createOne", "createMany", "updateOne", "updateMany", "deleteOne", "deleteMany", "add", "set"];

fn mutations() -> BTreeSet<String> {
    let document = parse_schema(cloud::graphql::sdl()).unwrap();
    let fields = document.definitions.into_iter().filter_map(|definition| {
        let TypeSystemDefinition::Type(ty) = definition else { return None };
        let TypeKind::Object(object) = ty.node.kind else { return None };
        (ty.node.name.node == "Mutation").then_some(object.fields)
    });
    fields.flatten().map(|field| field.node.name.node.to_string()).collect()
}

fn is_generated(name: &str) -> bool {
    let entity = |rest: &str| {
        let nouns = ["Site", "ChargePoint", "Connector", "User", "Organization"];
        nouns.iter().any(|noun| {
            rest.starts_with(noun)
                && (rest.len() <= noun.len() + 1 || rest.contains("To") || rest.contains("On"))
        })
    };
    GENERATED.iter().any(|verb| name.strip_prefix(verb).is_some_and(entity))
}

#[test]
fn every_mutation_is_logged_or_has_a_reason_not_to_be() {
    let all = mutations();
    let mut listed: BTreeSet<&str> = LOGGED.split_whitespace().collect();
    listed.extend(NOT_LOGGED.iter().map(|(name, _)| *name));
    let forgotten: Vec<_> =
        all.iter().filter(|name| !is_generated(name) && !listed.contains(name.as_str())).collect();
    assert!(forgotten.is_empty(), "write to db::audit, or say here why not: {forgotten:?}");
    let gone: Vec<_> = listed.iter().filter(|name| !all.contains(**name)).collect();
    assert!(gone.is_empty(), "no longer in the schema: {gone:?}");
}

const LOG: &str = "query($filter: AuditLogFilter, $before: ID, $limit: Int! = 50) {
    auditLog(filter: $filter, before: $before, limit: $limit) {
        id at actorId actorName requestId action entity rowId siteId organizationId before after count } }";

async fn log(person: &Person, filter: Value) -> Vec<Value> {
    let mut answer = person.get(LOG, json!({"filter": filter})).await;
    answer["auditLog"].as_array_mut().map(std::mem::take).unwrap()
}

async fn saved(person: &Person, data: Value) -> i64 {
    let save =
        "mutation($data: JSON!) { createOrUpdateSiteWithChargePoints(input: {data: $data}) { siteId } }";
    let answer = person.get(save, json!({"data": data})).await;
    answer["createOrUpdateSiteWithChargePoints"]["siteId"].as_i64().unwrap()
}

fn deeds(log: &[Value]) -> Vec<String> {
    log.iter()
        .rev()
        .map(|it| format!("{} {}", it["action"].as_str().unwrap(), it["entity"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn changes_are_logged_and_shown_to_whom_they_concern() {
    let world = World::new().await;
    let (ann_id, ann) = world.person("ann", "business-owner").await;
    let (ben_id, ben) = world.person("ben", "driver").await;
    let (_, cem) = world.person("cem", "business-owner").await;
    let (dia_id, dia) = world.person("dia", "driver").await;
    let (_, root) = world.person("root", "administrator").await;
    sqlx::query("insert into organizations (id, name, owner_id) values (7, 'Seven', $1)")
        .bind(ann_id)
        .execute(world.db())
        .await
        .unwrap();
    for (user, role) in [(ben_id, "operator"), (dia_id, "viewer")] {
        sqlx::query("insert into organization_members (organization_id, user_id, role) values (7, $1, $2)")
            .bind(user)
            .bind(role)
            .execute(world.db())
            .await
            .unwrap();
    }

    let data = json!({"name": "Spree", "organizationId": 7, "chargepoints": [
        {"chargePointHardwareId": "CP1", "connectors": [{"label": "A", "price": 0.5}]}]});
    let site = saved(&ann, data).await;
    assert_eq!(
        deeds(&log(&ann, json!({"siteId": site})).await),
        ["create ChargePoint", "create Connector", "create Site"]
    );
    let again = json!({"id": site, "name": "Havel", "chargepoints": [
        {"chargePointHardwareId": "CP1", "connectors": [{"label": "A", "price": 0.5}]}]});
    saved(&ann, again.clone()).await;
    saved(&ann, again).await;
    let entries = log(&ann, json!({"siteId": site, "action": "update"})).await;
    assert_eq!(entries.len(), 1, "the same again changes nothing: {entries:?}");
    let entry = &entries[0];
    assert_eq!((&entry["before"]["name"], &entry["after"]["name"]), (&json!("Spree"), &json!("Havel")));
    assert_eq!(
        (&entry["actorId"], &entry["actorName"], &entry["rowId"], &entry["organizationId"]),
        (&json!(ann_id.to_string()), &json!("ann"), &json!(site.to_string()), &json!("7"))
    );
    assert_eq!(entry["requestId"].as_str().unwrap().len(), 36);

    onboard(&world, &ann, site).await;
    root.get(
        "mutation { createUser(input: {username: \"eva\", role: \"driver\", password: \"canary-canary\"}) { id } }",
        json!({}),
    )
    .await;
    assert_eq!(deeds(&log(&root, json!({"entity": "User"})).await), ["create User"]);
    order(&world, &ann, site).await;

    let all = log(&ann, json!({})).await;
    let everything = world.rows("audit").await;
    assert!(!everything.contains("canary"), "no password is in the log");
    assert_eq!(log(&ben, json!({})).await, all, "an operator sees what his organization's people do");
    assert!(log(&cem, json!({})).await.is_empty());
    assert!(log(&cem, json!({"siteId": site})).await.is_empty());
    assert_eq!(dia.refused(LOG, json!({})).await.1, "FORBIDDEN");
    assert_eq!(world.anybody.refused(LOG, json!({})).await.1, "UNAUTHENTICATED");
    assert!(log(&root, json!({})).await.len() > all.len());

    let first = ann.get(LOG, json!({"limit": 2})).await["auditLog"].take();
    let last = &first[1]["id"];
    let second = ann.get(LOG, json!({"limit": 2, "before": last})).await["auditLog"].take();
    assert_eq!([&first[0], &first[1], &second[0], &second[1]], [&all[0], &all[1], &all[2], &all[3]]);
    let (message, code) = ann.refused(LOG, json!({"limit": 201})).await;
    assert_eq!(code, "BAD_USER_INPUT");
    assert!(message.contains("1 to 200"), "{message}");
    assert!(log(&ann, json!({"to": "2020-01-01T00:00:00Z"})).await.is_empty());
    assert_eq!(log(&ann, json!({"from": "2020-01-01T00:00:00Z", "actorId": ann_id.to_string()})).await, all);

    tampering(&world).await;
}

async fn onboard(world: &World, ann: &Person, site: i64) {
    ann.get("mutation($id: ID!) { createClaimCode(siteId: $id) { code } }", json!({"id": site})).await;
    let provision = "mutation($id: ID!) { provisionStations(siteId: $id, stations: [{identity: \"CP1\"},
        {identity: \"CP2\", password: \"canary0123456789\"}]) { identity password } }";
    let made = ann.get(provision, json!({"id": site})).await;
    let entries = log(ann, json!({"siteId": site})).await;
    assert_eq!(deeds(&entries)[4], "createClaimCode Site", "{entries:?}");
    let done = entries.iter().find(|it| it["action"] == "provisionStations").unwrap();
    assert_eq!(done["after"], json!({"identities": ["CP1", "CP2"]}));
    assert!(deeds(&entries)[5..].contains(&"create ChargePoint".to_owned()), "{entries:?}");
    let password = made["provisionStations"][0]["password"].as_str().unwrap();
    assert!(!world.rows("audit").await.contains(password));
}

/// An order to a station is in the log as soon as it is given, whatever comes of it.
async fn order(world: &World, ann: &Person, site: i64) {
    sqlx::query(
        "insert into gateways (id, site_id, shard, frame_key, mosquitto_password)
         values (gen_random_uuid(), $1, 0, decode(repeat('00', 32), 'hex'), '')",
    )
    .bind(site)
    .execute(world.db())
    .await
    .unwrap();
    let station: i64 =
        sqlx::query_scalar("select id from charge_points where charge_point_hardware_id = 'CP1'")
            .fetch_one(world.db())
            .await
            .unwrap();
    let change = "mutation($id: ID!, $key: String!) { changeConfiguration(chargePointId: $id, key: $key, value: \"60\") { id } }";
    let (message, code) = ann.refused(change, json!({"id": station, "key": "authorizationkey"})).await;
    assert!(code == "BAD_USER_INPUT" && message.contains("rotatePassword"), "{message}");
    let logged = async {
        loop {
            let entries = log(ann, json!({"entity": "Command"})).await;
            if let [entry] = &entries[..] {
                return entry.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let entry = tokio::select! {
        answer = ann.ask(change, json!({"id": station, "key": "HeartbeatInterval"})) => panic!("nobody is there to answer: {answer}"),
        entry = logged => entry,
    };
    assert_eq!(
        (&entry["action"], &entry["organizationId"], &entry["after"]),
        (
            &json!("ChangeConfiguration"),
            &json!("7"),
            &json!({"station": "CP1", "order": {"ChangeConfiguration": {"key": "HeartbeatInterval", "value": "60"}}})
        )
    );
}

/// Whoever has all rights in the database can alter an entry, but not unseen.
async fn tampering(world: &World) {
    let db = world.db();
    let head = audit_chain::verify(db, None).await.unwrap().unwrap();
    assert_eq!(audit_chain::verify(db, Some(&head)).await.unwrap(), Some(head.clone()));
    let mut other = head.clone();
    other.digest.replace_range(0..2, "zz");
    assert!(matches!(audit_chain::verify(db, Some(&other)).await, Err(Broken::Head(_))));

    let broken = async |sql: &'static str| {
        let mut tx = db.begin().await.unwrap();
        sqlx::raw_sql("alter table audit disable trigger user").execute(&mut *tx).await.unwrap();
        let changed = sqlx::query(sql).execute(&mut *tx).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{sql}");
        tx.commit().await.unwrap();
        audit_chain::verify(db, Some(&head)).await.unwrap_err().to_string()
    };
    let last = broken("delete from audit where id = (select max(id) from audit)").await;
    assert!(last.contains(&format!("entry {} is not the one whose head was kept", head.id)), "{last}");
    let middle = broken("delete from audit where id = 5").await;
    assert!(middle.starts_with("entry 6 "), "{middle}");
    let changed = broken("update audit set after = '{\"name\": \"Other\"}' where id = 3").await;
    assert!(changed.starts_with("entry 3 "), "{changed}");
    let first = broken("delete from audit where id = 1").await;
    assert!(first.starts_with("entry 2 "), "{first}");
}
