//! Stations' own lists of tokens, kept in step by the site itself: so that a station charges the drivers that it knows even
//! while this gateway is gone.
//!
//! What a station can hold stands in its settings, which are read anyway. For each station one round at a time: ask which
//! version it holds, send what differs. The whole
//! list goes when nothing else is certain; what a station takes at once is its own limit, so a list goes in parts. A station
//! that refuses a difference gets the whole list (1.6 §5.15). A round that breaks off is begun again when the station is
//! back; the version that it then tells says where it stands.

mod record;
mod round;
mod support;
mod wanted;

use std::collections::HashMap;

use shared::id::{CommandId, StationId};
use shared::model::LocalListState;
use shared::model::command::Command;
use shared::units::Timestamp;

pub use record::HeldList;
pub use support::ListSupport;
pub use wanted::ListLine;

use super::admission::Standing;
use super::{AskEnd, Core, Effects};
use round::Round;
use wanted::Wanted;

/// What the site knows of all stations' lists.
#[derive(Debug, Default)]
pub(super) struct LocalLists {
    wanted: Wanted,
    held: HashMap<StationId, HeldList>,
    rounds: HashMap<StationId, Round>,
    asked: HashMap<CommandId, StationId>,
}

impl LocalLists {
    pub(super) fn restore(&mut self, lists: Vec<HeldList>) {
        self.held.extend(lists.into_iter().map(|list| (list.station.clone(), list)));
    }

    /// Was anything ever found out about a station's list?
    pub(super) fn is_known(&self, station: &StationId) -> bool {
        self.held.contains_key(station)
    }

    /// Every station whose list is known, for those who look.
    pub(super) fn held(&self) -> impl Iterator<Item = &HeldList> {
        self.held.values()
    }
}

impl Core {
    /// Every station's list as the site knows it.
    pub fn local_lists(&self) -> impl Iterator<Item = &HeldList> {
        self.lists.held()
    }

    /// A station has settled, or what it can hold changed: does it hold what it shall?
    pub(super) fn look_at_list(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        if !self.tokens.on_stations() && !self.holds_something(station) {
            return;
        }
        match self.lists.rounds.get_mut(station) {
            Some(round) => round.again = true,
            None => self.begin_round(now, station, None, fx),
        }
    }

    /// Tokens changed: so do the lists of those stations that are there.
    pub(super) fn tokens_changed(&mut self, now: Timestamp, fx: &mut Effects) {
        self.lists.wanted.forget();
        let there = self.stations.iter().filter(|(_, it)| it.link.is_some() && it.visit.is_settled());
        let mut there: Vec<StationId> = there.map(|(station, _)| station.clone()).collect();
        there.sort();
        for station in there
            .into_iter()
            .filter(|station| self.standing(station) == Standing::Accepted)
            .collect::<Vec<_>>()
        {
            if self.are_settings_read(&station) {
                self.look_at_list(now, &station, fx);
            }
        }
    }

    /// Somebody ordered the whole list to be sent.
    pub(super) fn order_list(&mut self, now: Timestamp, command: &Command, fx: &mut Effects) {
        self.end_round(&command.station);
        self.begin_round(now, &command.station, Some(command.id), fx);
    }

    /// Was it one of ours that ended? Then the round goes on.
    pub(super) fn list_asked(
        &mut self,
        now: Timestamp,
        id: CommandId,
        end: &AskEnd,
        fx: &mut Effects,
    ) -> bool {
        let Some(station) = self.lists.asked.remove(&id) else { return false };
        self.go_on(now, &station, end, fx);
        true
    }

    fn holds_something(&self, station: &StationId) -> bool {
        self.lists.held.get(station).is_some_and(|held| match held.state {
            LocalListState::Current | LocalListState::Refused => true,
            LocalListState::Unsupported | LocalListState::Off => false,
        })
    }
}
