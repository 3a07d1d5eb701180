//! The cloud: stateless replicas over Postgres.
//!
//! Gateways send facts over MQTT, `ingest` commits and projects them; people ask over GraphQL. A replica remembers nothing
//! that Postgres does not know: any of them may be killed at any moment. Coordination is row locks and sloppy leases, never a
//! leader.

pub mod auth;
pub mod billing;
pub mod broker;
pub mod command;
pub mod config;
pub mod db;
pub mod documents;
pub mod gateways;
pub mod graphql;
pub mod http;
pub mod ingest;
pub mod live;
pub mod metrics;

use std::sync::Arc;

use sqlx::PgPool;

pub use config::Config;

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
}
