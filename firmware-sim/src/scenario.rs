//! Timed scripts in TOML: plug, tap, cut power, restore. A typing error is told with its line and its key.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use shared::units::{Percent, Watts, Wh};
use tokio::time::{Duration, Instant, sleep_until};
use toml::Spanned;

use crate::config::StationConfig;
use crate::ev::Vehicle;
use crate::fleet::FleetSummary;
use crate::handle::{Again, Station};
use crate::journal::{Journal, SessionRecord};
use crate::link::Response;

/// A script: stations, and what happens to them when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(default = "one")]
    time_scale: u32,
    url: Option<String>,
    #[serde(default = "patience")]
    patience_seconds: u64,
    #[serde(rename = "station")]
    stations: Vec<StationEntry>,
    #[serde(rename = "step", default)]
    steps: Vec<Spanned<Step>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StationEntry {
    identity: String,
    password: Option<String>,
    #[serde(default = "one_connector")]
    connectors: u16,
    meter_interval: Option<u32>,
    meter_start_wh: Option<i64>,
    max_power_w: Option<i64>,
    clock_offset_seconds: Option<i64>,
    #[serde(default)]
    vehicle: VehicleEntry,
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct VehicleEntry {
    capacity_wh: Option<i64>,
    soc_percent: Option<u8>,
    max_power_w: Option<i64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Simulated time since the stations were accepted: `90s`, `5m`, `1h`.
    at: String,
    #[serde(rename = "do")]
    action: Action,
    station: Option<String>,
    #[serde(default = "one_connector")]
    connector: u16,
    tag: Option<String>,
    text: Option<String>,
    command: Option<String>,
    #[serde(default)]
    same_id: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Plug,
    Tap,
    Unplug,
    CutPower,
    RestorePower,
    DropNetwork,
    RestoreNetwork,
    RepeatStart,
    RepeatStop,
    Raw,
    Reject,
    Ignore,
    Obey,
}

fn one() -> u32 {
    1
}

fn one_connector() -> u16 {
    1
}

fn patience() -> u64 {
    60
}

/// A step that can be done.
struct Planned {
    at: Duration,
    line: usize,
    station: usize,
    step: Step,
}

/// What the command line adds to a script.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Where the CSMS is, if the script does not say or says wrongly.
    pub url: Option<String>,
    /// The password of stations that have none in the script.
    pub password: Option<String>,
    /// Where sessions are written to.
    pub journal: Option<Journal>,
}

impl Scenario {
    /// Reads a script.
    pub fn read(path: &Path) -> anyhow::Result<(Scenario, String)> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let scenario = Scenario::parse(&text).with_context(|| format!("in {}", path.display()))?;
        Ok((scenario, text))
    }

    /// Reads a script's text.
    pub fn parse(text: &str) -> anyhow::Result<Scenario> {
        let scenario: Scenario = toml::from_str(text)?;
        scenario.plan(text)?;
        Ok(scenario)
    }

    /// Plays a script to its end: the records of all sessions, and their sum.
    pub async fn play(
        &self,
        text: &str,
        with: Overrides,
    ) -> anyhow::Result<(Vec<SessionRecord>, FleetSummary)> {
        let url = with.url.as_ref().or(self.url.as_ref()).context("no url: give --url or write `url = …`")?;
        let plan = self.plan(text)?;
        let configs = self.stations.iter().map(|entry| entry.config(url, self.time_scale, &with));
        let stations: Vec<Station> = configs.map(Station::connect).collect();
        let patience = Duration::from_secs(self.patience_seconds);
        for station in &stations {
            let booted = station.booted(patience).await;
            booted.with_context(|| format!("station {} was not accepted", station.identity()))?;
        }
        let began = Instant::now();
        for planned in plan {
            sleep_until(began + planned.at / self.time_scale.max(1)).await;
            let station = &stations[planned.station];
            tracing::info!(at = planned.step.at, station = station.identity(), action = ?planned.step.action);
            let done = act(station, &planned.step).await;
            done.with_context(|| format!("line {}: {:?} failed", planned.line, planned.step.action))?;
        }
        let (mut records, mut summary) = (Vec::new(), FleetSummary::default());
        for station in &stations {
            let drained = station.drained(patience).await.is_ok();
            let of_station = station.journal().await;
            summary.add(&of_station, drained);
            records.extend(of_station);
        }
        Ok((records, summary))
    }

    /// The steps in order of time, checked.
    fn plan(&self, text: &str) -> anyhow::Result<Vec<Planned>> {
        anyhow::ensure!(!self.stations.is_empty(), "a scenario needs a [[station]]");
        let mut plan = Vec::new();
        for spanned in &self.steps {
            let start = spanned.span().start.min(text.len());
            let line = text[..start].matches('\n').count() + 1;
            let planned = self.check(spanned.get_ref(), line);
            plan.push(planned.with_context(|| format!("line {line}, [[step]]"))?);
        }
        plan.sort_by_key(|planned| planned.at);
        Ok(plan)
    }

    fn check(&self, step: &Step, line: usize) -> anyhow::Result<Planned> {
        let at = seconds(&step.at)
            .with_context(|| format!("at = {:?} is no time such as 90s, 5m, 1h", step.at))?;
        let station = match &step.station {
            None if self.stations.len() == 1 => 0,
            None => anyhow::bail!("several stations, so `station` must say which"),
            Some(name) => {
                let place = self.stations.iter().position(|entry| entry.identity == *name);
                place.with_context(|| format!("station = {name:?} is not among the [[station]]s"))?
            }
        };
        let connectors = self.stations[station].connectors;
        anyhow::ensure!(
            (1..=connectors).contains(&step.connector),
            "connector = {} of 1 to {connectors}",
            step.connector
        );
        let needs = |value: &Option<String>, key: &str| {
            anyhow::ensure!(
                value.is_some(),
                "do = {:?} needs `{key}`",
                format!("{:?}", step.action).to_lowercase()
            );
            Ok(())
        };
        match step.action {
            Action::Tap => needs(&step.tag, "tag")?,
            Action::Raw => needs(&step.text, "text")?,
            Action::Reject | Action::Ignore | Action::Obey => needs(&step.command, "command")?,
            Action::Plug
            | Action::Unplug
            | Action::CutPower
            | Action::RestorePower
            | Action::DropNetwork
            | Action::RestoreNetwork
            | Action::RepeatStart
            | Action::RepeatStop => {}
        }
        Ok(Planned { at, line, station, step: step.clone() })
    }
}

impl StationEntry {
    fn config(&self, url: &str, time_scale: u32, with: &Overrides) -> StationConfig {
        let mut config = StationConfig::new(url, &self.identity);
        config.password = self.password.clone().or_else(|| with.password.clone());
        config.connectors = self.connectors;
        config.time_scale = time_scale;
        config.journal.clone_from(&with.journal);
        config.meter_interval = self.meter_interval.unwrap_or(config.meter_interval);
        config.meter_start = self.meter_start_wh.map_or(config.meter_start, Wh);
        config.max_power = self.max_power_w.map_or(config.max_power, Watts);
        config.clock_offset = self.clock_offset_seconds.unwrap_or(0).saturating_mul(1000);
        let usual = Vehicle::default();
        config.vehicle = Vehicle {
            capacity: self.vehicle.capacity_wh.map_or(usual.capacity, Wh),
            soc: self.vehicle.soc_percent.map_or(usual.soc, Percent),
            max_power: self.vehicle.max_power_w.map_or(usual.max_power, Watts),
        };
        config.settings = self.settings.clone().into_iter().collect();
        config
    }
}

async fn act(station: &Station, step: &Step) -> anyhow::Result<()> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    match step.action {
        Action::Plug => station.plug(step.connector).await?,
        Action::Tap => station.tap(step.connector, &text(&step.tag)).await?,
        Action::Unplug => station.unplug(step.connector).await?,
        Action::CutPower => station.cut_power().await,
        Action::RestorePower => station.restore_power().await,
        Action::DropNetwork => station.drop_network().await,
        Action::RestoreNetwork => station.restore_network().await,
        Action::RepeatStart => drop(station.repeat(Again::Start, step.same_id).await?),
        Action::RepeatStop => drop(station.repeat(Again::Stop, step.same_id).await?),
        Action::Raw => station.send_raw(text(&step.text)).await,
        Action::Reject => station.respond(&text(&step.command), Response::Reject).await,
        Action::Ignore => station.respond(&text(&step.command), Response::Silent).await,
        Action::Obey => station.respond(&text(&step.command), Response::Normal).await,
    }
    Ok(())
}

fn seconds(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(factor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
time_scale = 60
[[station]]
identity = "A"
connectors = 2
[[step]]
at = "0s"
do = "plug"
connector = 2
[[step]]
at = "1m"
do = "tap"
connector = 2
tag = "T"
"#;

    fn error(text: &str) -> String {
        format!("{:#}", Scenario::parse(text).unwrap_err())
    }

    #[test]
    fn a_good_script_is_read() {
        let plan = Scenario::parse(GOOD).unwrap().plan(GOOD).unwrap();
        let times: Vec<u64> = plan.iter().map(|planned| planned.at.as_secs()).collect();
        assert_eq!(times, [0, 60]);
    }

    #[test]
    fn typing_errors_name_line_and_key() {
        for (wrong, right, line, key) in [
            ("tagg = \"T\"", "tag = \"T\"", 14, "tagg"),
            ("do = \"plugin\"", "do = \"plug\"", 8, "plugin"),
            ("at = \"1 minute\"", "at = \"1m\"", 10, "1 minute"),
            ("", "tag = \"T\"", 10, "`tag`"),
            ("connector = 3", "connector = 2", 6, "connector = 3"),
            ("stations = 2\nconnectors = 2", "connectors = 2", 5, "stations"),
        ] {
            let text = GOOD.replacen(right, wrong, 1);
            let error = error(&text);
            assert!(error.contains(&format!("line {line}")) && error.contains(key), "{wrong}: {error}");
        }
        assert!(error("").contains("station"));
    }

    #[test]
    fn the_scripts_that_come_along_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(scripts.len() >= 4);
        for script in scripts {
            Scenario::read(&script).unwrap();
        }
    }
}
