//! `firmware-sim station`: one station, steered by lines of text on standard input.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use firmware_sim::{Again, Event, Station, StationConfig, Tls};
use shared::units::{Watts, Wh};
use tokio::sync::mpsc;

use super::journal;

/// Arguments of `station`.
#[derive(clap::Args)]
pub(crate) struct StationArguments {
    /// Where the CSMS is, without the identity: ws://host:port/path
    #[arg(long, env = "FIRMWARE_SIM_URL")]
    url: String,
    /// The identity
    #[arg(long, default_value = "CP1")]
    identity: String,
    /// The Basic password
    #[arg(long, env = "FIRMWARE_SIM_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Trust the authorities in this file, for wss:// URLs
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Show the certificate in this file (security profile 3)
    #[arg(long, requires = "ca", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// How many connectors
    #[arg(long, default_value_t = 1)]
    connectors: u16,
    /// What a connector can give, in watts
    #[arg(long, default_value_t = 22_000)]
    max_power: i64,
    /// What the registers show at first, in Wh
    #[arg(long, default_value_t = 1_000)]
    meter_start: i64,
    /// Simulated seconds between meter readings
    #[arg(long, default_value_t = 60)]
    meter_interval: u32,
    /// Simulated seconds in a real one
    #[arg(long, default_value_t = 1)]
    time_scale: u32,
    /// Append what every session's meter saw to this file, as JSON lines
    #[arg(long)]
    journal: Option<PathBuf>,
}

const HELP: &str = "plug N | tap N TAG | unplug N | cut | restore | net down | net up | repeat start|stop | raw TEXT \
                    | show | quit";

pub(crate) async fn run(arguments: StationArguments) -> anyhow::Result<()> {
    let tls = tls(&arguments)?;
    let mut config = StationConfig::new(arguments.url, arguments.identity);
    config.password = arguments.password;
    config.tls = tls;
    config.connectors = arguments.connectors;
    config.max_power = Watts(arguments.max_power);
    config.meter_start = Wh(arguments.meter_start);
    config.meter_interval = arguments.meter_interval;
    config.time_scale = arguments.time_scale;
    config.journal = journal(arguments.journal.as_deref())?;
    let station = Station::connect(config);
    let mut events = station.events().await;
    let mut lines = lines();
    println!("{HELP}");
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => show(&event),
                None => return Ok(()),
            },
            line = lines.recv() => match line.as_deref() {
                Some("quit") => return Ok(()),
                Some(line) => {
                    if let Err(error) = obey(&station, line).await {
                        println!("{error}");
                    }
                }
                None => return Ok(()),
            },
        }
    }
}

fn tls(arguments: &StationArguments) -> anyhow::Result<Option<Tls>> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let Some(ca) = arguments.ca.as_ref().map(read).transpose()? else { return Ok(None) };
    let identity = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        (None, _) | (_, None) => None,
    };
    let identity = identity.as_ref().map(|(certificate, key)| (certificate.as_str(), key.as_str()));
    Ok(Some(Tls::new(&ca, identity)?))
}

fn show(event: &Event) {
    println!("{event:?}");
}

async fn obey(station: &Station, line: &str) -> anyhow::Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        [] => {}
        ["plug", connector] => station.plug(connector.parse()?).await?,
        ["tap", connector, tag] => station.tap(connector.parse()?, tag).await?,
        ["unplug", connector] => station.unplug(connector.parse()?).await?,
        ["cut"] => station.cut_power().await,
        ["restore"] => station.restore_power().await,
        ["net", "down"] => station.drop_network().await,
        ["net", "up"] => station.restore_network().await,
        ["repeat", "start"] => drop(station.repeat(Again::Start, false).await?),
        ["repeat", "stop"] => drop(station.repeat(Again::Stop, false).await?),
        ["raw", ..] => station.send_raw(line.trim_start().trim_start_matches("raw").trim()).await,
        ["show"] => println!("{:#?}", station.view().await),
        _ => println!("{HELP}"),
    }
    Ok(())
}

/// Standard input, line by line. A thread of its own, because reading it blocks.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
        // Nobody is at the keyboard: the station runs on until it is ended.
        std::thread::sleep(Duration::MAX);
    });
    lines
}
