//! What a station holds, as far as it accepted it: the part that outlives a restart.

use serde::{Deserialize, Serialize};
use shared::id::StationId;
use shared::model::event::Event;
use shared::model::{LocalListChanged, LocalListState};
use shared::units::Timestamp;

use super::super::{Effects, Write};
use super::wanted::List;
use std::sync::Arc;

/// A station's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldList {
    /// Whose.
    pub station: StationId,
    /// How it stands.
    pub state: LocalListState,
    /// The version that the station accepted last; 0 before the first.
    pub version: i32,
    /// How many tokens are in it.
    pub entries: u32,
    /// How many more the site has than the station can hold.
    pub left_out: u32,
    /// More, for a person.
    pub detail: String,
    /// Since when.
    pub at: Timestamp,
    /// Of the tokens in it; absent while the station holds a part of a list.
    pub(super) digest: Option<[u8; 32]>,
    /// The list itself, while this process remembers it: without, no difference can be told.
    #[serde(skip)]
    pub(super) list: Option<Arc<List>>,
}

impl HeldList {
    pub(super) fn unknown(station: StationId) -> Self {
        HeldList {
            station,
            state: LocalListState::Unsupported,
            version: 0,
            entries: 0,
            left_out: 0,
            detail: String::new(),
            at: Timestamp(0),
            digest: None,
            list: None,
        }
    }

    /// Keeps it, and tells the cloud when it is news.
    pub(super) fn keep(&self, before: Option<&HeldList>, fx: &mut Effects) {
        fx.writes.push(Write::LocalList(Box::new(self.clone())));
        if before.is_none_or(|before| before.news() != self.news()) {
            fx.event(Event::LocalListChanged(LocalListChanged {
                station: self.station.clone(),
                state: self.state,
                version: self.version,
                entries: self.entries,
                left_out: self.left_out,
                detail: self.detail.clone(),
                at: self.at,
            }));
        }
    }

    fn news(&self) -> (LocalListState, i32, u32, u32, &str) {
        (self.state, self.version, self.entries, self.left_out, &self.detail)
    }
}
