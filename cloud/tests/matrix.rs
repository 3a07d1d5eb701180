//! Every field of the schema × everyone who might ask × whose rows it is about.
//!
//! Who asks belongs to one tenant. Each question goes to two databases, one where that tenant is alone and one where another
//! tenant is, too; but for the ids that it named itself, the asker must get the same answer from both: then nothing of the
//! other tenant, not even that a row exists, can be learnt by any answer, count or error. And no row of theirs may change.
//! A field, argument or table that is not known here fails the test and says where to add it.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed"
)]

#[path = "matrix/listening.rs"]
mod listening;
#[path = "matrix/model.rs"]
mod model;
#[path = "matrix/rules.rs"]
mod rules;
mod support;
#[path = "matrix/values.rs"]
mod values;
#[path = "matrix/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use model::{Model, Root};
use rules::{Outcome, Rule};
use serde_json::{Value, json};
use support::Person;
use values::{Target, Whose, variables};
use world::{OURS, THEIRS, World};

/// Username (of our tenant, but for the administrator), number within the tenant.
const ASKERS: [(&str, i64); 9] = [
    ("", 6),
    ("ours-driver", 6),
    ("ours-owner", 1),
    ("ours-founder", 2),
    ("ours-operator", 3),
    ("ours-installer", 4),
    ("ours-viewer", 5),
    ("ours-service", 7),
    ("administrator", 2),
];
const ADMINISTRATOR: usize = 8;
/// Somebody of the tenant who is none of the askers.
const GUEST: i64 = 8;

/// Fewer than the API has database connections.
const AT_ONCE: usize = 5;

const TARGETS: [&str; 4] = ["own", "neighbour", "foreign", "own with foreign"];

struct Asker {
    name: &'static str,
    number: usize,
    person: i64,
    alone: Person,
    shared: Person,
}

impl Asker {
    async fn all(world: &World) -> Vec<Asker> {
        let mut all = vec![];
        for (number, (username, person)) in ASKERS.into_iter().enumerate() {
            let (alone, shared) = match username {
                "" => (world.alone.anybody.clone(), world.shared.anybody.clone()),
                _ => (world.alone.person(username).await, world.shared.person(username).await),
            };
            let name = if username.is_empty() { "nobody" } else { username };
            all.push(Asker { name, number, person, alone, shared });
        }
        all
    }

    fn target(&self, name: &str) -> Target {
        let private = self.person == 1;
        let own = Whose { tenant: OURS, person: self.person, private };
        let neighbour = Whose { person: GUEST, private: !private, ..own };
        let foreign = Whose { tenant: THEIRS, ..own };
        match name {
            "own" => Target { row: own, related: own },
            "neighbour" => Target { row: neighbour, related: neighbour },
            "foreign" => Target { row: foreign, related: foreign },
            _ => Target { row: own, related: foreign },
        }
    }
}

#[derive(Default)]
struct Findings {
    cells: usize,
    requests: usize,
    wrong: Vec<String>,
}

impl Findings {
    fn add(&mut self, other: Findings) {
        self.cells += other.cells;
        self.requests += other.requests;
        self.wrong.extend(other.wrong);
    }
}

#[tokio::test]
async fn nobody_learns_or_changes_what_is_not_his() {
    let model = Model::served();
    let rules = rules::of_roots();
    check_rules(&model, &rules);
    let mut world = World::new().await;
    let askers = Asker::all(&world).await;
    world.keep().await;
    let (mut findings, mut visited) = (Findings::default(), BTreeSet::new());
    for root in model.roots() {
        let rule = &rules[&root.name()];
        let given = question(&model, &root, &askers[0], "own");
        let (documents, seen) = model.documents(&root, &given);
        visited.extend(seen);
        let questions = askers.iter().flat_map(|asker| TARGETS.map(|target| (asker, target)));
        let questions = questions.map(|(asker, target)| {
            let sent = question(&model, &root, asker, target);
            Question { world: &world, root: &root, rule, asker, target, sent }
        });
        // Without an id in it, a question is the same whomever it is about.
        let own = |asker| question(&model, &root, asker, "own");
        let questions = questions.filter(|it| it.target == "own" || it.sent != own(it.asker));
        match root.kind {
            "query" => {
                let answers = stream::iter(questions.map(|it| it.ask_all(&documents)));
                let found: Vec<Findings> = answers.buffered(AT_ONCE).collect().await;
                found.into_iter().for_each(|it| findings.add(it));
            }
            // One after the other, with every row put back in between.
            "mutation" => {
                for it in questions {
                    findings.add(it.ask_all(&documents).await);
                }
            }
            _ => {}
        }
    }
    let all = model.every_field();
    let unvisited: Vec<_> = all.difference(&visited).filter(|it| !it.starts_with("Subscription.")).collect();
    assert!(unvisited.is_empty(), "no question gets to {unvisited:?}");
    println!(
        "matrix: {} fields ({} at the top) × {} askers × {} targets: {} cells by {} requests, {} leaks",
        all.len(),
        model.roots().len(),
        askers.len(),
        TARGETS.len(),
        findings.cells,
        findings.requests,
        findings.wrong.len()
    );
    assert!(findings.wrong.is_empty(), "{}", findings.wrong.join("\n"));
}

/// Every field and every argument has a rule, and every rule a field.
fn check_rules(model: &Model, rules: &BTreeMap<String, Rule>) {
    let roots: BTreeSet<String> = model.roots().iter().map(Root::name).collect();
    let mut unknown: BTreeSet<String> = BTreeSet::new();
    for root in roots.iter().filter(|it| !rules.contains_key(*it)) {
        unknown.insert(format!("{root} has no rule: decide who may ask it, in tests/matrix/rules.txt"));
    }
    for (name, rule) in rules {
        assert_eq!(rule.outcomes.len(), ASKERS.len(), "{name}: one letter per asker");
        if !roots.contains(name) {
            unknown.insert(format!("{name} is not served: take it out of tests/matrix/rules.txt"));
        }
    }
    let (all, known) = (model.every_field(), rules::of_fields());
    for field in all.difference(&roots).filter(|it| !rules::knows(&known, it)) {
        unknown.insert(format!(
            "{field} is new: may whoever sees the object see it? See tests/matrix/fields.txt"
        ));
    }
    for field in known.difference(&all) {
        unknown.insert(format!("{field} is not served: take it out of tests/matrix/fields.txt"));
    }
    let own = Whose { tenant: OURS, person: 1, private: true };
    for root in model.roots() {
        let sent = variables(model, &root.name(), &root.arguments(), Target { row: own, related: own });
        for argument in values::without_rule(&sent) {
            unknown.insert(format!("{argument} has no value: add one to tests/matrix/values.in"));
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.into_iter().collect::<Vec<_>>().join("\n"));
}

fn question(model: &Model, root: &Root<'_>, asker: &Asker, target: &str) -> Value {
    variables(model, &root.name(), &root.arguments(), asker.target(target))
}

/// A cell of the matrix.
struct Question<'a> {
    world: &'a World,
    root: &'a Root<'a>,
    rule: &'a Rule,
    asker: &'a Asker,
    target: &'static str,
    sent: Value,
}

impl Question<'_> {
    async fn ask_all(self, documents: &[String]) -> Findings {
        let mut findings = Findings { cells: 1, ..Findings::default() };
        for document in documents {
            self.ask(document, &mut findings).await;
        }
        findings
    }

    async fn ask(&self, document: &str, findings: &mut Findings) {
        let mut wrong = |what: String| {
            let (name, asker, target) = (self.root.name(), self.asker.name, self.target);
            findings.wrong.push(format!("{name} as {asker} about {target}: {what}\n  {}", self.sent));
        };
        let changes = self.root.kind == "mutation";
        let written = if changes { self.world.shared.written().await } else { String::new() };
        let shared = self.asker.shared.ask(document, self.sent.clone()).await;
        findings.requests += 1;
        if let Some(expected) = expected(self.rule, self.asker, self.target)
            && let Err(why) = is(expected, self.rule, &shared)
        {
            wrong(format!("{why}: {shared}"));
        }
        let stranger = self.asker.number != ADMINISTRATOR && !self.rule.everybodys;
        if stranger {
            let alone = self.asker.alone.ask(document, self.sent.clone()).await;
            findings.requests += 1;
            if masked(&alone) != masked(&shared) {
                wrong(format!("it shows that others exist:\n  alone  {alone}\n  shared {shared}"));
            }
        }
        if changes && self.world.shared.written().await != written {
            self.world.alone.restore().await;
            let touched = self.world.shared.restore().await;
            if stranger && !touched.is_empty() {
                wrong(format!("it changed their rows in {touched:?}: {shared}"));
            }
        }
    }
}

/// What must become of it, where that is certain.
fn expected(rule: &Rule, asker: &Asker, target: &str) -> Option<Outcome> {
    let own = rule.outcomes[asker.number];
    match own {
        _ if target == "own" => Some(own),
        Outcome::Unauthenticated | Outcome::Forbidden => Some(own),
        Outcome::Given | Outcome::Missing if target == "own with foreign" || rule.everybodys => None,
        Outcome::Given if asker.number == ADMINISTRATOR => Some(own),
        Outcome::Given | Outcome::Missing => Some(Outcome::Missing),
    }
}

fn is(expected: Outcome, rule: &Rule, answer: &Value) -> Result<(), String> {
    let error = &answer["errors"][0];
    let (code, message) = (&error["extensions"]["code"], &error["message"]);
    let refused = match code.as_str() {
        Some("UNAUTHENTICATED") if message == "Unauthorized" => Outcome::Unauthenticated,
        Some("FORBIDDEN") => Outcome::Forbidden,
        // What `deleteOrganization` has always said instead.
        Some("UNAUTHENTICATED") if message == "You not owned this organization!" => Outcome::Missing,
        Some("INTERNAL_SERVER_ERROR") if error["extensions"]["status"] == 404 => Outcome::Missing,
        Some("INTERNAL_SERVER_ERROR" | "GRAPHQL_VALIDATION_FAILED" | "GRAPHQL_PARSE_FAILED") => {
            return Err("the question is wrong, or the answer".into());
        }
        Some(_) => Outcome::Given,
        None if shows_nothing(&answer["data"]) => Outcome::Missing,
        None => Outcome::Given,
    };
    let good = refused == expected
        // Refused without a look at whether the row is there.
        || (expected == Outcome::Missing && refused == Outcome::Forbidden)
        // Whether a mutation without an error did something, its own tests tell.
        || (expected == Outcome::Given && refused == Outcome::Missing && rule.plain && code.is_null());
    if good { Ok(()) } else { Err(format!("{refused:?}, not {expected:?}")) }
}

/// Not one id, text or count of anybody's.
fn shows_nothing(data: &Value) -> bool {
    match data {
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            shows_nothing(value)
                && !(name.ends_with("Count") && value.as_f64().is_some_and(|count| count > 0.0))
        }),
        Value::Array(items) => items.iter().all(shows_nothing),
        Value::Null | Value::Bool(_) => true,
        Value::Number(_) | Value::String(_) => {
            let text = data.to_string();
            !OURS.shows_in(&text) && !THEIRS.shows_in(&text)
        }
    }
}

/// An answer without what is another one each time: times, made secrets, random ids.
fn masked(answer: &Value) -> Value {
    match answer {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), masked_field(name, value))).collect()
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) if is_time(text) => json!("<time>"),
        Value::String(text) => {
            // By itself, or at the end of a path.
            let (path, last) = text.rsplit_once('/').unwrap_or(("", text));
            let is_new = uuid::Uuid::try_parse(last).is_ok() && !last.starts_with(OURS.hex);
            if is_new { json!(format!("{path}/<uuid>")) } else { answer.clone() }
        }
        other => other.clone(),
    }
}

fn masked_field(name: &str, value: &Value) -> Value {
    const MADE: [&str; 8] =
        ["at", "key", "accessToken", "refreshToken", "code", "password", "secret", "requestId"];
    if !value.is_null() && MADE.contains(&name) && !is_error_code(value) {
        json!("<made>")
    } else {
        masked(value)
    }
}

/// Errors have a `code`, too.
fn is_error_code(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}
