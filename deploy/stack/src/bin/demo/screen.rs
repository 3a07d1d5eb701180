//! What a person sees: a line when something is done, and a line each second of what the agent says about itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::AbortHandle;

/// Says something, once.
#[expect(clippy::print_stdout, reason = "this is a program to look at")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Says how the story goes on.
pub(crate) fn tell(text: &str) {
    say(&format!("\n» {text}"));
}

/// Prints a line each second until dropped.
pub(crate) fn watch(edge: String) -> Screen {
    let lines = async move {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        loop {
            every_second.tick().await;
            if let Ok(site) = look(&edge).await
                && !site.is_quiet()
            {
                say(&site.line());
            }
        }
    };
    Screen(tokio::spawn(lines).abort_handle())
}

/// A running screen.
pub(crate) struct Screen(AbortHandle);

impl Drop for Screen {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look(edge: &str) -> reqwest::Result<Site> {
    reqwest::get(format!("{edge}/api/state")).await?.json().await
}

/// The part of the agent's state that is shown.
#[derive(Debug, Deserialize)]
struct Site {
    at: String,
    online: bool,
    lanes: BTreeMap<String, Lane>,
    sessions: Vec<Session>,
}

#[derive(Debug, Deserialize)]
struct Lane {
    backlog: u64,
}

#[derive(Debug, Deserialize)]
struct Session {
    station: String,
    energy_wh: i64,
    power_w: Option<i64>,
    cost: Option<String>,
}

impl Site {
    fn is_quiet(&self) -> bool {
        self.sessions.is_empty() && self.lanes.values().all(|lane| lane.backlog == 0)
    }

    fn line(&self) -> String {
        let time = self.at.get(11..19).unwrap_or(&self.at);
        let cloud = if self.online { "cloud ok  " } else { "cloud gone" };
        let lanes: Vec<String> =
            self.lanes.iter().map(|(name, lane)| format!("{name} {}", lane.backlog)).collect();
        let sessions: String = self.sessions.iter().map(Session::text).collect();
        format!("{time}  {cloud}  to send: {:34}{sessions}", lanes.join(", "))
    }
}

impl Session {
    fn text(&self) -> String {
        let power = tenths(self.power_w.unwrap_or_default(), 100);
        let energy = format!("{}.{:03}", self.energy_wh / 1000, self.energy_wh % 1000);
        let cost = self.cost.as_deref().unwrap_or("free");
        format!("  {} {power:>5} kW {energy:>7} kWh {cost:>9} ", self.station)
    }
}

/// One digit after the point, without floats.
fn tenths(value: i64, tenth: i64) -> String {
    format!("{}.{}", value / tenth / 10, value / tenth % 10)
}
