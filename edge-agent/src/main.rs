//! The command line of the gateway agent.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use edge_agent::clock::Clock;
use edge_agent::config::{self, Config};
use edge_agent::enroll;
use edge_agent::local::call::{self, Onboarding};
use edge_agent::local::client::{self, Terms, Wanted};
use edge_agent::local::token;
use edge_agent::pki::Authority;
use shared::id::StationId;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The site gateway of a charging site.
#[derive(Parser)]
#[command(version, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration file; see `default-config`.
    #[arg(long, global = true, env = "EDGE_CONFIG")]
    config: Option<PathBuf>,
    /// Log as JSON lines.
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the site (the default).
    Run,
    /// Print the configuration with its defaults, commented.
    DefaultConfig,
    /// Check a configuration and say what is wrong with it.
    CheckConfig,
    /// Sign a charger's certificate request with this site's authority; prints the certificate.
    SignStation {
        /// The charger's identity.
        #[arg(long)]
        station: StationId,
        /// The request, in PEM.
        #[arg(long)]
        csr: PathBuf,
    },
    /// Decide about unknown stations, at the running agent.
    Onboarding {
        #[command(subcommand)]
        wanted: Onboarding,
    },
    /// Print the installer's token for the local API and page; it is made when there is none.
    LocalToken {
        /// Make a new one; the old one is worth nothing from then on.
        #[arg(long)]
        new: bool,
    },
    /// Order something of a station, also without internet. Ends with 0 when it was done or will be, with 3 when the station
    /// is not there or does not answer, with 2 when it refused, and with 1 when it could not be ordered.
    Station {
        /// Its identity.
        station: String,
        #[command(subcommand)]
        wanted: Wanted,
        /// Seconds for which it is worth doing.
        #[arg(long, global = true)]
        expires_in: Option<u32>,
        /// Keep it until the station is there.
        #[arg(long, global = true)]
        wait: bool,
        /// Print the answer as JSON.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Trade a one-time claim code for this gateway's identity.
    Enroll {
        /// The cloud's address, such as https://charging.example.com
        #[arg(long)]
        cloud: String,
        /// The claim code that the operator gave you.
        #[arg(long)]
        claim: String,
        /// It is enrolled already, and the code renews it: it keeps its data, and every copy of it is shut out.
        #[arg(long)]
        again: bool,
        /// The data folder; that of the configuration when absent.
        #[arg(long)]
        data: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.log_json);
    // One TLS provider for the whole process, chosen here once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command(cli).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn command(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command.unwrap_or(Command::Run) {
        Command::DefaultConfig => print(config::DEFAULT),
        Command::CheckConfig => {
            Config::load(cli.config.as_deref())?.traces.check()?;
            print("the configuration is valid\n");
        }
        Command::SignStation { station, csr } => {
            let config = Config::load(cli.config.as_deref())?;
            let csr = std::fs::read_to_string(&csr).with_context(|| format!("reading {}", csr.display()))?;
            let now = Clock::new(None).now();
            print(&Authority::open(&config.data_dir, now)?.sign(&station, &csr, None, now)?.chain);
        }
        Command::Onboarding { wanted } => {
            let config = Config::load(cli.config.as_deref())?;
            print(&call::onboarding(&config.data_dir, wanted).await?);
        }
        Command::LocalToken { new } => {
            let data_dir = Config::load(cli.config.as_deref())?.data_dir;
            let token = if new { token::make(&data_dir)? } else { token::load_or_make(&data_dir)? };
            print(&format!("{token}\n"));
        }
        Command::Station { station, wanted, expires_in, wait, json } => {
            let data_dir = Config::load(cli.config.as_deref())?.data_dir;
            let terms = Terms { expires_in, wait_for_station: wait };
            let outcome = client::order(&data_dir, &station, wanted, terms).await?;
            print(&if json {
                format!("{}\n", serde_json::to_string(&outcome)?)
            } else {
                outcome.to_string()
            });
            return Ok(ExitCode::from(outcome.code()));
        }
        Command::Enroll { cloud, claim, again, data } => {
            let data_dir = match data {
                Some(data) => data,
                None => Config::load(cli.config.as_deref())?.data_dir,
            };
            let identity = enroll::enroll(&cloud, &claim, &data_dir, again).await?;
            print(&format!("enrolled as gateway {}; the agent may be started\n", identity.gateway));
        }
        Command::Run => {
            let config = Config::load(cli.config.as_deref())?;
            edge_agent::run(config, stop_signal()?).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Cancelled by SIGTERM or SIGINT.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let trigger = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        trigger.cancel();
    });
    Ok(stop)
}

fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let on_screen = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(on_screen);
    if json { builder.json().init() } else { builder.init() }
}

#[expect(clippy::print_stdout, reason = "what the person asked for")]
fn print(text: &str) {
    print!("{text}");
}
