//! Which of several servers of Postgres takes writes: the primary, and after its end the standby that was promoted in its place.
//!
//! libpq's `target_session_attrs=read-write`, which sqlx does not know: `postgres://user@one,two:5433/evb` names several hosts.
//! One connection looks once a second whether its server still is the primary; when it is not, the pool is turned to the one
//! that is. Who promotes a standby, and keeps the old primary from coming back as one, is another's work (Patroni, repmgr, a
//! cloud provider); that an acknowledged record is on the standby is `synchronous_standby_names`.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, PgPool};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A server that does not answer for so long is not there.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to look for a primary at the start: a standby may be about to become it.
const START: Duration = Duration::from_secs(30);

/// The servers, of which at most one takes writes.
#[derive(Clone, Debug)]
pub struct Servers(Vec<PgConnectOptions>);

impl Servers {
    /// Reads a URL of one host or of several with commas between them, each with a port of its own or the usual one.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").context("a database URL begins with postgres://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let path = without_target(path)?;
        let one = |host: &str| {
            ensure!(!host.is_empty() || !hosts.contains(','), "a host is missing between two commas");
            format!("{scheme}://{user}{host}{path}")
                .parse()
                .map_err(|_| anyhow::anyhow!("the database URL is not readable"))
        };
        Ok(Servers(hosts.split(',').map(one).collect::<anyhow::Result<_>>()?))
    }

    /// Is there a choice?
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// The one that takes writes now; the only one, whatever it takes.
    ///
    /// # Errors
    /// When none does for half a minute.
    pub async fn first(&self) -> anyhow::Result<PgConnectOptions> {
        if let [only] = &self.0[..] {
            return Ok(only.clone());
        }
        let found = async {
            loop {
                if let Some((options, _)) = self.find().await {
                    return options;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        let none = || format!("none of the {} servers of database_url takes writes", self.0.len());
        timeout(START, found).await.with_context(none)
    }

    /// Turns the pool to the primary whenever that is another one, until `stop`.
    ///
    /// # Errors
    /// None: without a primary it goes on looking.
    pub async fn follow(self, pool: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
        stop.run_until_cancelled(self.watch(&pool)).await;
        Ok(())
    }

    async fn watch(&self, pool: &PgPool) {
        let mut current: Option<PgConnection> = None;
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(connection) = &mut current
                && takes_writes(connection).await
            {
                continue;
            }
            current = None;
            if let Some((options, connection)) = self.find().await {
                let (old, new) = (place(&pool.connect_options()), place(&options));
                if old != new {
                    tracing::warn!(old, new, "another server of Postgres is the primary now");
                    metrics::counter!("database_failovers_total").increment(1);
                    pool.set_connect_options(options);
                }
                current = Some(connection);
            }
        }
    }

    async fn find(&self) -> Option<(PgConnectOptions, PgConnection)> {
        for options in &self.0 {
            if let Ok(Ok(mut connection)) = timeout(PATIENCE, options.connect()).await
                && takes_writes(&mut connection).await
            {
                return Some((options.clone(), connection));
            }
        }
        None
    }
}

/// Is its server the primary?
pub(super) async fn takes_writes(connection: &mut PgConnection) -> bool {
    let standby = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(connection);
    matches!(timeout(PATIENCE, standby).await, Ok(Ok(false)))
}

fn place(options: &PgConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}

/// The path and its parameters without libpq's word for what this module does anyway.
fn without_target(path: &str) -> anyhow::Result<String> {
    let Some((path, parameters)) = path.split_once('?') else { return Ok(path.to_owned()) };
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("target_session_attrs", "read-write" | "primary")) => {}
            Some(("target_session_attrs", other)) => {
                bail!("target_session_attrs={other}: the cloud writes, so it can only be read-write")
            }
            _ => kept.push(parameter),
        }
    }
    Ok(if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_are_read_as_libpq_does() {
        let url = "postgres://ev:p%40ss@one,two:5433/evb?sslmode=require&target_session_attrs=read-write";
        let servers = Servers::parse(url).unwrap();
        let read: Vec<_> =
            servers.0.iter().map(|it| (place(it), it.get_username(), it.get_database())).collect();
        let both = ["one:5432", "two:5433"].map(|at| (at.to_owned(), "ev", Some("evb")));
        assert_eq!(read, both);
        assert!(!Servers::parse("postgres://localhost/evb").unwrap().are_several());
        assert!(!Servers::parse("postgres:///evb?host=/run/postgresql").unwrap().are_several());
        for bad in ["evb", "postgres://one,,two/evb", "postgres://one,two/evb?target_session_attrs=standby"] {
            assert!(Servers::parse(bad).is_err(), "{bad}");
        }
    }
}
