//! A station's own list of tokens: by it a station charges known drivers when it cannot ask anybody (OCPP 1.6 §5.15).
//!
//! Desired state, kept by the gateway from the site's token lists. The cloud only hears how far each station is.

use serde::{Deserialize, Serialize};

use crate::id::StationId;
use crate::units::Timestamp;

/// How a station's list stands to what the site wants it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LocalListState {
    /// The station holds what it shall hold.
    Current,
    /// The station keeps no such list, or has it turned off (`LocalAuthListEnabled`).
    Unsupported,
    /// The station refused it.
    Refused,
    /// The site does not want its stations to hold lists; what a station held was emptied.
    Off,
}

impl LocalListState {
    /// The state's name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            LocalListState::Current => "Current",
            LocalListState::Unsupported => "Unsupported",
            LocalListState::Refused => "Refused",
            LocalListState::Off => "Off",
        }
    }
}

/// A station's list became another, or could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalListChanged {
    /// Whose list.
    pub station: StationId,
    /// How it stands.
    pub state: LocalListState,
    /// The version that the station holds; 0 when none is known.
    pub version: i32,
    /// How many tokens are in it.
    pub entries: u32,
    /// How many more the site has than the station can hold.
    pub left_out: u32,
    /// More, for a person.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}
