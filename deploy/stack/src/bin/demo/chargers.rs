//! The simulated stations, as the story moves them. Around the vehicle a minute passes in a second, so that a bill is
//! worth looking at after half a minute; sockets and time-outs stay real.

use std::time::Duration;

use anyhow::{Context, Result};
use firmware_sim::{Journal, Station, StationConfig, Vehicle, View};
use shared::units::{Percent, Watts, Wh};

const MINUTE_PER_SECOND: u32 = 60;
/// A clock that runs faster has to start in the past.
const A_DAY: i64 = -24 * 3600 * 1000;
const CONNECTOR: u16 = 1;

/// A station with one connector.
pub(crate) struct Charger(Station);

impl Charger {
    /// Powers it on.
    pub(crate) fn start(url: &str, identity: &str, password: &str, journal: &Journal) -> Self {
        let mut config = StationConfig::new(url, identity).with_password(password);
        config.vehicle = Vehicle { capacity: Wh(80_000), soc: Percent(15), max_power: Watts(22_000) };
        config.time_scale = MINUTE_PER_SECOND;
        config.clock_offset = A_DAY;
        config.meter_interval = MINUTE_PER_SECOND;
        config.redial = (500, 5_000);
        config.journal = Some(journal.clone());
        Self(Station::connect(config))
    }

    pub(crate) fn identity(&self) -> &str {
        self.0.identity()
    }

    pub(crate) async fn until_accepted(&self, limit: Duration) -> Result<()> {
        self.until("being accepted", limit, |view| view.accepted).await
    }

    pub(crate) async fn until_charging(&self, limit: Duration) -> Result<()> {
        let charging = |view: &View| view.connectors.iter().any(|connector| connector.transaction.is_some());
        self.until("charging", limit, charging).await
    }

    /// A car arrives.
    pub(crate) async fn plug_in(&self) -> Result<()> {
        self.0.plug(CONNECTOR).await.with_context(|| format!("plugging in at {}", self.0.identity()))
    }

    /// The driver holds a card to the reader.
    pub(crate) async fn tap(&self, id_tag: &str) -> Result<()> {
        self.0.tap(CONNECTOR, id_tag).await.with_context(|| format!("a card at {}", self.0.identity()))
    }

    /// The driver ends the session with the card and drives away.
    pub(crate) async fn leave(&self, id_tag: &str) -> Result<()> {
        self.tap(id_tag).await?;
        self.drive_away().await
    }

    /// The car leaves when its session has ended.
    pub(crate) async fn drive_away(&self) -> Result<()> {
        let ended = |view: &View| view.connectors.iter().all(|connector| !connector.in_session);
        self.until("the end of the session", Duration::from_secs(20), ended).await?;
        self.0.unplug(CONNECTOR).await.with_context(|| format!("unplugging at {}", self.0.identity()))
    }

    async fn until(&self, what: &str, limit: Duration, wanted: impl FnMut(&View) -> bool) -> Result<()> {
        let seen = self.0.until(limit, wanted).await;
        seen.map(drop).with_context(|| format!("{} and {what}", self.0.identity()))
    }
}
