//! What a load run found, as a table or as JSON.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::Mode;
use super::histogram::Quantiles;
use super::server::Usage;

/// The result of a run.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the table's")]
pub struct Report {
    pub mode: Mode,
    pub stations: u32,
    /// From the first connection until every station was booted.
    pub boot_time: Duration,
    pub took: Duration,
    pub calls: u64,
    pub sessions: u64,
    /// Calls that were refused.
    pub errors: u64,
    /// Connections that were lost.
    pub losses: u64,
    /// In microseconds.
    pub latency: Quantiles,
    pub server: Option<ServerCost>,
}

/// What the server used.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct ServerCost {
    /// Processor time per call, in microseconds.
    pub cpu_micros_per_call: Option<u64>,
    /// Resident memory before the first connection, in KiB.
    pub rss_before_kib: u64,
    /// Resident memory with all stations connected, in KiB.
    pub rss_connected_kib: u64,
    /// Resident memory at the end, in KiB.
    pub rss_after_kib: u64,
    /// Bytes of resident memory that each connection added.
    pub bytes_per_station: u64,
}

pub(super) fn server_cost(
    before: Option<Usage>,
    connected: Option<Usage>,
    after: Option<Usage>,
    calls: u64,
    stations: u32,
) -> Option<ServerCost> {
    let (before, connected, after) = (before?, connected?, after?);
    let grown = connected.rss_kib.saturating_sub(before.rss_kib) * 1024;
    Some(ServerCost {
        cpu_micros_per_call: (after.cpu_micros - connected.cpu_micros).checked_div(calls),
        rss_before_kib: before.rss_kib,
        rss_connected_kib: connected.rss_kib,
        rss_after_kib: after.rss_kib,
        bytes_per_station: grown / u64::from(stations.max(1)),
    })
}

impl Report {
    /// Calls a second.
    pub fn calls_per_second(&self) -> u64 {
        per_second(self.calls, self.took)
    }

    /// Sessions a second.
    pub fn sessions_per_second(&self) -> u64 {
        per_second(self.sessions, self.took)
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "mode": mode(self.mode),
            "stations": self.stations,
            "boot_ms": millis(self.boot_time),
            "measured_ms": millis(self.took),
            "calls": self.calls,
            "calls_per_second": self.calls_per_second(),
            "sessions": self.sessions,
            "sessions_per_second": self.sessions_per_second(),
            "errors": self.errors,
            "losses": self.losses,
            "latency_us": self.latency,
            "server": self.server,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<28} {value:>14}");
        row("mode", mode(self.mode))?;
        row("stations", self.stations.to_string())?;
        row("all booted after (ms)", millis(self.boot_time).to_string())?;
        row("measured (ms)", millis(self.took).to_string())?;
        row("calls", self.calls.to_string())?;
        row("calls/s", self.calls_per_second().to_string())?;
        row("sessions/s", self.sessions_per_second().to_string())?;
        row("refused calls", self.errors.to_string())?;
        row("lost connections", self.losses.to_string())?;
        for (name, micros) in [
            ("latency p50 (ms)", self.latency.p50),
            ("latency p90 (ms)", self.latency.p90),
            ("latency p99 (ms)", self.latency.p99),
            ("latency max (ms)", self.latency.max),
        ] {
            row(name, format!("{}.{:03}", micros / 1000, micros % 1000))?;
        }
        let Some(server) = self.server else { return Ok(()) };
        let cpu = server.cpu_micros_per_call.map_or("-".to_owned(), |micros| micros.to_string());
        row("server CPU per call (µs)", cpu)?;
        row("server memory before (KiB)", server.rss_before_kib.to_string())?;
        row("server memory, connected", server.rss_connected_kib.to_string())?;
        row("server memory at the end", server.rss_after_kib.to_string())?;
        row("bytes per connection", server.bytes_per_station.to_string())
    }
}

fn mode(mode: Mode) -> String {
    match mode {
        Mode::Closed => "closed".to_owned(),
        Mode::Open { rate } => format!("open {rate}/s"),
        Mode::Idle => "idle".to_owned(),
    }
}

fn per_second(count: u64, took: Duration) -> u64 {
    (count * 1000).checked_div(millis(took)).unwrap_or(0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
