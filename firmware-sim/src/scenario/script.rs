//! What stands in a script.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// A script: stations, and what happens to them when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(default = "one")]
    pub(super) time_scale: u32,
    pub(super) url: Option<String>,
    #[serde(default = "patience")]
    pub(super) patience_seconds: u64,
    #[serde(rename = "station")]
    pub(super) stations: Vec<StationEntry>,
    #[serde(rename = "step", default)]
    pub(super) steps: Vec<Spanned<Step>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StationEntry {
    pub(super) identity: String,
    pub(super) password: Option<String>,
    #[serde(default = "one_connector")]
    pub(super) connectors: u16,
    pub(super) meter_interval: Option<u32>,
    pub(super) meter_start_wh: Option<i64>,
    pub(super) max_power_w: Option<i64>,
    pub(super) clock_offset_seconds: Option<i64>,
    #[serde(default)]
    pub(super) vehicle: VehicleEntry,
    #[serde(default)]
    pub(super) settings: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VehicleEntry {
    pub(super) capacity_wh: Option<i64>,
    pub(super) soc_percent: Option<u8>,
    pub(super) max_power_w: Option<i64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// Simulated time since the stations were accepted: `90s`, `5m`, `1h`.
    pub(super) at: String,
    #[serde(rename = "do")]
    pub(super) action: Action,
    pub(super) station: Option<String>,
    #[serde(default = "one_connector")]
    pub(super) connector: u16,
    pub(super) tag: Option<String>,
    pub(super) text: Option<String>,
    pub(super) with: Option<String>,
    pub(super) command: Option<String>,
    #[serde(default)]
    pub(super) same_id: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
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
    /// From now on every frame is sent with `text` replaced by `with`.
    Replace,
    Behave,
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
