//! Lists, single rows, filters, orders, pages, sums; and how many statements they cost.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::Cast;
use crate::support::Person;

pub(crate) async fn all(cast: &Cast) {
    lists(cast).await;
    filters(cast).await;
    orders_and_pages(cast).await;
    sums(cast).await;
    documents(cast).await;
    people(cast).await;
    foreign(cast).await;
    statements(cast).await;
}

async fn ask(person: &Person, query: &str) -> Value {
    person.get(query, json!({})).await
}

async fn lists(cast: &Cast) {
    let [full, empty] = cast.sites;
    let owner = &cast.owner;
    let sites = ask(
        owner,
        "{ sites { id name site site_area location address zip_code phone_number default_price dynamic_asset asset_type
                   instant_power battery organizationId ownerId information } }",
    )
    .await;
    assert_eq!(
        sites["sites"][0],
        json!({"id": full.to_string(), "name": "Full", "site": "Site", "site_area": "",
               "location": {"type": "Point", "coordinates": [-122.4, 37.7]}, "address": "1 Main St", "zip_code": 100_000,
               "phone_number": "+7923923923", "default_price": 0.25, "dynamic_asset": "", "asset_type": "",
               "instant_power": 100, "battery": "", "organizationId": null, "ownerId": cast.owner_id,
               "information": "Information"})
    );
    assert_eq!(sites["sites"][1]["id"], empty.to_string());

    let nested = ask(
        owner,
        "{ sites { id connectors { label connectorId statusName statusId price siteId chargePointId created_at deleted_at } } }",
    )
    .await;
    let connectors = &nested["sites"][0]["connectors"];
    assert_eq!(nested["sites"][1]["connectors"], json!([]));
    assert_eq!(connectors.as_array().unwrap().len(), 4);
    assert_eq!((&connectors[3]["label"], &connectors[3]["connectorId"]), (&json!("D"), &json!(1)));
    assert_eq!((&connectors[0]["statusName"], &connectors[0]["statusId"]), (&json!("Faulted"), &json!(0)));
    assert_eq!((&connectors[0]["siteId"], &connectors[0]["price"]), (&json!(full), &json!(0.25)));
    assert!(
        connectors[0]["created_at"].as_str().unwrap().ends_with('Z') && connectors[0]["deleted_at"].is_null()
    );

    let up = ask(
        owner,
        "{ connectors(filter: {label: {eq: \"D\"}}) { sites { name } chargePoints { chargePointHardwareId } } }",
    );
    assert_eq!(
        up.await["connectors"],
        json!([{"sites": [{"name": "Full"}], "chargePoints": [{"chargePointHardwareId": "16"}]}])
    );
    let one = "query($id: ID!) { site(id: $id) { name chargePoints { connectors { label } } } }";
    let one = owner.get(one, json!({"id": full})).await;
    assert_eq!(
        one["site"],
        json!({"name": "Full", "chargePoints": [
            {"connectors": [{"label": "A"}, {"label": "B"}, {"label": "C"}]}, {"connectors": [{"label": "D"}]}]})
    );
    assert_eq!(ask(owner, "{ site(id: 999999) { id } }").await["site"], Value::Null);
    assert_eq!(owner.refused("{ site(id: \"x\") { id } }", json!({})).await.1, "BAD_USER_INPUT");
}

async fn filters(cast: &Cast) {
    let labels = async |filter: &str| {
        let query = format!("{{ connectors(filter: {filter}) {{ label }} }}");
        let found = ask(&cast.owner, &query).await;
        found["connectors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["label"].as_str().unwrap())
            .collect::<String>()
    };
    for (filter, expected) in [
        ("{}", "ABCD"),
        ("{label: {in: [\"A\", \"D\"]}}", "AD"),
        ("{label: {like: \"a\"}}", ""),
        ("{label: {iLike: \"a\"}}", "A"),
        ("{label: {eq: \"A\", gt: \"C\"}}", "AD"),
        ("{label: {neq: \"A\"}, power: {lte: 7}}", "B"),
        ("{price: {eq: 0.45}}", "CD"),
        ("{power: {between: {lower: 7, upper: 49.5}}}", "AB"),
        ("{power: {notBetween: {lower: 7, upper: 49.5}}}", "CD"),
        ("{or: [{label: {eq: \"A\"}}, {label: {eq: \"B\"}, power: {gt: 7}}]}", "A"),
        ("{and: [{power: {gt: 7}}, {connectorId: {is: null}}]}", ""),
        ("{deleted_at: {is: null}}", "ABCD"),
        ("{deleted_at: {isNot: null}}", ""),
        ("{created_at: {gt: \"2020-01-01T00:00:00Z\"}}", "ABCD"),
        ("{label: {in: []}}", ""),
        ("{label: {eq: \"\\u0000\"}}", ""),
        ("{site: {name: {eq: \"Full\"}}}", "ABCD"),
        ("{site: {name: {eq: \"Empty\"}}}", ""),
        ("{chargePoint: {chargePointHardwareId: {eq: \"16\"}, public: {is: true}}}", "D"),
        ("{chargePoint: {public: {isNot: true}}}", ""),
    ] {
        assert_eq!(labels(filter).await, expected, "{filter}");
    }
    let sites = async |filter: Value| {
        let query = "query($filter: SiteFilter!) { sites(filter: $filter) { name } }";
        let found = cast.owner.get(query, json!({"filter": filter})).await;
        found["sites"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (filter, expected) in [
        (json!({"connectors": {"connectorTypeName": {"eq": "CCS2"}}}), &["Full"][..]),
        (json!({"chargePoint": {"status": {"is": null}}}), &["Full"]),
        (json!({"information": {"eq": "Information"}}), &["Full"]),
        (json!({"location": {"eq": {"coordinates": [-122.4, 37.7], "type": "Point"}}}), &["Full"]),
        (json!({"location": {"like": "%-122.4%"}}), &["Full"]),
        (json!({"id": {"eq": cast.sites[1].to_string()}}), &["Empty"]),
        (json!({"id": {"eq": "none"}}), &[]),
        (json!({"ownerId": {"eq": cast.owner_id}, "default_price": {"gte": 0.5}}), &["Empty"]),
    ] {
        assert_eq!(sites(filter.clone()).await, expected, "{filter}");
    }
    let points = ask(
        &cast.owner,
        "{ chargePoints(filter: {connectors: {label: {eq: \"D\"}}}) { chargePointHardwareId } }",
    );
    assert_eq!(points.await["chargePoints"], json!([{"chargePointHardwareId": "16"}]));

    let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    let query = "query($ids: [ID!]!) { sites(filter: {id: {in: $ids}}) { id } }";
    assert_eq!(cast.owner.refused(query, json!({"ids": many})).await.1, "BAD_USER_INPUT");
}

async fn orders_and_pages(cast: &Cast) {
    let owner = &cast.owner;
    let sorted = "{ connectors(sorting: [{field: power, direction: DESC}, {field: label, direction: DESC, nulls: NULLS_LAST}]) { label } }";
    let labels: Vec<Value> = ask(owner, sorted).await["connectors"].as_array().unwrap().clone();
    assert_eq!(json!(labels), json!([{"label": "D"}, {"label": "C"}, {"label": "B"}, {"label": "A"}]));
    let page = "query($s: [ConnectorSort!]!) { connectorsPage(filter: {power: {gt: 0}}, sorting: $s, paging: {limit: 2, offset: 1}) {
                    totalCount hasNextPage nodes { label } __typename } }";
    let sorting = json!({"s": [{"field": "label", "direction": "DESC"}]});
    assert_eq!(
        owner.get(page, sorting).await["connectorsPage"],
        json!({"totalCount": 4, "hasNextPage": true, "nodes": [{"label": "C"}, {"label": "B"}], "__typename": "ConnectorPage"})
    );
    let last = ask(owner, "{ connectorsPage(paging: {offset: 3}) { hasNextPage nodes { label } } }").await;
    assert_eq!(last["connectorsPage"], json!({"hasNextPage": false, "nodes": [{"label": "D"}]}));
    // Within lists, each row's own list is filtered, ordered and paged.
    let each = "{ chargePoints { connectors(filter: {power: {gt: 0}}, sorting: {field: label, direction: DESC}, paging: {limit: 2}) { label } } }";
    assert_eq!(
        ask(owner, each).await["chargePoints"],
        json!([{"connectors": [{"label": "C"}, {"label": "B"}]}, {"connectors": [{"label": "D"}]}])
    );
    assert_eq!(owner.refused("{ sites(paging: {limit: -1}) { id } }", json!({})).await.1, "BAD_USER_INPUT");
}

async fn sums(cast: &Cast) {
    let owner = &cast.owner;
    let all = ask(
        owner,
        "{ siteAggregate { count { id } sum { default_price } avg { default_price } min { id created: name } max { location } } }",
    );
    assert_eq!(
        all.await["siteAggregate"],
        json!([{"count": {"id": 2}, "sum": {"default_price": 0.75}, "avg": {"default_price": 0.375},
                "min": {"id": cast.sites[0].to_string(), "created": "Empty"},
                "max": {"location": {"type": "Point", "coordinates": [0, 0]}}}])
    );
    let grouped = ask(
        owner,
        "{ sites { connectorsAggregate { groupBy { connectorTypeName } count { id } avg { price power } max { power } sum { power } } } }",
    )
    .await;
    assert_eq!(
        grouped["sites"],
        json!([
            {"connectorsAggregate": [
                {"groupBy": {"connectorTypeName": "CCS2"}, "count": {"id": 2}, "avg": {"price": 0.45, "power": 50},
                 "max": {"power": 50}, "sum": {"power": 100}},
                {"groupBy": {"connectorTypeName": "Type 1"}, "count": {"id": 2}, "avg": {"price": 0.25, "power": 7},
                 "max": {"power": 7}, "sum": {"power": 14}}]},
            {"connectorsAggregate": []}])
    );
    let filtered = ask(owner, "{ connectorAggregate(filter: {power: {gt: 7}}) { __typename count { id __typename } max { created_at } } }").await;
    assert_eq!(
        filtered["connectorAggregate"][0]["count"],
        json!({"id": 2, "__typename": "ConnectorCountAggregate"})
    );
    assert_eq!(filtered["connectorAggregate"][0]["__typename"], "ConnectorAggregateResponse");
    assert_eq!(
        ask(&cast.stranger, "{ connectorAggregate { count { id } } }").await["connectorAggregate"][0]["count"]
            ["id"],
        0
    );
    assert_eq!(
        ask(owner, "{ connectorAggregate { groupBy { label power } count { id } } }").await["connectorAggregate"]
            [0],
        json!({"groupBy": {"label": "A", "power": 7}, "count": {"id": 1}})
    );
}

/// Whatever a document may do, the answer has the keys in their order.
async fn documents(cast: &Cast) {
    let query = "query($deep: Boolean!, $filter: ConnectorFilter) {
        first: sites(paging: {limit: 1}) { ...Own again: name __typename connectors(filter: $filter, paging: {limit: 1}) { label } }
        sites(paging: {limit: 1}) { name @skip(if: $deep) connectors(filter: $filter, paging: {limit: 1}) @include(if: $deep) { power } ... on Site { site } }
    }
    fragment Own on Site { id connectors(filter: $filter, paging: {limit: 1}) { id ...More } }
    fragment More on Connector { sites { name } }";
    let answer = cast.owner.ask(query, json!({"deep": true})).await;
    let text = answer["data"].to_string();
    let id = cast.world.db();
    let first: i64 = sqlx::query_scalar("select min(id) from connectors").fetch_one(id).await.unwrap();
    assert_eq!(
        answer["data"],
        json!({
            "first": [{"id": cast.sites[0].to_string(), "connectors": [{"id": first.to_string(), "sites": [{"name": "Full"}], "label": "A"}],
                       "again": "Full", "__typename": "Site"}],
            "sites": [{"connectors": [{"power": 7}], "site": "Site"}],
        }),
        "{text}"
    );
}

async fn people(cast: &Cast) {
    let (text, code) = cast.owner.refused("{ me { name phone } }", json!({})).await;
    assert_eq!(
        (text.as_str(), code.as_str()),
        ("Cannot return null for non-nullable field User.phone.", "INTERNAL_SERVER_ERROR")
    );
    let answer = cast.owner.ask("{ me { name phone } }", json!({})).await;
    assert_eq!((&answer["data"], &answer["errors"][0]["path"]), (&Value::Null, &json!(["me", "phone"])));
    assert_eq!(answer["errors"][0]["locations"], json!([{"line": 1, "column": 13}]));
    sqlx::query("update users set phone = '+1415' || id where username <> 'stranger'")
        .execute(cast.world.db())
        .await
        .unwrap();
    let answer = cast.admin.ask("{ users(sorting: {field: id, direction: ASC}) { phone } }", json!({})).await;
    assert_eq!(
        (&answer["data"], &answer["errors"][0]["path"]),
        (&Value::Null, &json!(["users", 1, "phone"]))
    );
    let answer = cast.admin.ask("{ usersPage { nodes { phone } } }", json!({})).await;
    assert_eq!(answer["errors"][0]["path"], json!(["usersPage", "nodes", 1, "phone"]));
    let answer = cast
        .stranger
        .ask("query($id: ID!) { user(id: $id) { phone } }", json!({"id": cast.owner_id + 1}))
        .await;
    assert_eq!(
        (&answer["data"], &answer["errors"][0]["path"]),
        (&json!({"user": null}), &json!(["user", "phone"]))
    );

    let list = "query($f:UserFilter!,$s:[UserSort!]!){ users(filter:$f,sorting:$s){ id phone } }";
    let variables = json!({"f": {"phone": {"like": "+1%"}}, "s": [{"field": "id", "direction": "DESC"}]});
    assert_eq!(cast.admin.get(list, variables.clone()).await["users"].as_array().unwrap().len(), 3);
    assert_eq!(
        cast.owner.get(list, variables).await["users"],
        json!([{"id": cast.owner_id.to_string(), "phone": format!("+1415{}", cast.owner_id)}]),
        "a person sees himself"
    );
    let (text, code) = cast.admin.refused("{ users { password } }", json!({})).await;
    assert_eq!(
        (text.as_str(), code.as_str()),
        ("Cannot query field \"password\" on type \"User\".", "GRAPHQL_VALIDATION_FAILED")
    );
}

async fn foreign(cast: &Cast) {
    for other in [&cast.stranger, &cast.driver] {
        for query in [
            "{ sites { id } }",
            "{ chargePoints { id } }",
            "{ connectors { id } }",
            "{ organizations { id } }",
        ] {
            let answer = ask(other, query).await;
            assert_eq!(answer.as_object().unwrap().values().next().unwrap(), &json!([]), "{query}");
        }
        let one = "query($id: ID!) { site(id: $id) { id } }";
        assert_eq!(other.get(one, json!({"id": cast.sites[0]})).await["site"], Value::Null);
        assert_eq!(ask(other, "{ sitesPage { totalCount } }").await["sitesPage"]["totalCount"], 0);
        assert_eq!(
            ask(other, "{ siteAggregate { count { id } } }").await["siteAggregate"][0]["count"]["id"],
            0
        );
    }
    assert_eq!(ask(&cast.admin, "{ sites { id } }").await["sites"].as_array().unwrap().len(), 2);
    assert_eq!(
        cast.world.anybody.refused("{ sites { id } }", json!({})).await,
        ("Unauthorized".into(), "UNAUTHENTICATED".into())
    );
    for person in cast.people() {
        ask(person, "{ me { id role } }").await;
    }
}

/// What the database is asked, as its client logs it.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Summary(String);
        impl Visit for Summary {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "summary" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        if event.metadata().target() == "sqlx::query" {
            let mut summary = Summary(String::new());
            event.record(&mut summary);
            self.0.lock().unwrap().push(summary.0);
        }
    }
}

async fn statements(cast: &Cast) {
    let statements = Statements::default();
    let listening = tracing_subscriber::registry().with(statements.clone());
    let _guard = tracing::subscriber::set_default(listening);
    let nested = "{ sites { name chargePoints { chargePointName connectors { label } connectorsAggregate { count { id } } } } }";
    ask(&cast.owner, nested).await;
    let all = statements.0.lock().unwrap().clone();
    let rows = ["sites s", "charge_points cp", "connectors c"]
        .map(|table| all.iter().filter(|it| it.contains(table)).count());
    // Three lists and one sum; the rest is who asks, and the transaction.
    let levels = all
        .iter()
        .filter(|it| it.contains("child.*") || it.contains("select s.name") || it.contains("count("))
        .count();
    assert!(!all.is_empty() && levels == 4, "{rows:?} {all:#?}");
}
