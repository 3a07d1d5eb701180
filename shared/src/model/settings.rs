//! What stations are set to, what a site wants them to be set to, and what became of the difference.

use serde::{Deserialize, Serialize};

use super::command::ConfigurationEntry;
use crate::id::StationId;
use crate::units::Timestamp;

/// The longest value that is kept (OCPP 1.6 §7.29 CiString500).
pub const LONGEST_VALUE: usize = 500;

/// A setting as somebody wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedSetting {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What a site wants its stations to be set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsDoc {
    /// Of every station.
    pub site: Vec<WantedSetting>,
    /// Of single ones, before that of the site.
    pub stations: Vec<(StationId, Vec<WantedSetting>)>,
}

impl SettingsDoc {
    /// What is wanted of one station: its own words first, then the site's, each key once.
    pub fn of(&self, station: &StationId) -> Vec<WantedSetting> {
        let own = self.stations.iter().filter(|(name, _)| name == station).flat_map(|(_, own)| own);
        let mut wanted: Vec<WantedSetting> = Vec::new();
        for setting in own.chain(&self.site) {
            let key = folded(&setting.key);
            if !wanted.iter().any(|known| folded(&known.key) == key) {
                wanted.push(setting.clone());
            }
        }
        wanted
    }
}

/// A key as keys are compared: stations differ in case, spaces and quotes (QUIRKS Q35).
pub fn folded(key: &str) -> String {
    key.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'').to_lowercase()
}

/// Are two values the same but for what stations write differently: case, spaces, quotes?
pub fn same_value(one: &str, other: &str) -> bool {
    let plain = |value: &str| {
        value
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '"')
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    plain(one) == plain(other)
}

/// Does a key's value give access? Such values are never read back, stored or shown.
pub fn is_secret(key: &str) -> bool {
    let key = folded(key);
    ["authorizationkey", "password", "secret", "passphrase"].iter().any(|word| key.contains(word))
}

/// How a wanted setting and the station's agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SettingState {
    /// It was so already.
    InStep,
    /// It was written.
    Changed,
    /// It was written and holds after the station's next restart.
    NeedsReboot,
    /// The station refused it, or it is read-only there.
    Refused,
    /// The station has no such setting.
    Unknown,
    /// It could not be asked yet.
    Waiting,
}

impl SettingState {
    /// The state's name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            SettingState::InStep => "InStep",
            SettingState::Changed => "Changed",
            SettingState::NeedsReboot => "NeedsReboot",
            SettingState::Refused => "Refused",
            SettingState::Unknown => "Unknown",
            SettingState::Waiting => "Waiting",
        }
    }
}

/// What became of one wanted setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingOutcome {
    /// Its name, as it was wanted.
    pub key: String,
    /// The value wanted.
    pub wanted: String,
    /// How it stands.
    pub state: SettingState,
    /// More, for a person.
    pub detail: String,
}

/// A station told its settings: a part of them, because all may be too long for one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsRead {
    /// Which station.
    pub station: StationId,
    /// The settings of this part; secret ones without their value.
    pub entries: Vec<ConfigurationEntry>,
    /// This is the last part of all its settings: those not told since `at` are no more.
    pub whole: bool,
    /// When they were read: the same for all parts.
    pub at: Timestamp,
}

/// What became of all that is wanted of a station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsApplied {
    /// Which station.
    pub station: StationId,
    /// Each wanted setting.
    pub outcomes: Vec<SettingOutcome>,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(key: &str, value: &str) -> WantedSetting {
        WantedSetting { key: key.into(), value: value.into() }
    }

    #[test]
    fn a_stations_own_word_goes_before_the_sites_whatever_the_spelling() {
        let station = StationId::new("CP1").expect("an identity");
        let own = vec![wanted(" heartbeatinterval ", "60")];
        let site = vec![wanted("HeartbeatInterval", "300"), wanted("MeterValueSampleInterval", "30")];
        let doc = SettingsDoc { site, stations: vec![(station.clone(), own)] };
        let of = doc.of(&station);
        assert_eq!(of, [wanted(" heartbeatinterval ", "60"), wanted("MeterValueSampleInterval", "30")]);
        assert_eq!(doc.of(&StationId::new("CP2").expect("an identity")), doc.site);
    }

    #[test]
    fn q35_keys_and_values_compare_as_stations_write_them() {
        assert_eq!(folded(" \"MeterValueSampleInterval\" "), folded("metervaluesampleinterval"));
        assert!(same_value(
            "Energy.Active.Import.Register, Power.Active.Import",
            "energy.active.import.register,power.active.import"
        ));
        assert!(same_value("True", "true") && !same_value("60", "600"));
        assert!(
            is_secret(" authorizationKEY") && is_secret("WifiPassword") && !is_secret("HeartbeatInterval")
        );
    }
}
