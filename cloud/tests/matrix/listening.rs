//! Every subscription × everyone, all at once, while an administrator changes rows of both tenants.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::auth::{Auth, Caller};
use cloud::graphql::{Api, Event};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::model::{Model, Root};
use crate::rules::{self, Outcome};
use crate::values::{Target, Whose, variables};
use crate::world::{OURS, THEIRS, Tenant, World};
use crate::{ADMINISTRATOR, Asker, GUEST, is};

/// Long enough for what was changed to be told.
const QUIET: Duration = Duration::from_secs(2);
const ENTITIES: [&str; 5] = ["Connector", "ChargePoint", "Site", "Organization", "User"];

const DRIVER: i64 = 6;

/// Somebody at a subscription, and what he was told.
struct Ear<'a> {
    root: &'a Root<'a>,
    asker: &'a Asker,
    told: Arc<Mutex<Vec<Value>>>,
}

#[tokio::test]
async fn nobody_hears_of_what_is_not_his() {
    let (model, rules, world) = (Model::served(), rules::of_roots(), World::new().await);
    let askers = Asker::all(&world).await;
    let app = &world.shared.app;
    let api = Api::new(app.clone()).unwrap();
    let auth = Arc::new(Auth::load(&app.config, app.db.clone()).await.unwrap());
    let roots = model.roots();
    let mut ears = vec![];
    for root in roots.iter().filter(|it| it.kind == "subscription") {
        for asker in &askers {
            ears.push(listen(&model, root, asker, &api, &auth));
        }
    }
    tokio::time::sleep(QUIET).await;
    let administrator = &askers[ADMINISTRATOR];
    for tenant in [THEIRS, OURS] {
        change_everything(&model, &roots, administrator, tenant).await;
    }
    tokio::time::sleep(QUIET).await;

    let (mut wrong, mut heard) = (vec![], 0);
    for ear in &ears {
        let (rule, told) = (&rules[&ear.root.name()], ear.told.lock().unwrap());
        let expected = rule.outcomes[ear.asker.number];
        let refused = matches!(expected, Outcome::Unauthenticated | Outcome::Forbidden);
        heard += told.len();
        let good = match told.first() {
            Some(first) if refused => is(expected, rule, first).is_ok() && told.len() == 1,
            _ if refused => false,
            _ if ear.asker.number == ADMINISTRATOR => told.iter().any(|it| it["data"].is_object()),
            _ => rule.everybodys || !told.iter().any(|it| THEIRS.shows_in(&it["data"].to_string())),
        };
        if !good {
            wrong.push(format!("{} as {}: {:?}", ear.root.name(), ear.asker.name, told.first()));
        }
    }
    println!(
        "listening: {} ears at {} subscriptions, {heard} events, {} leaks",
        ears.len(),
        ears.len() / askers.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Without a filter where none is needed; else about their rows.
fn listen<'a>(model: &Model, root: &'a Root<'a>, asker: &'a Asker, api: &Api, auth: &Arc<Auth>) -> Ear<'a> {
    let theirs = Whose { tenant: THEIRS, person: DRIVER, private: false };
    let mut sent = variables(model, &root.name(), &root.arguments(), Target { row: theirs, related: theirs });
    for argument in root.arguments().iter().filter(|it| it.ty.node.nullable) {
        sent.as_object_mut().unwrap().remove(argument.name.node.as_str());
    }
    let (documents, _) = model.documents(root, &sent);
    let incoming = serde_json::from_value(json!({"query": documents[0], "variables": sent})).unwrap();
    let caller = Caller::new(Arc::clone(auth), asker.shared.token.clone(), IpAddr::from([127, 0, 0, 1]));
    let mut events = api.subscribe(incoming, caller);
    let told = Arc::new(Mutex::new(vec![]));
    let ear = Ear { root, asker, told: Arc::clone(&told) };
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let answer = match event {
                Event::Next(text) => serde_json::from_str(&text).unwrap(),
                Event::Refused(text) => json!({"errors": serde_json::from_str::<Value>(&text).unwrap()}),
            };
            told.lock().unwrap().push(answer);
        }
    });
    ear
}

/// Creates, changes and deletes of every sort, one and many, in an order in which all have something to do.
async fn change_everything(model: &Model, roots: &[Root<'_>], by: &Asker, tenant: Tenant) {
    let act = async |name: String, private: bool| {
        let root = roots.iter().find(|it| it.field.name.node == name).unwrap();
        let whose = Whose { tenant, person: if private { DRIVER } else { GUEST }, private };
        let sent = variables(model, &root.name(), &root.arguments(), Target { row: whose, related: whose });
        let (documents, _) = model.documents(root, &sent);
        let answer = by.shared.ask(&documents[0], sent).await;
        // The second tenant finds some names taken by the first.
        assert!(answer.get("errors").is_none() || tenant.base == OURS.base, "{name}: {answer}");
    };
    for entity in ENTITIES {
        act(format!("createOne{entity}"), false).await;
        act(format!("updateOne{entity}"), false).await;
        act(format!("updateMany{entity}s"), true).await;
    }
    for entity in ENTITIES {
        act(format!("deleteOne{entity}"), false).await;
        act(format!("deleteMany{entity}s"), true).await;
    }
}
