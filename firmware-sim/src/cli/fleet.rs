//! `firmware-sim fleet`.

use std::path::PathBuf;
use std::time::Duration;

use firmware_sim::StationConfig;
use firmware_sim::fleet::{FleetConfig, run as run_fleet};

use super::{Crowd, journal};

/// Arguments of `fleet`.
#[derive(clap::Args)]
pub(crate) struct FleetArguments {
    #[command(flatten)]
    crowd: Crowd,
    /// Connectors of each station
    #[arg(long, default_value_t = 1)]
    connectors: u16,
    /// Sessions on each connector
    #[arg(long, default_value_t = 1)]
    sessions: u32,
    /// A token that drivers have; give several times for several
    #[arg(long = "tag", default_values_t = [String::from("TAG-1")])]
    tags: Vec<String>,
    /// Simulated seconds in a real one
    #[arg(long, default_value_t = 60)]
    time_scale: u32,
    /// Simulated seconds that a session lasts at most; half of it at least
    #[arg(long, default_value_t = 3600)]
    charge: u64,
    /// Simulated seconds that a connector stays empty at most; half of it at least
    #[arg(long, default_value_t = 300)]
    idle: u64,
    /// Simulated seconds between meter readings
    #[arg(long, default_value_t = 300)]
    meter_interval: u32,
    /// Seconds by which the stations' clocks are moved; a scaled clock runs ahead, so start it in the past
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i64,
    /// Seconds to wait for connections and, at the end, for answers
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// Append what every session's meter saw to this file, as JSON lines
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Print one JSON object instead of a sentence
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: FleetArguments) -> anyhow::Result<()> {
    let (credentials, stations) = arguments.crowd.credentials()?;
    let mut template = StationConfig::new(arguments.crowd.url, "");
    template.connectors = arguments.connectors;
    template.time_scale = arguments.time_scale;
    template.meter_interval = arguments.meter_interval;
    template.clock_offset = arguments.clock_offset.saturating_mul(1000);
    template.journal = journal(arguments.journal.as_deref())?;
    let summary = run_fleet(FleetConfig {
        template,
        credentials,
        stations,
        ramp: arguments.crowd.ramp,
        tags: arguments.tags,
        sessions: arguments.sessions,
        charge_seconds: arguments.charge,
        idle_seconds: arguments.idle,
        patience: Duration::from_secs(arguments.patience),
    })
    .await;
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        println!(
            "{} sessions, {} answered, {} Wh, {} stations with unanswered messages, {} violations of the schema",
            summary.sessions, summary.answered, summary.energy_wh, summary.undrained, summary.violations
        );
    }
    anyhow::ensure!(summary.is_clean(), "not every session was answered as it should be");
    Ok(())
}
