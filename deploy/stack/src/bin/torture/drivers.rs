//! Simulated stations whose drivers come, charge and leave, at times that the dice say, until they are called off.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use firmware_sim::{Station, StationConfig, View};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::seed::Dice;
use crate::stage::{Stage, station};

/// A minute of charging passes in a second.
pub(crate) const TEMPO: u32 = 60;
/// A clock that runs faster has to start in the past, but not long before its station became the site's.
const A_DAY: i64 = -24 * 3600 * 1000;
/// Readings in a second.
const READINGS: u32 = 6;
const CONNECTOR: u16 = 1;

/// Stations with drivers.
pub(crate) struct Drivers {
    stations: Vec<Station>,
    driving: JoinSet<u64>,
    go_on: watch::Sender<bool>,
}

impl Drivers {
    /// Powers on the first `stations` of the stage.
    pub(crate) fn begin(stage: &Stage, dice: &mut Dice, stations: usize) -> Self {
        Self::at_tempo(stage, dice, stations, TEMPO)
    }

    /// The same where so many seconds of charging pass in one: fewer for a row that lasts long.
    pub(crate) fn at_tempo(stage: &Stage, dice: &mut Dice, stations: usize, tempo: u32) -> Self {
        let go_on = watch::Sender::new(true);
        let mut driving = JoinSet::new();
        let url = stage.house.edge.ocpp_url();
        let powered = (1..=stations).map(|number| {
            let mut config = StationConfig::new(&url, station(number));
            config.password = Some(stage.house.site.password.clone());
            (config.time_scale, config.clock_offset) = (tempo, A_DAY);
            config.meter_interval = (tempo / READINGS).max(1);
            config.redial = (100, 500);
            config.journal = Some(stage.journal.clone());
            config.call_timeout = 10_000;
            Station::connect(config)
        });
        let stations: Vec<Station> = powered.collect();
        for station in &stations {
            let tag = stage.house.site.id_tag.clone();
            driving.spawn(drive(station.clone(), tag, dice.fork(), go_on.subscribe()));
        }
        Self { stations, driving, go_on }
    }

    /// Waits until every station is accepted.
    pub(crate) async fn accepted(&self, limit: Duration) -> Result<()> {
        for station in &self.stations {
            station.booted(limit).await.with_context(|| format!("{} comes back", station.identity()))?;
        }
        Ok(())
    }

    /// Calls the drivers off, and waits until every message of a session is answered.
    pub(crate) async fn finish(mut self, limit: Duration) -> Result<()> {
        self.go_on.send_replace(false);
        let all = async { while self.driving.join_next().await.is_some() {} };
        timeout(limit, all).await.context("the drivers do not come to an end")?;
        for station in &self.stations {
            let drained = station.drained(limit).await;
            drained.with_context(|| format!("{} waits for answers", station.identity()))?;
            let odd = station.violations().await;
            ensure!(
                odd.is_empty(),
                "{} was sent what the schema does not allow: {odd:?}",
                station.identity()
            );
        }
        Ok(())
    }
}

/// One connector's drivers, one after the other; returns how many charged.
async fn drive(station: Station, tag: String, mut dice: Dice, mut go_on: watch::Receiver<bool>) -> u64 {
    let mut sessions = 0;
    while *go_on.borrow_and_update() {
        sleep(dice.millis(20, 400)).await;
        let (charge, by_card) = (dice.millis(100, 1_500), dice.percent(50));
        // A station that has lost power or its head refuses; the next driver tries again.
        if station.plug(CONNECTOR).await.is_ok() && station.tap(CONNECTOR, &tag).await.is_ok() {
            let charging = |view: &View| view.connectors.iter().any(|connector| connector.in_session);
            if station.until(Duration::from_secs(5), charging).await.is_ok() {
                sleep(charge).await;
                if by_card {
                    station.tap(CONNECTOR, &tag).await.ok();
                }
                sessions += 1;
            }
        }
        station.unplug(CONNECTOR).await.ok();
    }
    sessions
}
