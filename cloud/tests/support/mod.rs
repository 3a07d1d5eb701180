//! An API without a process around it: the real router, asked in memory.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its own part; a test that cannot go on has failed"
)]

pub(crate) mod peers;
pub(crate) mod socket;
pub(crate) mod world;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use cloud::{App, Config, config::Secret, config::SigningKey};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The API over a database, or over none when the address leads nowhere.
pub(crate) async fn api(database_url: &str) -> (Router, App) {
    api_with(database_url, |_| ()).await
}

/// A key that signs tokens.
pub(crate) fn key(kid: &str) -> SigningKey {
    SigningKey { kid: kid.into(), secret: Secret::new(format!("{kid} 0123456789abcdef0123456789abcdef")) }
}

/// The same, configured further.
pub(crate) async fn api_with(database_url: &str, configure: impl FnOnce(&mut Config)) -> (Router, App) {
    let mut config = Config { database_url: Secret::new(database_url), ..Config::default() };
    config.auth.signing_keys = vec![key("test")];
    configure(&mut config);
    let db = PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(std::time::Duration::from_secs(2))
        .connect_lazy(database_url)
        .unwrap();
    let app = App {
        config: Arc::new(config),
        live: cloud::live::Hub::start(db.clone(), CancellationToken::new()),
        db,
        metrics: cloud::metrics::install(),
        traces: Default::default(),
        mqtt_url: "mqtt://127.0.0.1:1883".into(),
    };
    (cloud::http::router(app.clone()).await.unwrap(), app)
}

/// Nothing listens there.
pub(crate) const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/none";

/// Sends a request and reads the answer as JSON.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()))
}

/// Posts any body.
pub(crate) async fn post(router: &Router, body: impl Into<Body>) -> (StatusCode, Value) {
    let request =
        Request::post("/graphql").header("content-type", "application/json").body(body.into()).unwrap();
    send(router, request).await
}

/// Somebody who asks: nobody in particular without a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) router: Router,
    pub(crate) token: Option<String>,
}

impl Person {
    /// The whole answer.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables}).to_string();
        let mut request = Request::post("/graphql").header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        send(&self.router, request.body(body.into()).unwrap()).await.1
    }

    /// The data of an answer without errors.
    pub(crate) async fn get(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// The first error's message and code.
    pub(crate) async fn refused(&self, query: &str, variables: Value) -> (String, String) {
        let answer = self.ask(query, variables).await;
        let error = &answer["errors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{query}: {answer}")).to_owned();
        (text(&error["message"]), text(&error["extensions"]["code"]))
    }
}
