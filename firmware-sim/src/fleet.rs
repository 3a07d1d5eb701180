//! Many stations in one process, each with drivers that come, charge and leave.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use crate::clock::random;
use crate::config::StationConfig;
use crate::handle::Station;
use crate::journal::SessionRecord;

/// Who the stations are.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// `prefix1`, `prefix2`, … with one password for all, or none.
    Numbered {
        /// Begins each identity.
        prefix: String,
        /// The password of each.
        password: Option<String>,
    },
    /// Named one by one.
    Listed(Arc<[(String, Option<String>)]>),
}

impl Credentials {
    /// Reads a file of lines `identity password`, separated by a space, a tab or a comma; `#` begins a comment.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let listed: Arc<[_]> = text.lines().filter_map(credential).collect();
        anyhow::ensure!(!listed.is_empty(), "{} names no station", path.display());
        Ok(Credentials::Listed(listed))
    }

    /// The station of a number, from 0. A list that is too short begins anew.
    pub fn of(&self, number: u32) -> (String, Option<String>) {
        match self {
            Credentials::Numbered { prefix, password } => {
                (format!("{prefix}{}", number + 1), password.clone())
            }
            Credentials::Listed(listed) => listed[number as usize % listed.len()].clone(),
        }
    }

    /// How many there are, where that is fixed.
    pub fn count(&self) -> Option<usize> {
        match self {
            Credentials::Numbered { .. } => None,
            Credentials::Listed(listed) => Some(listed.len()),
        }
    }
}

fn credential(line: &str) -> Option<(String, Option<String>)> {
    let mut words = line.split('#').next()?.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    Some((words.next()?.to_owned(), words.next().map(str::to_owned)))
}

/// A fleet.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// What every station is like; URL, time scale and journal count, the identity does not.
    pub template: StationConfig,
    /// Who they are.
    pub credentials: Credentials,
    /// How many.
    pub stations: u32,
    /// New stations a second; 0 is all at once.
    pub ramp: u32,
    /// The tokens that drivers have, dealt out in turn.
    pub tags: Vec<String>,
    /// Sessions on each connector.
    pub sessions: u32,
    /// How long a session lasts, in simulated seconds, half of it by chance.
    pub charge_seconds: u64,
    /// How long a connector stays empty, in simulated seconds, half of it by chance.
    pub idle_seconds: u64,
    /// How long to wait at the end until everything is answered.
    pub patience: Duration,
}

/// What a fleet did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FleetSummary {
    /// Sessions that began.
    pub sessions: u64,
    /// Sessions whose start and stop were both answered.
    pub answered: u64,
    /// What flowed, in Wh.
    pub energy_wh: i64,
    /// Stations that had unanswered messages at the end.
    pub undrained: u64,
    /// Times that the CSMS sent what the schema does not allow.
    pub violations: u64,
}

/// Runs a fleet until every connector has had its sessions.
pub async fn run(config: FleetConfig) -> FleetSummary {
    let config = Arc::new(config);
    let began = Instant::now();
    let mut stations = JoinSet::new();
    for number in 0..config.stations {
        stations.spawn(live(config.clone(), number, began));
    }
    let mut summary = FleetSummary::default();
    while let Some(finished) = stations.join_next().await {
        summary.add(&finished.unwrap_or_default());
    }
    summary
}

/// What one station did.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub(crate) records: Vec<SessionRecord>,
    drained: bool,
    violations: Vec<String>,
}

impl Life {
    /// Waits until everything is answered and looks back.
    pub(crate) async fn of(station: &Station, patience: Duration) -> Life {
        let drained = station.drained(patience).await.is_ok();
        let violations = station.violations().await;
        for violation in &violations {
            tracing::warn!(station = station.identity(), violation, "the schema does not allow this");
        }
        Life { records: station.journal().await, drained, violations }
    }
}

impl FleetSummary {
    pub(crate) fn add(&mut self, life: &Life) {
        for record in &life.records {
            self.sessions += 1;
            self.answered += u64::from(record.start_answered && record.stop_answered);
            self.energy_wh += record.energy_wh().unwrap_or(0);
        }
        self.undrained += u64::from(!life.drained);
        self.violations += u64::try_from(life.violations.len()).unwrap_or(u64::MAX);
    }

    /// Did everything end as it should?
    pub fn is_clean(&self) -> bool {
        self.undrained == 0 && self.answered == self.sessions && self.violations == 0
    }
}

/// One station from power-on to its last session.
async fn live(config: Arc<FleetConfig>, number: u32, began: Instant) -> Life {
    if config.ramp > 0 {
        sleep_until(began + Duration::from_secs(1) * number / config.ramp).await;
    }
    let mut template = config.template.clone();
    (template.identity, template.password) = config.credentials.of(number);
    let station = Station::connect(template);
    if let Err(error) = station.booted(config.patience).await {
        tracing::warn!(station = station.identity(), %error, "not accepted");
        return Life::default();
    }
    let mut drivers = JoinSet::new();
    for connector in 1..=station.config().connectors {
        drivers.spawn(drive(config.clone(), station.clone(), connector, number));
    }
    drivers.join_all().await;
    Life::of(&station, config.patience).await
}

/// One connector's drivers, one after the other.
async fn drive(config: Arc<FleetConfig>, station: Station, connector: u16, number: u32) {
    for session in 0..config.sessions {
        pause(&config, config.idle_seconds).await;
        let place = number.wrapping_add(session).wrapping_add(u32::from(connector)) as usize;
        let Some(tag) = config.tags.get(place % config.tags.len().max(1)) else { return };
        let outcome = charge(&config, &station, connector, tag).await;
        if let Err(refusal) = outcome {
            tracing::warn!(station = station.identity(), connector, %refusal, "no session");
        }
    }
}

async fn charge(
    config: &FleetConfig,
    station: &Station,
    connector: u16,
    tag: &str,
) -> Result<(), crate::station::Refusal> {
    station.plug(connector).await?;
    station.tap(connector, tag).await?;
    pause(config, config.charge_seconds).await;
    station.unplug(connector).await
}

/// Waits half the simulated time and up to another half.
async fn pause(config: &FleetConfig, seconds: u64) {
    let whole = seconds * 1000 / u64::from(config.template.time_scale.max(1));
    sleep(Duration::from_millis(whole / 2 + random() % (whole / 2 + 1))).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_numbered_or_listed() {
        let numbered = Credentials::Numbered { prefix: "CP".into(), password: Some("p".into()) };
        assert_eq!(numbered.of(0), ("CP1".into(), Some("p".into())));
        assert_eq!(credential("A secret # mine"), Some(("A".into(), Some("secret".into()))));
        assert_eq!(credential("A,secret"), Some(("A".into(), Some("secret".into()))));
        assert_eq!(credential("A"), Some(("A".into(), None)));
        assert_eq!(credential("# nobody"), None);
    }
}
