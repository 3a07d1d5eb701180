//! `firmware-sim load`.

use std::time::Duration;

use firmware_sim::load::{LoadConfig, Mode, run as run_load};

use super::Crowd;

/// Arguments of `load`.
#[derive(clap::Args)]
pub(crate) struct LoadArguments {
    #[command(flatten)]
    crowd: Crowd,
    /// Calls a second over all stations, at fixed times; without it each station calls as soon as it is answered
    #[arg(long, conflicts_with = "idle")]
    rate: Option<u32>,
    /// Only connect, boot and stay: what does a connection cost?
    #[arg(long)]
    idle: bool,
    /// Seconds to measure
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before measuring
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// The token to charge with
    #[arg(long, default_value = "LOADTAG")]
    tag: String,
    /// Process id of the server, to measure its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Threads of the load generator itself
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: LoadArguments) -> anyhow::Result<()> {
    let (credentials, stations) = arguments.crowd.credentials()?;
    let mode = match arguments.rate {
        Some(rate) => Mode::Open { rate },
        None if arguments.idle => Mode::Idle,
        None => Mode::Closed,
    };
    let config = LoadConfig {
        url: arguments.crowd.url,
        credentials,
        stations,
        mode,
        tag: arguments.tag,
        warm_up: Duration::from_secs(arguments.warm_up),
        duration: Duration::from_secs(arguments.seconds),
        ramp: arguments.crowd.ramp,
        server: arguments.pid,
    };
    let report = run_load(config).await?;
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}
