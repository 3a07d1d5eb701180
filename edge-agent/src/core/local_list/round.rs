//! One round with one station.

use std::collections::VecDeque;
use std::sync::Arc;

use shared::id::{CommandId, StationId};
use shared::model::LocalListState;
use shared::model::command::{CommandBody, Outcome, Told};
use shared::units::Timestamp;

use super::super::{Ask, AskEnd, Core, Effects, Send};
use super::HeldList;
use super::support::Limits;
use super::wanted::{List, ListLine};

/// The version that a station without a list tells (1.6 §5.10).
const NO_LIST: i32 = -1;

/// Where a round stands.
#[derive(Debug)]
pub(super) struct Round {
    step: Step,
    ordered: Option<CommandId>,
    /// The tokens changed meanwhile.
    pub(super) again: bool,
}

#[derive(Debug)]
enum Step {
    Version,
    Sending(Sending),
}

#[derive(Debug)]
struct Sending {
    limits: Limits,
    list: Arc<List>,
    /// The version of the part that was sent last.
    version: i32,
    full: bool,
    rest: VecDeque<ListLine>,
}

impl Core {
    pub(super) fn begin_round(
        &mut self,
        now: Timestamp,
        station: &StationId,
        ordered: Option<CommandId>,
        fx: &mut Effects,
    ) {
        let round = Round { step: Step::Version, ordered, again: false };
        match self.list_support(station).limits() {
            Ok(_) => self.put(now, station, round, Ask::Command(CommandBody::GetLocalListVersion), fx),
            Err(why) => self.unsupported(now, station, &round, why, fx),
        }
    }

    /// Forgets a round; what is still asked for it is nobody's.
    pub(super) fn end_round(&mut self, station: &StationId) {
        self.lists.rounds.remove(station);
        self.lists.asked.retain(|_, whose| whose != station);
    }

    pub(super) fn go_on(&mut self, now: Timestamp, station: &StationId, end: &AskEnd, fx: &mut Effects) {
        let Some(round) = self.lists.rounds.remove(station) else { return };
        if matches!(end.outcome, Outcome::TimedOut | Outcome::StationOffline) {
            return self.end_order(now, round.ordered, end.outcome, &end.detail, fx);
        }
        match round.step {
            Step::Version => self.version_told(now, station, round, end, fx),
            Step::Sending(_) => self.part_answered(now, station, round, end, fx),
        }
    }

    fn version_told(
        &mut self,
        now: Timestamp,
        station: &StationId,
        round: Round,
        end: &AskEnd,
        fx: &mut Effects,
    ) {
        let Told::LocalListVersion(told) = end.told else {
            return self.unsupported(now, station, &round, "it does not tell its list's version", fx);
        };
        if told == NO_LIST {
            return self.unsupported(now, station, &round, "it keeps no list", fx);
        }
        let limits = match self.list_support(station).limits() {
            Ok(limits) => limits,
            Err(why) => return self.unsupported(now, station, &round, why, fx),
        };
        let list = self.lists.wanted.of(&self.tokens, limits.length, now);
        let held = self.lists.held.get(station);
        let same_version = held.is_some_and(|held| held.version == told);
        let in_step = held.is_some_and(|held| held.digest == Some(list.digest))
            && (same_version || (list.entries.is_empty() && told == 0));
        if in_step && round.ordered.is_none() {
            return self.in_step(now, station, round, (&list, told), fx);
        }
        let known = held.and_then(|held| held.list.clone());
        let older = known.filter(|_| same_version && round.ordered.is_none());
        let lines = older.as_ref().map_or_else(|| list.lines(), |older| list.since(older));
        let version = held.map_or(0, |held| held.version).max(told);
        let sending = Sending { limits, list, version, full: older.is_none(), rest: lines.into() };
        self.send_part(now, station, Round { step: Step::Sending(sending), ..round }, true, fx);
    }

    /// Sends the next part. Until the last one is accepted the station holds something in between.
    fn send_part(
        &mut self,
        now: Timestamp,
        station: &StationId,
        round: Round,
        first: bool,
        fx: &mut Effects,
    ) {
        let Round { step: Step::Sending(mut sending), ordered, again } = round else { return };
        if first {
            self.unsure(station, fx);
        }
        let count = sending.limits.at_once.min(sending.rest.len());
        let lines: Vec<ListLine> = sending.rest.drain(..count).collect();
        sending.version = next(sending.version);
        let ask = Ask::SendLocalList { version: sending.version, full: sending.full && first, lines };
        self.put(now, station, Round { step: Step::Sending(sending), ordered, again }, ask, fx);
    }

    fn part_answered(
        &mut self,
        now: Timestamp,
        station: &StationId,
        round: Round,
        end: &AskEnd,
        fx: &mut Effects,
    ) {
        let Round { step: Step::Sending(sending), ordered, again } = round else { return };
        if end.outcome == Outcome::Accepted && !sending.rest.is_empty() {
            return self.send_part(
                now,
                station,
                Round { step: Step::Sending(sending), ordered, again },
                false,
                fx,
            );
        }
        if end.outcome == Outcome::Accepted {
            let round = Round { step: Step::Version, ordered, again };
            let (list, version) = (Arc::clone(&sending.list), sending.version);
            return self.in_step(now, station, round, (&list, version), fx);
        }
        if !sending.full {
            // VersionMismatch, or a difference that it cannot apply: all of it, then.
            let sending = Sending { full: true, rest: sending.list.lines().into(), ..sending };
            return self.send_part(
                now,
                station,
                Round { step: Step::Sending(sending), ordered, again },
                true,
                fx,
            );
        }
        let round = Round { step: Step::Version, ordered, again };
        if end.outcome == Outcome::NotSupported {
            return self.unsupported(now, station, &round, "it takes no list", fx);
        }
        self.record(now, station, fx, |held| {
            held.state = LocalListState::Refused;
            held.detail = format!("the station refused the list: {}", end.detail);
        });
        self.end_order(now, ordered, end.outcome, &end.detail, fx);
    }

    fn in_step(
        &mut self,
        now: Timestamp,
        station: &StationId,
        round: Round,
        (list, version): (&Arc<List>, i32),
        fx: &mut Effects,
    ) {
        let entries = u32::try_from(list.entries.len()).unwrap_or(u32::MAX);
        let on = self.tokens.on_stations();
        self.record(now, station, fx, |held| {
            held.state = if on { LocalListState::Current } else { LocalListState::Off };
            (held.version, held.entries, held.left_out) = (version, entries, list.left_out);
            (held.digest, held.list) = (Some(list.digest), Some(Arc::clone(list)));
            held.detail = String::new();
        });
        let detail = format!("version {version}, {entries} tokens");
        self.end_order(now, round.ordered, Outcome::Accepted, &detail, fx);
        if round.again {
            self.begin_round(now, station, None, fx);
        }
    }

    fn unsupported(
        &mut self,
        now: Timestamp,
        station: &StationId,
        round: &Round,
        why: &str,
        fx: &mut Effects,
    ) {
        self.record(now, station, fx, |held| {
            *held = HeldList { version: held.version, ..HeldList::unknown(held.station.clone()) };
            held.detail = why.to_owned();
        });
        self.end_order(now, round.ordered, Outcome::NotSupported, why, fx);
    }

    /// From here on a restart must send the whole list.
    fn unsure(&mut self, station: &StationId, fx: &mut Effects) {
        let fresh = || HeldList::unknown(station.clone());
        let held = self.lists.held.entry(station.clone()).or_insert_with(fresh);
        (held.digest, held.list) = (None, None);
        fx.writes.push(super::super::Write::LocalList(Box::new(held.clone())));
    }

    fn record(
        &mut self,
        now: Timestamp,
        station: &StationId,
        fx: &mut Effects,
        change: impl FnOnce(&mut HeldList),
    ) {
        let before = self.lists.held.get(station).cloned();
        let mut held = before.clone().unwrap_or_else(|| HeldList::unknown(station.clone()));
        change(&mut held);
        held.at = now;
        // A list that was never told of is news, whatever it says.
        held.keep(before.as_ref().filter(|before| before.at > Timestamp(0)), fx);
        self.lists.held.insert(station.clone(), held);
    }

    /// Asks the station, if it is there; else the round ends here and begins anew when it is back.
    fn put(&mut self, now: Timestamp, station: &StationId, round: Round, ask: Ask, fx: &mut Effects) {
        let Some(link) = self.stations.get(station).and_then(|station| station.link) else {
            return self.end_order(
                now,
                round.ordered,
                Outcome::StationOffline,
                "the station is not connected",
                fx,
            );
        };
        let command = CommandId((self.ids)(now));
        self.lists.asked.insert(command, station.clone());
        self.lists.rounds.insert(station.clone(), round);
        fx.sends.push(Send::Ask { link, command, ask });
    }
}

/// Versions rise; 0 and -1 mean something else (1.6 §5.10). After the last one they begin anew, with a whole list.
fn next(version: i32) -> i32 {
    if version < 1 || version == i32::MAX { 1 } else { version + 1 }
}
