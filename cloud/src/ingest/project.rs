//! What a batch changes, as values. Pure: events in, row changes out, each row at most once.
//!
//! The SQL that writes them takes each list whole, so a batch costs the same few statements whatever its size. Where many
//! events speak of one row, the fold happens here, with the semantics of `shared::model`: the newest reading wins and keeps
//! what it does not mention, the newest status wins.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::json;
use shared::id::{EvseNo, SessionId, StationId};
use shared::model::event::{
    DocumentApplied, LocalCommandFinished, MeterGap, PresenceChanged, SecurityNoticed, SessionMetered,
    SessionPriced, StationBooted, StatusChanged, StopUnmatched, UnknownCardSeen,
};
use shared::model::file::LogReceived;
use shared::model::{
    CommandResult, Event, LocalListChanged, MeterReading, ReservationEnded, SessionStarted, SessionStopped,
};
use shared::units::{Timestamp, Wh};

use super::life::Life;
use super::oddity::Oddities;
use super::security::Security;
use crate::db::alarm::Alarm;
use crate::db::file_step::Step;

/// The first instant that no reasonable clock passes: 2200-01-01.
const END_OF_TIME: Timestamp = Timestamp(7_258_118_400_000);

/// All that a batch changes.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Sessions that began.
    pub starts: Vec<SessionStarted>,
    /// Sessions that ended.
    pub stops: Vec<SessionStopped>,
    /// What the edge priced.
    pub prices: Vec<SessionPriced>,
    /// Commands that ended.
    pub results: Vec<CommandResult>,
    /// What a person has to see.
    pub alarms: Vec<Alarm>,
    /// Every reading.
    pub readings: Vec<SessionMetered>,
    /// Readings that were given up.
    pub gaps: Vec<MeterGap>,
    /// What the readings add up to, by session.
    pub progress: BTreeMap<SessionId, Progress>,
    /// The newest status, by connector.
    pub statuses: BTreeMap<(StationId, EvseNo), StatusChanged>,
    /// The newest presence, by station.
    pub presences: BTreeMap<StationId, PresenceChanged>,
    /// The newest boot, by station.
    pub boots: BTreeMap<StationId, StationBooted>,
    /// Documents that the gateway now works by.
    pub applied: Vec<DocumentApplied>,
    /// Reservations that ended at the site.
    pub reservations: Vec<ReservationEnded>,
    /// Unknown cards, by their folded number; the newest sight of each.
    pub unknown_cards: BTreeMap<String, UnknownCardSeen>,
    /// How far updates and logs are, in their order.
    pub file_steps: Vec<Step>,
    /// Logs that the gateway has.
    pub logs: Vec<LogReceived>,
    /// How stations come, fare and are set.
    pub life: Life,
    /// Stations' lists of tokens that became others.
    pub local_lists: Vec<LocalListChanged>,
    /// What an installer ordered at the gateway.
    pub local_commands: Vec<LocalCommandFinished>,
    /// What was odd about stations' words.
    pub oddities: Oddities,
    /// How stations are secured.
    pub security: Security,
}

/// What a session's readings in one batch add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The newest, completed from those before.
    pub newest: MeterReading,
    /// The highest register among them.
    pub highest: Option<Wh>,
}

impl Changes {
    /// Folds one event in, out of the record of that key.
    pub fn add(&mut self, key: &str, event: Event) {
        match event {
            Event::SessionStarted(start) => self.starts.push(start),
            Event::SessionStopped(stop) => self.stops.push(stop),
            Event::SessionPriced(priced) => self.prices.push(priced),
            Event::CommandFinished(result) => self.results.push(result),
            Event::StopUnmatched(stop) => self.alarms.push(unmatched(&stop)),
            Event::SecurityNoticed(notice) => self.alarms.push(noticed(&notice)),
            Event::SessionMetered(metered) => self.metered(metered),
            Event::StatusChanged(status) => self.status(status),
            Event::PresenceChanged(presence) => {
                newest(&mut self.presences, presence.station.clone(), presence, |it| it.at);
            }
            Event::StationBooted(boot) => newest(&mut self.boots, boot.station.clone(), boot, |it| it.at),
            Event::DocumentApplied(applied) => self.applied.push(applied),
            Event::ReservationEnded(ended) => self.reservations.push(ended),
            Event::UnknownCardSeen(seen) => {
                newest(&mut self.unknown_cards, seen.token.folded(), seen, |it| it.at)
            }
            Event::FirmwareProgressed(progressed) => self.file_steps.extend(Step::of_update(progressed)),
            Event::LogProgressed(progressed) => self.file_steps.extend(Step::of_log(progressed)),
            Event::LogReceived(received) => self.logs.push(received),
            Event::LocalListChanged(list) => self.local_lists.push(list),
            Event::LocalCommandFinished(ended) => self.local_commands.push(*ended),
            Event::MeterGap(gap) => self.gaps.push(gap),
            // Kept as records; no table shows them.
            Event::AuthorisationDecided(_) => {}
            Event::StationKnocked(it) => newest(&mut self.life.knocks, it.station.clone(), it, |it| it.at),
            Event::StationPending(it) => newest(&mut self.life.pending, it.station.clone(), it, |it| it.at),
            Event::StationAdopted(it) => self.life.adopted.push(it),
            Event::StationRejected(it) => self.life.rejected.push(it),
            Event::WindowChanged(it) => self.life.window = Some(it),
            Event::SettingsRead(it) => self.life.read.push(it),
            Event::SettingsApplied(it) => newest(&mut self.life.applied, it.station.clone(), it, |it| it.at),
            Event::FindingNoted(it) => self.oddities.found(it),
            Event::QuirkSuggested(it) => self.oddities.suggested(it),
            Event::SecurityReported(it) => self.security.reported.push((key.to_owned(), it)),
            Event::SecurityProgressed(it) => self.security.progressed.push(it),
            Event::StationSecured(it) => {
                newest(&mut self.security.secured, it.station.clone(), it, |it| it.at)
            }
            Event::CredentialRotated(it) => self.security.rotated.push(it),
            Event::ClockMeasured(it) => newest(&mut self.life.clocks, it.station.clone(), it, |it| it.at),
        }
    }

    fn metered(&mut self, metered: SessionMetered) {
        let SessionMetered { session, reading } = &metered;
        match self.progress.entry(*session) {
            Entry::Vacant(entry) => {
                entry.insert(Progress { newest: *reading, highest: reading.register });
            }
            Entry::Occupied(mut entry) => entry.get_mut().add(reading),
        }
        self.readings.push(metered);
    }

    fn status(&mut self, status: StatusChanged) {
        if let Some(evse) = status.evse {
            newest(&mut self.statuses, (status.station.clone(), evse), status, |it| it.at);
        } else {
            newest(&mut self.life.statuses, status.station.clone(), status, |it| it.at);
        }
    }
}

impl Progress {
    fn add(&mut self, reading: &MeterReading) {
        self.highest = self.highest.max(reading.register);
        if reading.taken_at >= self.newest.taken_at {
            self.newest = completed(*reading, &self.newest);
        }
    }
}

fn completed(newer: MeterReading, older: &MeterReading) -> MeterReading {
    MeterReading {
        taken_at: newer.taken_at,
        register: newer.register.or(older.register),
        power: newer.power.or(older.power),
        current: newer.current.or(older.current),
        voltage: newer.voltage.or(older.voltage),
        soc: newer.soc.or(older.soc),
    }
}

fn newest<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, at: impl Fn(&V) -> Timestamp) {
    match map.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(value);
        }
        Entry::Occupied(mut entry) if at(&value) >= at(entry.get()) => {
            entry.insert(value);
        }
        Entry::Occupied(_) => {}
    }
}

fn unmatched(stop: &StopUnmatched) -> Alarm {
    Alarm {
        kind: "stop_unmatched".into(),
        subject: format!("{}/{}/{}", stop.station, stop.tx_ref, stop.at),
        detail: json!({
            "station": printable(stop.station.as_str()),
            "transaction": printable(&stop.tx_ref),
            "token": stop.token.as_ref().map(|token| printable(token.as_str())),
            "at": stop.at.to_string(),
            "meterStopWh": stop.meter_stop.0,
        }),
    }
}

fn noticed(notice: &SecurityNoticed) -> Alarm {
    let station = notice.station.as_ref().map_or("", StationId::as_str);
    Alarm {
        kind: notice.what.clone(),
        subject: station.into(),
        detail: json!({
            "station": printable(station),
            "detail": printable(&notice.detail),
            "at": notice.at.to_string(),
        }),
    }
}

/// Text from a station inside of JSON: Postgres holds no NUL, a person wants no control characters.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Why an event cannot become rows, if so. Says no where Postgres would, and where a time is nobody's.
pub fn objection(event: &Event) -> Option<&'static str> {
    let sane = |at: Timestamp| (Timestamp(0)..END_OF_TIME).contains(&at);
    let fine = match event {
        Event::SessionStarted(e) => sane(e.at),
        Event::SessionStopped(e) => sane(e.at),
        Event::AuthorisationDecided(e) => sane(e.at),
        Event::StopUnmatched(e) => sane(e.at),
        Event::SecurityNoticed(e) => sane(e.at),
        Event::CommandFinished(e) => sane(e.at),
        Event::SessionMetered(e) => sane(e.reading.taken_at),
        Event::MeterGap(e) => sane(e.from) && sane(e.to),
        Event::StatusChanged(e) => sane(e.at),
        Event::PresenceChanged(e) => sane(e.at),
        Event::StationBooted(e) => sane(e.at),
        Event::DocumentApplied(e) => sane(e.at),
        Event::UnknownCardSeen(e) => sane(e.at),
        Event::ReservationEnded(e) => sane(e.at),
        Event::FirmwareProgressed(e) => sane(e.at),
        Event::LogProgressed(e) => sane(e.at),
        Event::LogReceived(e) => sane(e.at),
        Event::LocalListChanged(e) => sane(e.at),
        Event::LocalCommandFinished(e) => {
            sane(e.result.at) && sane(e.command.issued_at) && sane(e.command.expires_at)
        }
        Event::SessionPriced(_) => true,
        Event::StationKnocked(e) => sane(e.at),
        Event::StationPending(e) => sane(e.at),
        Event::StationAdopted(e) => sane(e.at),
        Event::StationRejected(e) => sane(e.at),
        Event::WindowChanged(e) => sane(e.at) && e.until.is_none_or(sane),
        Event::SettingsRead(e) => sane(e.at),
        Event::SettingsApplied(e) => sane(e.at),
        Event::ClockMeasured(e) => sane(e.at),
        Event::FindingNoted(e) => sane(e.first_at) && sane(e.at),
        Event::QuirkSuggested(e) => sane(e.at),
        Event::SecurityReported(e) => sane(e.at),
        Event::SecurityProgressed(e) => sane(e.at),
        Event::StationSecured(e) => sane(e.at) && e.password_since.is_none_or(sane),
        Event::CredentialRotated(e) => sane(e.at),
    };
    if fine { None } else { Some("time out of range") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::id::StationTxRef;
    use shared::model::token::{AuthStatus, AuthorisedBy};
    use shared::model::{ConnectorStatus, Session};
    use shared::units::{Percent, Watts};
    use uuid::Uuid;

    fn session(n: u128) -> SessionId {
        SessionId(Uuid::from_u128(n))
    }

    fn status(evse: Option<u16>, status: ConnectorStatus, at: i64) -> Event {
        let station = StationId::new("CP1").unwrap();
        let evse = evse.map(EvseNo);
        Event::StatusChanged(StatusChanged { station, evse, status, error: None, at: Timestamp(at) })
    }

    #[test]
    fn the_newest_status_wins_whatever_the_order() {
        let mut changes = Changes::default();
        changes.add("", status(Some(1), ConnectorStatus::Charging, 20));
        changes.add("", status(Some(1), ConnectorStatus::Preparing, 10));
        changes.add("", status(Some(2), ConnectorStatus::Available, 5));
        changes.add("", status(None, ConnectorStatus::Faulted, 30));
        let seen: Vec<_> = changes.statuses.values().map(|s| (s.evse, s.status)).collect();
        assert_eq!(
            seen,
            [(Some(EvseNo(1)), ConnectorStatus::Charging), (Some(EvseNo(2)), ConnectorStatus::Available)]
        );
    }

    #[test]
    fn times_nobody_lives_in_are_objected_to() {
        assert!(objection(&status(Some(1), ConnectorStatus::Available, -1)).is_some());
        assert!(objection(&status(Some(1), ConnectorStatus::Available, END_OF_TIME.0)).is_some());
        assert!(objection(&status(Some(1), ConnectorStatus::Available, 0)).is_none());
    }

    prop_compose! {
        fn any_reading()(at in 0i64..50, register in prop::option::of(100i64..300), power in prop::option::of(0i64..9), soc in prop::option::of(0u8..100)) -> MeterReading {
            MeterReading {
                register: register.map(Wh), power: power.map(Watts), soc: soc.map(Percent),
                ..MeterReading::empty(Timestamp(at))
            }
        }
    }

    proptest! {
        /// The fold of a batch agrees with the fold that the edge uses.
        #[test]
        fn progress_is_what_the_session_says(mut readings in prop::collection::vec(any_reading(), 1..20)) {
            readings.sort_by_key(|reading| reading.taken_at);
            let mut whole = Session::begin(SessionStarted {
                session: session(1), station: StationId::new("CP1").unwrap(), evse: EvseNo(1),
                tx_ref: StationTxRef("1".into()), token: None, auth: AuthStatus::Accepted,
                authorised_by: AuthorisedBy::SiteList, at: Timestamp(0), meter_start: Wh(100), tariff: None,
                caused_by: None, flags: vec![],
            });
            let mut changes = Changes::default();
            for reading in &readings {
                whole.metered(reading);
                changes.add("", Event::SessionMetered(SessionMetered { session: session(1), reading: *reading }));
            }
            let progress = changes.progress[&session(1)];
            prop_assert_eq!(Some(progress.newest), whole.last);
            prop_assert_eq!(progress.highest.map_or(Wh(0), |highest| whole.energy_at(highest)), whole.energy);
            prop_assert_eq!(changes.readings.len(), readings.len());
        }
    }
}
