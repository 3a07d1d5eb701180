//! What a station says of its ability to keep a list, in its settings (1.6 §9.2).

use serde::{Deserialize, Serialize};
use shared::model::command::ConfigurationEntry;
use shared::model::settings::folded;

/// What is taken for the limits where a station tells none.
const USUAL_LENGTH: usize = 500;
const USUAL_AT_ONCE: usize = 20;
/// No message grows beyond what the weakest of stations' buffers hold, whatever a station says of itself.
const MOST_AT_ONCE: usize = 100;

/// What is remembered of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSupport {
    /// `LocalAuthListManagement` among its `SupportedFeatureProfiles`.
    managed: bool,
    /// `LocalAuthListEnabled`
    enabled: Option<bool>,
    /// `LocalAuthListMaxLength`
    length: Option<usize>,
    /// `SendLocalListMaxLength`
    at_once: Option<usize>,
}

/// How much goes into a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) length: usize,
    pub(super) at_once: usize,
}

impl ListSupport {
    /// Takes in what a station tells of its settings.
    pub(in crate::core) fn told(self, entries: &[ConfigurationEntry]) -> Self {
        let value = |key: &str| {
            let found = entries.iter().find(|entry| folded(&entry.key) == key);
            found.and_then(|entry| entry.value.as_deref()).map(str::trim)
        };
        let number = |key| value(key).and_then(|value| value.parse().ok()).filter(|number| *number > 0);
        let managed = value("supportedfeatureprofiles").map(|all| all.contains("LocalAuthListManagement"));
        ListSupport {
            managed: managed.unwrap_or(self.managed),
            enabled: value("localauthlistenabled").map(|it| it.eq_ignore_ascii_case("true")).or(self.enabled),
            length: number("localauthlistmaxlength").or(self.length),
            at_once: number("sendlocallistmaxlength").or(self.at_once),
        }
    }

    /// How much a list may hold, or why there is none.
    pub(super) fn limits(self) -> Result<Limits, &'static str> {
        match self.enabled {
            Some(false) => Err("LocalAuthListEnabled is off: turn it on by changeConfiguration"),
            None if !self.managed => Err("it has no LocalAuthListManagement"),
            Some(true) | None => Ok(Limits {
                length: self.length.unwrap_or(USUAL_LENGTH),
                at_once: self.at_once.unwrap_or(USUAL_AT_ONCE).min(MOST_AT_ONCE),
            }),
        }
    }
}
