//! Rows: one file per table family, plain SQL with bound parameters.

pub mod admin;
pub mod alarm;
pub mod api_key;
pub mod audit;
pub mod audit_chain;
pub mod audit_log;
pub mod bill;
pub mod bulk;
pub mod card;
pub mod command;
pub mod cursor;
pub mod document;
pub mod file;
pub mod file_step;
pub mod finding;
pub mod firmware;
pub mod gateway;
pub mod history;
pub mod lease;
pub mod limit;
pub mod list;
pub mod local_list;
pub mod login_code;
pub mod map;
pub mod member;
pub mod months;
pub mod pending_station;
pub mod primary;
pub mod projection;
pub mod quarantine;
pub mod quirk;
pub mod record;
pub mod reservation;
pub mod security;
pub mod setting;
pub mod sign_in;
pub mod site;
pub mod site_change;
pub mod station;
pub mod station_life;
pub mod station_log;
pub mod unknown_card;
pub mod user;
pub mod viewer;

use anyhow::Context;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use self::primary::Servers;
use crate::Config;

/// A connection that was idle for so long may have lost its server.
const RESTED: std::time::Duration = std::time::Duration::from_secs(1);

/// Opens the pool and brings the schema up to date; several replicas may do so at once, Postgres' advisory lock orders them.
///
/// # Errors
/// When Postgres cannot be reached, or its schema is newer than this build.
pub async fn open(config: &Config) -> anyhow::Result<PgPool> {
    let servers = Servers::parse(config.database_url.expose())?;
    let several = servers.are_several();
    let first = servers.first().await?;
    let pool = PgPoolOptions::new()
        .max_connections(config.database.max_connections)
        .acquire_timeout(std::time::Duration::from_secs(10))
        // A round trip before each statement would be a third of the small queries' time: only rested connections are tried.
        .test_before_acquire(false)
        .before_acquire(|connection, resting| {
            Box::pin(async move {
                let rested = resting.idle_for >= RESTED;
                Ok(!rested || sqlx::Connection::ping(connection).await.is_ok())
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                match several && !primary::takes_writes(connection).await {
                    true => Err(sqlx::Error::Protocol("this server of Postgres takes no writes".into())),
                    false => Ok(()),
                }
            })
        })
        .connect_with(first)
        .await
        .context("cannot connect to Postgres")?;
    sqlx::migrate!().run(&pool).await.context("cannot migrate the schema")?;
    Ok(pool)
}

/// Text from outside as Postgres can hold it.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
