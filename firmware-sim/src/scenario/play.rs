//! Playing a script.

use anyhow::Context;
use shared::units::{Percent, Watts, Wh};
use tokio::time::{Duration, Instant, sleep_until};

use super::Scenario;
use super::script::{Action, StationEntry, Step};
use crate::config::StationConfig;
use crate::ev::Vehicle;
use crate::fleet::{FleetSummary, Life};
use crate::handle::{Again, Station};
use crate::journal::{Journal, SessionRecord};
use crate::link::Response;

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
            let life = Life::of(station, patience).await;
            summary.add(&life);
            records.extend(life.records);
        }
        Ok((records, summary))
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
        Action::Replace => {
            let (from, to) = (text(&step.text), text(&step.with));
            station.mangle(move |frame| frame.replace(&from, &to)).await;
        }
        Action::Behave => station.behave().await,
        Action::Raw => station.send_raw(text(&step.text)).await,
        Action::Reject => station.respond(&text(&step.command), Response::Reject).await,
        Action::Ignore => station.respond(&text(&step.command), Response::Silent).await,
        Action::Obey => station.respond(&text(&step.command), Response::Normal).await,
    }
    Ok(())
}
