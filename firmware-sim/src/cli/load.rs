//! `firmware-sim load`.

use std::time::Duration;

use firmware_sim::StationConfig;
use firmware_sim::load::{LoadConfig, Mode, Report, hostile, run as run_load};

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
    /// So many hostile frames meanwhile, of one more station; the load is measured without them first
    #[arg(long, requires = "hostile_identity")]
    hostile: Option<u32>,
    /// That station's identity; its password is --password
    #[arg(long)]
    hostile_identity: Option<String>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: LoadArguments) -> anyhow::Result<()> {
    let hostile = arguments.hostile_station();
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
    let print = |report: &Report| match arguments.json {
        true => println!("{}", report.to_json()),
        false => print!("{report}"),
    };
    print(&run_load(config.clone()).await?);
    let Some((station, frames)) = hostile else { return Ok(()) };
    let (report, done) = tokio::join!(run_load(config), hostile::run(&station, frames));
    print(&report?);
    let done = done?;
    println!(
        "hostile   {} frames in {:.1} s meanwhile, {} answers, thrown out {} times",
        done.frames,
        done.took.as_secs_f64(),
        done.answers,
        done.thrown_out
    );
    Ok(())
}

impl LoadArguments {
    fn hostile_station(&self) -> Option<(StationConfig, u32)> {
        let mut station = StationConfig::new(self.crowd.url.clone(), self.hostile_identity.clone()?);
        station.password.clone_from(&self.crowd.password);
        Some((station, self.hostile?))
    }
}
