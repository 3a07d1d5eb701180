//! The people and the programs of an organization: who may add, change and remove them, and what they may do then.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use support::Person;
use support::world::World;

const ADD: &str =
    "mutation($input: AddMemberInput!) { addOrganizationMember(input: $input) { userId role name contact } }";
const MEMBERS: &str =
    "query($id: ID!) { organizationMembers(organizationId: $id) { userId role name contact } }";
const CHANGE: &str = "mutation($id: ID!, $user: ID!, $role: MemberRole!) {
    changeOrganizationMember(organizationId: $id, userId: $user, role: $role) { role } }";
const REMOVE: &str =
    "mutation($id: ID!, $user: ID!) { removeOrganizationMember(organizationId: $id, userId: $user) }";
const LEAVE: &str = "mutation($id: ID!) { leaveOrganization(organizationId: $id) }";
const MEMBERSHIPS: &str = "{ memberships { organizationId role } }";
const CREATE_KEY: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    key apiKey { id name role userId lastUsedAt revokedAt } } }";
const KEYS: &str = "query($id: ID!) { apiKeys(organizationId: $id) { id name role lastUsedAt revokedAt } }";
const REVOKE: &str = "mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }";

async fn organization(owner: &Person) -> Value {
    let make =
        "mutation { createOneOrganization(input: {organization: {name: \"ann & co\", email: \"a@b.cd\",
        phone_number: \"+14155550000\", address: \"1 Quay Street\", zip_code: 1}}) { id } }";
    owner.get(make, json!({})).await["createOneOrganization"]["id"].clone()
}

fn invited(id: &Value, email: &str, role: &str) -> Value {
    json!({"input": {"organizationId": id, "email": email, "name": "Ben", "role": role}})
}

#[tokio::test]
async fn people_and_programs() {
    let world = World::new().await;
    let (ann_id, ann) = world.person("ann", "business-owner").await;
    let (_, stranger) = world.person("cem", "business-owner").await;
    let id = organization(&ann).await;
    members(&world, &id, &ann, ann_id, &stranger).await;
    keys(&world, &id, &ann, &stranger).await;
    let log: Vec<(String, String)> = sqlx::query_as(
        "select entity, action from audit where entity in ('OrganizationMember', 'ApiKey') order by id",
    )
    .fetch_all(world.db())
    .await
    .unwrap();
    let count =
        |entity: &str, action: &str| log.iter().filter(|it| **it == (entity.into(), action.into())).count();
    assert_eq!(count("OrganizationMember", "create"), 3, "{log:?}");
    assert_eq!(count("OrganizationMember", "delete"), 2, "{log:?}");
    assert_eq!((count("ApiKey", "create"), count("ApiKey", "delete")), (3, 1), "{log:?}");
    let secrets: i64 = sqlx::query_scalar(
        "select count(*) from audit a where a::text like '%evbk_%' or a::text like '%digest\"%'",
    )
    .fetch_one(world.db())
    .await
    .unwrap();
    assert_eq!(secrets, 0);
}

async fn members(world: &World, id: &Value, ann: &Person, ann_id: i64, stranger: &Person) {
    let (ben_id, ben) = world.person("ben", "driver").await;
    sqlx::query("update users set email = 'ben@example.com', name = 'Benjamin' where id = $1")
        .bind(ben_id)
        .execute(world.db())
        .await
        .unwrap();
    let added =
        ann.get(ADD, invited(id, "Ben@Example.com", "OPERATOR")).await["addOrganizationMember"].clone();
    assert_eq!(
        added,
        json!({"userId": ben_id.to_string(), "role": "OPERATOR", "name": "Ben", "contact": "ben@example.com"})
    );
    let (text, _) = ann.refused(ADD, invited(id, "ben@example.com", "VIEWER")).await;
    assert!(text.contains("already"), "{text}");
    let new = ann.get(ADD, invited(id, "new@example.com", "VIEWER")).await["addOrganizationMember"]["userId"]
        .clone();
    let list = ben.get(MEMBERS, json!({"id": id})).await["organizationMembers"].clone();
    let roles: Vec<&Value> = list.as_array().unwrap().iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["OWNER", "OPERATOR", "VIEWER"]);
    assert!(!list.to_string().contains("Benjamin"), "adding an address tells nothing of whose it is");
    assert_eq!(
        ben.get(MEMBERSHIPS, json!({})).await["memberships"],
        json!([{"organizationId": id, "role": "OPERATOR"}])
    );

    // Not the owners' business of others: not for an operator, not for a stranger, who is not even told that it exists.
    for (who, query, variables) in [
        (&ben, ADD, invited(id, "x@example.com", "VIEWER")),
        (&ben, CHANGE, json!({"id": id, "user": ben_id.to_string(), "role": "OWNER"})),
        (&ben, REMOVE, json!({"id": id, "user": new})),
        (stranger, MEMBERS, json!({"id": id})),
        (stranger, ADD, invited(id, "x@example.com", "VIEWER")),
        (stranger, REMOVE, json!({"id": id, "user": new})),
        (stranger, LEAVE, json!({"id": id})),
        (stranger, MEMBERS, json!({"id": "999"})),
    ] {
        let (text, _) = who.refused(query, variables).await;
        assert!(text.starts_with("Unable to find OrganizationEntity"), "{query}: {text}");
    }
    assert_eq!(world.anybody.refused(MEMBERS, json!({"id": id})).await.1, "UNAUTHENTICATED");

    let ann_is = |role: &str| json!({"id": id, "user": ann_id.to_string(), "role": role});
    for (query, variables) in
        [(LEAVE, json!({"id": id})), (CHANGE, ann_is("VIEWER")), (REMOVE, ann_is("OWNER"))]
    {
        let variables = match query {
            REMOVE => json!({"id": id, "user": ann_id.to_string()}),
            _ => variables,
        };
        assert!(ann.refused(query, variables).await.0.contains("last owner"), "{query}");
    }
    ann.get(CHANGE, json!({"id": id, "user": ben_id.to_string(), "role": "OWNER"})).await;
    ben.get(CHANGE, ann_is("INSTALLER")).await;
    assert_eq!(ann.get(MEMBERSHIPS, json!({})).await["memberships"][0]["role"], "INSTALLER", "at once");
    assert!(ben.refused(LEAVE, json!({"id": id})).await.0.contains("last owner"), "now it is him");
    ben.get(CHANGE, ann_is("OWNER")).await;
    ann.get(REMOVE, json!({"id": id, "user": new})).await;
    ben.get(LEAVE, json!({"id": id})).await;
    assert_eq!(ben.get(MEMBERSHIPS, json!({})).await["memberships"], json!([]));
    assert_eq!(ben.refused(MEMBERS, json!({"id": id})).await.1, "INTERNAL_SERVER_ERROR");

    let (_, admin) = world.person("admin", "administrator").await;
    admin.get(ADD, invited(id, "viewer@example.com", "VIEWER")).await;
    assert!(
        admin
            .refused(ADD, invited(&json!("999"), "x@example.com", "VIEWER"))
            .await
            .0
            .contains("Unable to find")
    );
}

async fn keys(world: &World, id: &Value, ann: &Person, stranger: &Person) {
    let create = async |role: &str, expires: Value| {
        let input = json!({"organizationId": id, "name": "roaming hub", "role": role, "expiresAt": expires});
        ann.get(CREATE_KEY, json!({ "input": input })).await["createApiKey"].clone()
    };
    let program = |made: &Value| Person {
        token: Some(made["key"].as_str().unwrap().to_owned()),
        ..world.anybody.clone()
    };
    let made = create("VIEWER", json!(null)).await;
    assert!(
        made["key"]
            .as_str()
            .unwrap()
            .starts_with(&format!("evbk_{}_", made["apiKey"]["id"].as_str().unwrap()))
    );
    let viewer = program(&made);
    let site = "mutation($id: Float!) { createOneSite(input: {site: {name: \"n\", site: \"s\", site_area: \"a\",
        location: {type: \"Point\", coordinates: [1, 2]}, address: \"a\", zip_code: 1, phone_number: \"1\", default_price: 1,
        information: \"i\", dynamic_asset: \"d\", asset_type: \"t\", instant_power: 1, battery: \"b\"}}) { id } }";
    let site_id = ann.get(&site.replace("($id: Float!)", ""), json!({})).await["createOneSite"]["id"].clone();
    sqlx::query("update sites set organization_id = $1::bigint where id = $2::bigint")
        .bind(id.as_str().unwrap().parse::<i64>().unwrap())
        .bind(site_id.as_str().unwrap().parse::<i64>().unwrap())
        .execute(world.db())
        .await
        .unwrap();
    assert_eq!(viewer.get("{ sites { id } }", json!({})).await["sites"], json!([{"id": site_id}]));
    let rename = "mutation($id: ID!) { updateOneSite(input: {id: $id, update: {name: \"mine\"}}) { id } }";
    viewer.refused(rename, json!({"id": site_id})).await;
    let owner = program(&create("OWNER", json!("2099-01-01T00:00:00Z")).await);
    owner.get(rename, json!({"id": site_id})).await;

    // Whatever its role: neither people nor keys, nor a password.
    for (query, variables) in [
        (ADD, invited(id, "x@example.com", "OWNER")),
        (LEAVE, json!({"id": id})),
        (KEYS, json!({"id": id})),
        (CREATE_KEY, json!({"input": {"organizationId": id, "name": "more", "role": "OWNER"}})),
        (REVOKE, json!({"id": made["apiKey"]["id"]})),
        ("mutation { signOutEverywhere }", json!({})),
    ] {
        assert_eq!(owner.refused(query, variables).await.1, "FORBIDDEN", "{query}");
    }
    assert!(ann.refused(LEAVE, json!({"id": id})).await.0.contains("last owner"), "a program owns nothing");
    let list = ann.get(MEMBERS, json!({"id": id})).await.to_string();
    assert!(!list.contains("roaming hub"), "{list}");
    for (who, text) in [(stranger, "Unable to find"), (&world.anybody, "Unauthorized")] {
        assert!(who.refused(KEYS, json!({"id": id})).await.0.starts_with(text));
        assert!(who.refused(REVOKE, json!({"id": made["apiKey"]["id"]})).await.0.starts_with(text));
    }
    for (input, advice) in [
        (json!({"organizationId": id, "name": " ", "role": "VIEWER"}), "what the key is for"),
        (
            json!({"organizationId": id, "name": "n", "role": "VIEWER", "expiresAt": "2001-01-01T00:00:00Z"}),
            "has passed",
        ),
    ] {
        let (text, code) = ann.refused(CREATE_KEY, json!({ "input": input })).await;
        assert!(text.contains(advice) && code == "BAD_USER_INPUT", "{text}");
    }

    let ends = create("VIEWER", json!("2099-01-01T00:00:00Z")).await;
    sqlx::query("update api_keys set expires_at = now() where id = $1::bigint")
        .bind(ends["apiKey"]["id"].as_str().unwrap().parse::<i64>().unwrap())
        .execute(world.db())
        .await
        .unwrap();
    let guessed =
        made["key"].as_str().unwrap().rsplit_once('_').unwrap().0.to_owned() + "_" + &"0".repeat(32);
    ann.get(REVOKE, json!({"id": made["apiKey"]["id"]})).await;
    let guess = Person { token: Some(guessed), ..world.anybody.clone() };
    for refused in [&viewer, &program(&ends), &guess] {
        assert_eq!(refused.refused("{ sites { id } }", json!({})).await.1, "UNAUTHENTICATED");
    }
    let list = ann.get(KEYS, json!({"id": id})).await["apiKeys"].clone();
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert!(
        list[2]["revokedAt"].is_string()
            && list[2]["lastUsedAt"].is_string()
            && list[0]["lastUsedAt"].is_null()
    );
    let kept: String = sqlx::query_scalar("select string_agg(k::text, '') from api_keys k")
        .fetch_one(world.db())
        .await
        .unwrap();
    assert!(!kept.contains(made["key"].as_str().unwrap().rsplit('_').next().unwrap()));
}
