//! `firmware-sim station`: one station, steered by lines of text on standard input.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use firmware_sim::{Again, Event, Station, StationConfig, Tls};
use shared::model::security::RootUse;
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
    /// The security profile, 0 to 3; what the URL, the password and the certificate make of it when left out
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=3))]
    security_profile: Option<u8>,
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
                    | show | security | quit";

pub(crate) async fn run(arguments: StationArguments) -> anyhow::Result<()> {
    let tls = tls(&arguments)?;
    let mut config = StationConfig::new(arguments.url, arguments.identity);
    config.password = arguments.password;
    config.tls = tls;
    config.security_profile = arguments.security_profile;
    check_profile(&config, arguments.certificate.is_some())?;
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

/// A profile that the rest of the arguments does not make possible would only fail at the door.
fn check_profile(config: &StationConfig, has_certificate: bool) -> anyhow::Result<()> {
    let encrypted = config.url.starts_with("wss://");
    match config.security_profile {
        None | Some(0) => Ok(()),
        Some(1) if encrypted => bail!("profile 1 is not encrypted: give a ws:// URL, or profile 2"),
        Some(2 | 3) if !encrypted => bail!("profiles 2 and 3 are encrypted: give a wss:// URL, or profile 1"),
        Some(2 | 3) if config.tls.is_none() => bail!("whom to trust? Give --ca FILE"),
        Some(3) if !has_certificate => bail!("profile 3 shows a certificate: give --certificate and --key"),
        Some(1 | 2) if config.password.is_none() => {
            bail!("profiles 1 and 2 show a password: give --password")
        }
        Some(_) => Ok(()),
    }
}

/// How it is secured, without its secrets.
async fn show_security(station: &Station) {
    println!("{:#?}", station.access().await);
    for what in [RootUse::CentralSystem, RootUse::Manufacturer] {
        for root in station.roots(what).await {
            println!("trusts for {}: serial {}", what.name(), root.serial);
        }
    }
    println!("reported: {}", station.reported().await.join(", "));
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
        ["security"] => show_security(station).await,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_cannot_be_is_told() {
        let check = |url: &str, password: Option<&str>, tls: bool, profile: u8, certificate: bool| {
            let mut config = StationConfig::new(url, "CP1");
            config.password = password.map(str::to_owned);
            config.tls = tls.then(|| Tls::new("", None).unwrap());
            config.security_profile = Some(profile);
            check_profile(&config, certificate).map_err(|error| error.to_string())
        };
        for (told, missing) in [
            (check("wss://a", Some("p"), true, 1, false), "a ws:// URL"),
            (check("ws://a", Some("p"), true, 2, false), "a wss:// URL"),
            (check("wss://a", Some("p"), false, 2, false), "--ca"),
            (check("wss://a", None, true, 3, false), "--certificate"),
            (check("wss://a", None, true, 2, false), "--password"),
            (check("ws://a", None, false, 1, false), "--password"),
        ] {
            assert!(told.as_ref().is_err_and(|told| told.contains(missing)), "{missing}: {told:?}");
        }
        assert_eq!(check("ws://a", None, false, 0, false), Ok(()));
        assert_eq!(
            check("ws://a", Some("p"), true, 1, true),
            Ok(()),
            "what comes later may be there already"
        );
        assert_eq!(check("wss://a", Some("p"), true, 2, true), Ok(()));
        assert_eq!(check("wss://a", None, true, 3, true), Ok(()));
    }
}
