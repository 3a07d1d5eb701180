//! The broker of the one-box default: rumqttd, reachable only through our own gate.
//!
//! Bare, rumqttd 0.20 has no access rules, one silent TLS client blocks its listener, a client id with a `/` or a `$share`
//! subscription can kill it, and it cannot be restarted within a process. So it listens on a random loopback port behind a
//! password that only this process knows; the gate lets through what our protocol needs and nothing else; and a
//! watchdog sends a message around every few seconds and ends the process when it does not return: the supervisor then
//! starts a fresh one. No truth is lost with it, because none is in it (see `shared::sync`).

mod acl;
mod connection;
mod gate;
mod inner;
mod packet;
mod registry;
mod tls;
mod watchdog;

use std::net::SocketAddr;
use std::sync::Arc;

use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Config;
pub use inner::Inner;

/// The embedded broker, running.
#[derive(Debug)]
pub struct Embedded {
    /// Where gateways connect.
    pub gate: SocketAddr,
    /// Where this process connects.
    pub inner: Arc<Inner>,
}

/// Starts broker, gate and watchdog. Their ends, in `tasks`, are failures of the process.
///
/// # Errors
/// When a port or a certificate cannot be used.
pub async fn start(
    config: &Config,
    db: PgPool,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<Embedded> {
    let inner = Arc::new(inner::start(config.mqtt.max_connections)?);
    inner.reachable().await?;
    let gate = gate::Gate::bind(&config.mqtt, db, Arc::clone(&inner)).await?;
    let address = gate.address();
    tasks.spawn(gate.run(stop.clone()));
    tasks.spawn(watchdog::run(Arc::clone(&inner), watchdog::Watch::default(), stop.clone()));
    tracing::info!(%address, "mqtt gate listens");
    Ok(Embedded { gate: address, inner })
}
