//! The command line of the cloud.
// The roots of the API are merged from many parts, each a layer of futures; an optimising build looks through all of them.
#![recursion_limit = "512"]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line prints its answers and its errors"
)]

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use cloud::config::{DEFAULT, Log, Roles};
use cloud::db::audit_chain::{self, Head};
use cloud::ingest::replay::{Replayed, replay};
use cloud::{Config, auth, db, gateways};
use tracing_subscriber::EnvFilter;

/// EV charging: the cloud.
#[derive(Parser)]
#[command(name = "cloud", version)]
struct Cli {
    /// TOML file; the environment (CLOUD_HTTP__LISTEN=…, DATABASE_URL) wins over it.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a replica (the default).
    Run {
        /// What it does: api, ingest, broker.
        #[arg(long)]
        roles: Option<Roles>,
    },
    /// Print the annotated default configuration.
    DefaultConfig,
    /// Manage administrators.
    #[command(subcommand)]
    Admin(Admin),
    /// Manage gateways.
    #[command(subcommand)]
    Gateway(Gateway),
    /// The log of what people changed.
    #[command(subcommand)]
    Audit(Audit),
    /// Records of gateways that could not be applied.
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Write what an external broker needs to keep gateways apart.
    BrokerAcl {
        /// Which broker.
        #[arg(value_parser = ["mosquitto", "nats"])]
        broker: String,
        /// The folder to write to.
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Subcommand)]
enum Admin {
    /// Create an administrator, or give an existing one a new password.
    Create {
        /// The login.
        #[arg(long)]
        email: String,
        /// Take the password from standard input instead of making one.
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Subcommand)]
enum Audit {
    /// Check that nobody altered it. Prints its head; fails and names the first entry that is not what was written.
    Verify {
        /// A head printed or logged earlier: the log must still contain it.
        #[arg(long)]
        head: Option<Head>,
    },
}

#[derive(Subcommand)]
enum Quarantine {
    /// Print those that wait: row, time, gateway, lane, number, kind, and why.
    List,
    /// Try all that wait once more, after an upgrade or a repair. Fails when some are left, and says why.
    Replay,
}

#[derive(Subcommand)]
enum Gateway {
    /// Print a one-time code with which a box becomes the gateway of a site.
    Claim {
        /// The site's id.
        #[arg(long)]
        site: i64,
        /// For how long: 30s, 15m, 1h, 2d.
        #[arg(long, default_value = "1h", value_parser = duration)]
        ttl: Duration,
    },
    /// Take the right to connect from a gateway, for example a stolen one.
    Revoke {
        /// Its id.
        #[arg(long)]
        gateway: shared::id::GatewayId,
    },
}

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok()
        .context("a TLS provider is installed already")?;
    if matches!(cli.command, Some(Command::DefaultConfig)) {
        print!("{DEFAULT}");
        return Ok(());
    }
    let mut config = Config::load(cli.config.as_deref())?;
    if let Some(Command::Run { roles: Some(roles) }) = &cli.command {
        config.roles = *roles;
        config = config.checked()?;
    }
    log_to_stderr(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(execute(cli.command.unwrap_or(Command::Run { roles: None }), config))
}

async fn execute(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Run { .. } => cloud::run(config).await,
        Command::DefaultConfig => Ok(()),
        Command::Admin(Admin::Create { email, password_stdin }) => {
            create_admin(&config, &email, password_stdin).await
        }
        Command::Gateway(Gateway::Claim { site, ttl }) => {
            let claim =
                gateways::create_claim(&db::open(&config).await?, site, ttl).await.context("claim code")?;
            println!("{}", claim.code);
            Ok(())
        }
        Command::Gateway(Gateway::Revoke { gateway }) => {
            if !db::gateway::revoke(&db::open(&config).await?, gateway).await? {
                bail!("no such gateway, or revoked already");
            }
            Ok(())
        }
        Command::Audit(Audit::Verify { head }) => {
            match audit_chain::verify(&db::open(&config).await?, head.as_ref()).await? {
                Some(head) => println!("{head}"),
                None => println!("empty"),
            }
            Ok(())
        }
        Command::Quarantine(wanted) => quarantine(&db::open(&config).await?, wanted).await,
        Command::BrokerAcl { broker, out } => write_broker_files(&config, &broker, &out).await,
    }
}

async fn quarantine(db: &sqlx::PgPool, wanted: Quarantine) -> anyhow::Result<()> {
    match wanted {
        Quarantine::List => {
            for it in db::quarantine::waiting(db, 0, i64::MAX).await? {
                let lane = it.origin().map_or("?", |origin| origin.lane.name());
                let kind = it.kind.map_or_else(|| "?".to_owned(), |kind| kind.to_string());
                println!(
                    "{}\t{}\t{}\t{lane} {}\tkind {kind}\t{}",
                    it.id, it.parked_at, it.gateway_id, it.seq, it.reason
                );
            }
        }
        Quarantine::Replay => {
            let Replayed { done, left } = replay(db).await?;
            println!("{done} applied, {} left", left.len());
            left.iter().for_each(|(id, reason)| println!("{id}\t{reason}"));
            if !left.is_empty() {
                bail!("{} records still cannot be applied; they stay where they are", left.len());
            }
        }
    }
    Ok(())
}

async fn create_admin(config: &Config, email: &str, password_stdin: bool) -> anyhow::Result<()> {
    let password = if password_stdin { read_password()? } else { auth::random_text(18) };
    let hash = auth::hash_password(&password).await?;
    db::admin::upsert(&db::open(config).await?, email, &hash).await?;
    if !password_stdin {
        println!("{password}");
    }
    Ok(())
}

fn read_password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(1024).read_to_string(&mut text).context("standard input")?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.chars().count() < 8 {
        bail!("a password has at least 8 characters");
    }
    Ok(password.to_owned())
}

async fn write_broker_files(config: &Config, broker: &str, out: &Path) -> anyhow::Result<()> {
    let db = db::open(config).await?;
    if broker == "nats" {
        gateways::nats::write(config, &db, out).await?;
        println!("wrote evb.conf to {}", out.display());
    } else {
        gateways::mosquitto::write(config, &db, out).await?;
        println!("wrote passwords, acl and evb.conf to {}", out.display());
    }
    Ok(())
}

fn log_to_stderr(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(format!("{},rumqttd=off,sqlx::postgres::notice=warn", log.filter)))
        .context("log.filter")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if log.json {
        builder.json().init()
    } else {
        builder.init()
    }
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration such as 30s, 15m, 1h or 2d");
    let (unit_at, unit) = text.char_indices().next_back().ok_or_else(wrong)?;
    let count: u64 = text[..unit_at].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "h", "1", "1w", "-1h", "1.5h", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
