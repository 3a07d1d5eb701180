//! Requests that were recorded at the first API, sent again in their order: the same shape, the same codes, the same messages.
//!
//! Where we differ on purpose, `recorded.json` says which fix it is and what the answer is now. Numbers, ids and times are
//! another's; words, fields, kinds and errors are the same.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::HashMap;

use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use support::{Person, api_with, send};
use tempfile::TempDir;

#[derive(Deserialize)]
struct Recorded {
    name: String,
    #[serde(rename = "as")]
    asker: String,
    /// What happened meanwhile, as SQL.
    before: Option<String>,
    query: String,
    #[serde(default)]
    variables: Value,
    status: u16,
    answer: Value,
    ours: Option<Ours>,
}

/// What is different now, and why.
#[derive(Deserialize)]
struct Ours {
    fix: String,
    answer: Value,
}

struct Stage {
    _dir: TempDir,
    _postgres: stack::postgres::Postgres,
    app: cloud::App,
    people: HashMap<&'static str, Person>,
    code: String,
}

impl Stage {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let postgres = stack::postgres::Postgres::start(dir.path()).await.unwrap();
        let url = postgres.create_database().await.unwrap();
        let (router, app) = api_with(&url, |config| config.auth.dev_mailbox = true).await;
        sqlx::migrate!().run(&app.db).await.unwrap();
        let nobody = Person { router, token: None };
        let mut stage = Self {
            _dir: dir,
            _postgres: postgres,
            app,
            people: [("nobody", nobody)].into(),
            code: String::new(),
        };
        stage.sql("alter sequence sites_id_seq restart with 2").await;
        stage.code = stage.send_code(json!({"email": "owner@test.com"})).await;
        stage
    }

    async fn sql(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&self.app.db).await.unwrap();
    }

    fn nobody(&self) -> &Person {
        &self.people["nobody"]
    }

    /// Asks for a one-time code and reads it.
    async fn send_code(&self, contact: Value) -> String {
        let send_code =
            "mutation($input: SendCodeLoginInputDTO!) { sendCodeLogin(input: $input) { status } }";
        self.nobody().get(send_code, json!({"input": contact})).await;
        let mailbox =
            Request::get("/dev/mail").header("host", "localhost").header("accept", "application/json");
        let (_, messages) = send(&self.nobody().router, mailbox.body(Body::empty()).unwrap()).await;
        let text = messages[0]["text"].as_str().unwrap();
        let digits = text.split(|it: char| !it.is_ascii_digit()).find(|it| it.len() == 6);
        digits.unwrap_or_else(|| panic!("no code in {text}")).to_owned()
    }

    /// The people of the recording, after the first of them signed in there.
    async fn people_come(&mut self, token: &str) {
        self.people.insert("owner", Person { token: Some(token.to_owned()), ..self.nobody().clone() });
        for (name, contact) in [
            ("driver", json!({"phone": "+14155552671"})),
            ("stranger", json!({"email": "stranger@test.com"})),
        ] {
            let mut input = contact.clone();
            input["code"] = json!(self.send_code(contact).await);
            let login = "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken } }";
            let token =
                self.nobody().get(login, json!({"input": input})).await["login"]["accessToken"].take();
            let token = Some(token.as_str().unwrap().to_owned());
            self.people.insert(name, Person { token, ..self.nobody().clone() });
        }
    }

    async fn replay(&self, it: &Recorded) -> (u16, Value) {
        let variables = it.variables.to_string().replace("$code", &self.code);
        let body = format!(r#"{{"query": {}, "variables": {variables}}}"#, json!(it.query));
        let mut request = Request::post("/graphql").header("content-type", "application/json");
        if let Some(token) = &self.people[it.asker.as_str()].token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let (status, answer) = send(&self.nobody().router, request.body(body.into()).unwrap()).await;
        (status.as_u16(), answer)
    }
}

#[tokio::test]
async fn what_was_recorded_is_answered_so_again() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("replay/recorded.json")).unwrap();
    let mut stage = Stage::new().await;
    let (mut wrong, mut fixed) = (vec![], 0);
    for it in &recorded {
        if let Some(sql) = &it.before {
            stage.sql(sql).await;
        }
        let (status, answer) = stage.replay(it).await;
        let (expected, why) = match &it.ours {
            Some(ours) => (&ours.answer, format!(" (fix {})", ours.fix)),
            None => (&it.answer, String::new()),
        };
        fixed += usize::from(it.ours.is_some());
        let mut places = vec![];
        compare("", expected, &answer, &mut places);
        if status != it.status {
            places.push(format!("status {status}, not {}", it.status));
        }
        if !places.is_empty() {
            wrong.push(format!("{}{why}:\n  {}\n  {answer}", it.name, places.join("\n  ")));
        }
        if let Some(token) = answer.pointer("/data/login/accessToken") {
            stage.people_come(token.as_str().unwrap()).await;
        }
    }
    println!("replay: {} recorded requests, {} with a documented fix", recorded.len(), fixed);
    assert!(wrong.is_empty(), "{} differ\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Where `found` is not of the shape of `expected`.
fn compare(place: &str, expected: &Value, found: &Value, wrong: &mut Vec<String>) {
    let good = match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for name in expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name))) {
                match (expected.get(name), found.get(name)) {
                    (Some(expected), Some(found)) => {
                        compare(&format!("{place}.{name}"), expected, found, wrong)
                    }
                    // By which we find it in our log.
                    (None, _) if name == "requestId" => {}
                    (None, _) => wrong.push(format!("{place}.{name} is new")),
                    (_, None) => wrong.push(format!("{place}.{name} is missing")),
                }
            }
            true
        }
        (Value::Array(expected), Value::Array(found)) => {
            for (index, item) in found.iter().enumerate() {
                // Lists hold other rows than there; each looks like one of those.
                let mut closest: Option<Vec<String>> = None;
                for like in expected {
                    let mut places = vec![];
                    compare(&format!("{place}[{index}]"), like, item, &mut places);
                    if closest.as_ref().is_none_or(|it| places.len() < it.len()) {
                        closest = Some(places);
                    }
                }
                wrong.extend(closest.unwrap_or_else(|| vec![format!("{place} should be empty")]));
            }
            expected.is_empty() == found.is_empty()
        }
        (Value::String(expected), Value::String(found)) => {
            expected == found
                || (is_number(expected) && is_number(found))
                || (is_time(expected) && is_time(found))
                || (expected == "<jwt>" && found.split('.').count() == 3)
        }
        // Where in the query an error was found is exact, and a status is.
        (Value::Number(_), Value::Number(_)) if place.starts_with(".errors") => expected == found,
        (Value::Number(_), Value::Number(_)) => true,
        (expected, found) => expected == found,
    };
    if !good {
        wrong.push(format!("{place} is {found}, not like {expected}"));
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// ISO 8601, milliseconds, UTC: the only form that apps know.
fn is_time(text: &str) -> bool {
    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3fZ").is_ok() && text.len() == 24
}
