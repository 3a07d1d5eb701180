//! The cloud: stateless replicas over Postgres.
//!
//! Gateways send facts over MQTT, `ingest` commits and projects them; people ask over GraphQL. A replica remembers nothing
//! that Postgres does not know: any of them may be killed at any moment. Coordination is row locks and sloppy leases, never a
//! leader.

// The roots of the API are merged from many parts, each a layer of futures; an optimising build looks through all of them.
#![recursion_limit = "512"]

pub mod auth;
pub mod billing;
pub mod booking;
pub mod broker;
pub mod bulk;
pub mod clock;
pub mod command;
pub mod config;
pub mod courier;
pub mod db;
pub mod documents;
pub mod files;
pub mod gateways;
pub mod graphql;
pub mod http;
pub mod ingest;
pub mod lists;
pub mod live;
pub mod metrics;
mod rate;
pub mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::serve::ListenerExt as _;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use traces::Traces;

pub use config::Config;

/// Time for what is under way when the replica is asked to end.
const LAST_WORK: Duration = Duration::from_secs(10);

/// What every part of a replica shares; cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The configuration it was started with.
    pub config: Arc<Config>,
    /// The only memory there is.
    pub db: PgPool,
    /// Changes, as they are committed by any replica.
    pub live: live::Hub,
    /// Counters, for `/metrics`.
    pub metrics: metrics::Handle,
    /// What is told of sessions.
    pub traces: Traces,
    /// The broker that enrolled gateways are told to connect to.
    pub mqtt_url: Arc<str>,
}

/// Runs a replica until it is told to end.
///
/// # Errors
/// When it cannot start, or when a part that it cannot be without ended.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let stop = CancellationToken::new();
    let metrics = metrics::install();
    let db = db::open(&config).await?;
    let instance = uuid::Uuid::new_v4().to_string();
    let (traces, courier) = Traces::start(&config.traces, "cloud", env!("CARGO_PKG_VERSION"), instance)?;

    let embedded = match (config.roles.broker, &config.mqtt.url) {
        (true, None) => Some(broker::start(&config, db.clone(), &mut tasks, &stop).await?),
        (true, Some(_)) | (false, _) => None,
    };
    let app = App {
        live: live::Hub::start(db.clone(), stop.clone()),
        mqtt_url: public_mqtt_url(&config, embedded.as_ref()).into(),
        config: Arc::new(config),
        db,
        metrics,
        traces,
    };
    if app.config.roles.ingest {
        let broker = ingest::BrokerAt::from_config(&app.config.mqtt, embedded.as_ref())?;
        tasks.spawn(ingest::run(app.clone(), broker, stop.clone()));
    }
    let servers = db::primary::Servers::parse(app.config.database_url.expose())?;
    if servers.are_several() {
        tasks.spawn(servers.follow(app.db.clone(), stop.clone()));
    }
    tasks.spawn(command::sweep(app.db.clone(), stop.clone()));
    tasks.spawn(bulk::work(app.db.clone(), app.live.clone(), stop.clone()));
    tasks.spawn(db::audit_chain::tell_head(app.db.clone(), stop.clone()));
    tasks.spawn(lists::keep(app.db.clone(), stop.clone()));
    tasks.spawn(auth::sweep(app.db.clone(), stop.clone()));
    tasks.spawn(booking::sweep(app.db.clone(), stop.clone()));
    tasks.spawn(files::sweep(app.db.clone(), app.config.files.log_days, stop.clone()));
    tasks.spawn(db::months::keep(app.db.clone(), app.config.retention.clone(), stop.clone()));
    tasks.spawn(watch::keep(app.db.clone(), stop.clone()));
    let http = serve_http(&app, &mut tasks, &stop).await?;
    announce(&app.config, http, embedded.as_ref().map(|embedded| embedded.gate))?;

    let outcome = tokio::select! {
        signal = told_to_end() => signal,
        Some(ended) = tasks.join_next() => ended.context("a part of the replica panicked").and_then(|ended| ended),
    };
    sd_notify::notify(&[sd_notify::NotifyState::Stopping]).ok();
    stop.cancel();
    tokio::time::timeout(LAST_WORK, tasks.join_all()).await.ok();
    courier.finish().await;
    outcome
}

async fn serve_http(
    app: &App,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listen = app.config.http.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("http.listen {listen}"))?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|socket| {
        // An event is one small write; without this it may wait for the acknowledgement of the one before.
        socket.set_nodelay(true).ok();
    });
    let router =
        if app.config.roles.api { http::router(app.clone()).await? } else { http::probes(app.clone()) };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    tasks.spawn(async move { serve.await.context("http") });
    tracing::info!(%address, "http listens");
    Ok(address)
}

/// What gateways are told, unless configured: the external broker, or our own gate.
fn public_mqtt_url(config: &Config, embedded: Option<&broker::Embedded>) -> String {
    let scheme = if config.mqtt.tls_cert.is_some() { "mqtts" } else { "mqtt" };
    let gate = || embedded.map(|embedded| format!("{scheme}://{}", embedded.gate));
    config.mqtt.public_url.clone().or_else(|| config.mqtt.url.clone()).or_else(gate).unwrap_or_default()
}

/// Tells tools and the service manager that it runs, and where.
fn announce(config: &Config, http: SocketAddr, mqtt: Option<SocketAddr>) -> anyhow::Result<()> {
    let mut listening = serde_json::Map::from_iter([("http".to_owned(), http.to_string().into())]);
    listening.extend(mqtt.map(|mqtt| ("mqtt".to_owned(), mqtt.to_string().into())));
    let dir = &config.data_dir;
    let (new, file) = (dir.join("listening.json.new"), dir.join("listening.json"));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&new, serde_json::Value::from(listening).to_string()))
        .and_then(|()| std::fs::rename(&new, &file))
        .with_context(|| file.display().to_string())?;
    sd_notify::notify(&[sd_notify::NotifyState::Ready]).ok();
    Ok(())
}

async fn told_to_end() -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to end");
    Ok(())
}
