//! Charging profiles as stations can follow them. A profile is written as a station is known to want it; one that is refused
//! is tried in other words, from the most exact to the plainest (QUIRKS Q76 to Q80); and an accepted one is not believed but
//! measured (Q81).

use std::collections::HashMap;

use shared::id::{CommandId, EvseNo, StationId};
use shared::model::charging::{
    ChargingKind, ChargingPeriod, ChargingProfile, ChargingPurpose, RateUnit, limit_at,
};
use shared::model::command::{Command, CommandBody, Outcome};
use shared::model::event::{Event, SecurityNoticed};
use shared::model::finding::{Oddity, Severity};
use shared::model::quirks::{ChargingQuirks, ScheduleStart, SteadyKind, Suggestion};
use shared::model::{MeterReading, Session};
use shared::units::{Timestamp, Watts};

use super::suspicion::Suspicion;
use super::{Ask, AskEnd, Core, Effects, Send};

/// What a phase has, for turning amperes into watts.
const VOLTS: u64 = 230;
/// So long a station may take to follow a limit.
const GRACE_MS: i64 = 30_000;

/// The limits that stations accepted, and who does not keep them.
#[derive(Debug, Default)]
pub(super) struct Limits {
    tried: HashMap<CommandId, Attempt>,
    accepted: HashMap<(StationId, EvseNo), Vec<ChargingProfile>>,
    beyond: HashMap<(StationId, EvseNo), Beyond>,
}

/// In which words a profile is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attempt {
    /// As the station is known to want it.
    #[default]
    AsKnown,
    /// Counted from the beginning of the session.
    Relative,
    /// For each session at the connector instead of this one.
    AsDefault,
}

#[derive(Clone, Copy, Debug)]
struct Beyond {
    since: Timestamp,
    told: bool,
}

impl Core {
    /// The asking of a profile in words that the station follows.
    pub(super) fn suited(&self, now: Timestamp, station: &StationId, ask: Ask) -> Ask {
        let charging = self.quirks(station).charging;
        let began = |evse: EvseNo| Some(self.sessions.open_at(station, evse)?.session.start.at);
        match ask {
            Ask::LimitSession { evse, tx_ref, profile } => {
                let profile = suited(profile, &charging, began(evse), now);
                Ask::LimitSession { evse, tx_ref, profile }
            }
            Ask::Command(CommandBody::SetChargingProfile { evse, profile }) => {
                let profile = suited(profile, &charging, evse.and_then(began), now);
                Ask::Command(CommandBody::SetChargingProfile { evse, profile })
            }
            Ask::Command(_)
            | Ask::RemoteStop(_)
            | Ask::UpdateFirmware { .. }
            | Ask::RequestLog { .. }
            | Ask::DeliverCertificate { .. }
            | Ask::SendLocalList { .. } => ask,
        }
    }

    /// Is a refused profile worth another try, in plainer words? Then it is under way.
    pub(super) fn tries_again(
        &mut self,
        now: Timestamp,
        command: &Command,
        end: &AskEnd,
        fx: &mut Effects,
    ) -> bool {
        let CommandBody::SetChargingProfile { evse, profile } = &command.body else { return false };
        let tried = self.limits.tried.remove(&command.id).unwrap_or_default();
        if end.outcome == Outcome::Accepted {
            self.profile_accepted(now, &command.station, *evse, profile, tried, fx);
            return false;
        }
        let refused = matches!(end.outcome, Outcome::Rejected | Outcome::NotSupported);
        let Some(link) = self.stations.get(&command.station).and_then(|it| it.link).filter(|_| refused)
        else {
            return false;
        };
        let Some((next, ask)) = self.plainer(now, &command.station, *evse, profile, tried) else {
            return false;
        };
        self.limits.tried.insert(command.id, next);
        fx.sends.push(Send::Ask { link, command: command.id, ask });
        true
    }

    fn plainer(
        &self,
        now: Timestamp,
        station: &StationId,
        evse: Option<EvseNo>,
        profile: &ChargingProfile,
        tried: Attempt,
    ) -> Option<(Attempt, Ask)> {
        let session = match profile.purpose {
            ChargingPurpose::Session(id) => self.sessions.get(id).filter(|it| it.session.is_open()),
            ChargingPurpose::Default | ChargingPurpose::Station => None,
        };
        let mut charging = self.quirks(station).charging;
        let relative = || profile.kind == ChargingKind::Absolute && charging.kind.is_none();
        let next = match tried {
            Attempt::AsKnown if relative() && profile.purpose != ChargingPurpose::Station => {
                Attempt::Relative
            }
            Attempt::AsKnown | Attempt::Relative if session.is_some() => Attempt::AsDefault,
            Attempt::AsKnown | Attempt::Relative | Attempt::AsDefault => return None,
        };
        charging.kind = charging.kind.or(Some(SteadyKind::Relative));
        let began = session.map(|it| it.session.start.at);
        let mut plain = suited(profile.clone(), &charging, began, now);
        let ask = match (next, session) {
            (Attempt::AsDefault, Some(running)) => {
                plain.purpose = ChargingPurpose::Default;
                let evse = Some(running.session.start.evse);
                Ask::Command(CommandBody::SetChargingProfile { evse, profile: plain })
            }
            (_, Some(running)) => {
                let (evse, tx_ref) = (running.session.start.evse, running.session.start.tx_ref.clone());
                Ask::LimitSession { evse, tx_ref, profile: plain }
            }
            (_, None) => Ask::Command(CommandBody::SetChargingProfile { evse, profile: plain }),
        };
        Some((next, ask))
    }

    fn profile_accepted(
        &mut self,
        now: Timestamp,
        station: &StationId,
        evse: Option<EvseNo>,
        profile: &ChargingProfile,
        tried: Attempt,
        fx: &mut Effects,
    ) {
        if tried != Attempt::AsKnown {
            let mut charging = self.quirks(station).charging;
            charging.kind = Some(SteadyKind::Relative);
            let evidence = "it refused an absolute schedule and took a relative one".to_owned();
            let suggestion = Suggestion::Charging(charging);
            self.suspect(now, station, Suspicion { suggestion, evidence, may_be_chance: false }, fx);
        }
        let evse = match profile.purpose {
            ChargingPurpose::Session(id) => self.sessions.get(id).map(|it| it.session.start.evse),
            ChargingPurpose::Default | ChargingPurpose::Station => evse,
        };
        let Some(evse) = evse else { return };
        let place = (station.clone(), evse);
        let accepted = self.limits.accepted.entry(place.clone()).or_default();
        accepted.retain(|other| other.id != profile.id);
        accepted.push(profile.clone());
        self.limits.beyond.remove(&place);
    }

    /// Profiles were cleared: nothing is held against the station any more. A session's own end with it.
    pub(super) fn forget_limits(&mut self, station: &StationId, evse: Option<EvseNo>) {
        let here =
            |place: &(StationId, EvseNo)| place.0 == *station && evse.is_none_or(|evse| evse == place.1);
        self.limits.accepted.retain(|place, _| !here(place));
        self.limits.beyond.retain(|place, _| !here(place));
    }

    pub(super) fn session_limits_end(&mut self, session: &Session) {
        let place = (session.start.station.clone(), session.start.evse);
        if let Some(accepted) = self.limits.accepted.get_mut(&place) {
            accepted.retain(|profile| !matches!(profile.purpose, ChargingPurpose::Session(_)));
        }
        self.limits.beyond.remove(&place);
    }

    /// Does this connector draw what it will, whatever limit it accepted?
    pub fn is_uncontrollable(&self, station: &StationId, evse: EvseNo) -> bool {
        self.limits.beyond.get(&(station.clone(), evse)).is_some_and(|beyond| beyond.told)
    }

    /// Holds a reading against the limit that was accepted.
    pub(super) fn watch_limit(
        &mut self,
        now: Timestamp,
        session: &Session,
        reading: &MeterReading,
        fx: &mut Effects,
    ) {
        let start = &session.start;
        let place = (start.station.clone(), start.evse);
        let Some(accepted) = self.limits.accepted.get(&place).filter(|it| !it.is_empty()) else { return };
        let Some(drawn) = reading.power else { return };
        let at = reading.taken_at;
        let limit = limit_at(accepted, Some(start.at), at);
        let Some(limit) = limit.filter(|limit| is_beyond(drawn, *limit)) else {
            self.limits.beyond.remove(&place);
            return;
        };
        let beyond = self.limits.beyond.entry(place).or_insert(Beyond { since: at, told: false });
        if beyond.told || at.millis_since(beyond.since) < GRACE_MS {
            return;
        }
        beyond.told = true;
        let detail =
            format!("connector {} draws {} W, though it accepted {} W", start.evse, drawn.0, limit.0);
        let (station, session) = (start.station.clone(), Some(session.id()));
        let what = (Oddity::NoEffect, Severity::Hard);
        self.doubt(now, (&station, session), ("SetChargingProfile", "limit"), what, detail.clone(), fx);
        fx.event(Event::SecurityNoticed(SecurityNoticed {
            station: Some(station),
            what: "limit_ignored".into(),
            detail,
            at: now,
        }));
    }
}

/// A tenth and a little more than it may.
fn is_beyond(drawn: Watts, limit: Watts) -> bool {
    drawn.0 > limit.0 + limit.0 / 10 + 100
}

/// A profile as a station wants it. Limits are only ever rounded down.
fn suited(
    mut profile: ChargingProfile,
    wanted: &ChargingQuirks,
    session_began: Option<Timestamp>,
    now: Timestamp,
) -> ChargingProfile {
    if let Some(most) = wanted.max_stack_level {
        profile.stack_level = profile.stack_level.min(most);
    }
    match (wanted.kind, profile.kind) {
        (Some(SteadyKind::Relative), ChargingKind::Absolute)
            if profile.purpose != ChargingPurpose::Station =>
        {
            let start = profile.schedule.start.take();
            let from = session_began.unwrap_or(now);
            shift(&mut profile.schedule.periods, start.map_or(0, |start| from.millis_since(start) / 1000));
            profile.kind = ChargingKind::Relative;
        }
        (Some(SteadyKind::Absolute), ChargingKind::Relative) => {
            profile.kind = ChargingKind::Absolute;
            profile.schedule.start = Some(session_began.unwrap_or(now));
        }
        (_, _) => {}
    }
    if profile.kind == ChargingKind::Absolute {
        begin(&mut profile, wanted.start, now);
    }
    let phases = u64::from(wanted.phases.unwrap_or(3));
    if let Some(unit) = wanted.unit {
        convert(&mut profile, unit, phases);
    }
    if let Some(step) = wanted.step_tenths.filter(|_| profile.schedule.unit == RateUnit::Amperes) {
        for period in &mut profile.schedule.periods {
            period.limit_tenths -= period.limit_tenths % step.max(1);
        }
    }
    profile
}

fn begin(profile: &mut ChargingProfile, start: ScheduleStart, now: Timestamp) {
    let given = profile.schedule.start;
    let late = given.map_or(0, |given| now.millis_since(given) / 1000);
    match start {
        ScheduleStart::AsGiven => {}
        ScheduleStart::Now => {
            shift(&mut profile.schedule.periods, late);
            profile.schedule.start = Some(now);
        }
        ScheduleStart::Omit => {
            shift(&mut profile.schedule.periods, late);
            profile.schedule.start = None;
        }
    }
}

/// Counts periods from so many seconds later: the one that runs then is the first. Earlier: the first one begins at once.
fn shift(periods: &mut Vec<ChargingPeriod>, later_s: i64) {
    let moved = |period: &ChargingPeriod| i64::from(period.start_s) - later_s;
    let first = periods.iter().rposition(|period| moved(period) <= 0).unwrap_or(0);
    periods.drain(..first);
    for (place, period) in periods.iter_mut().enumerate() {
        let start = if place == 0 { 0 } else { moved(period) };
        period.start_s = u32::try_from(start).unwrap_or(0);
    }
}

fn convert(profile: &mut ChargingProfile, unit: RateUnit, phases: u64) {
    let schedule = &mut profile.schedule;
    if schedule.unit == unit {
        return;
    }
    let turned = |tenths: u32, phases: u64| {
        let tenths = u64::from(tenths);
        let turned = match unit {
            RateUnit::Watts => tenths * VOLTS * phases,
            RateUnit::Amperes => tenths / (VOLTS * phases),
        };
        u32::try_from(turned).unwrap_or(u32::MAX)
    };
    for period in &mut schedule.periods {
        period.limit_tenths = turned(period.limit_tenths, period.phases.map_or(phases, u64::from).max(1));
    }
    schedule.min_rate_tenths = schedule.min_rate_tenths.map(|least| turned(least, phases));
    schedule.unit = unit;
}
