//! One charging session, from the start that a station was answered to its end.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::meter::MeterReading;
use super::token::{AuthStatus, AuthorisedBy, IdToken};
use crate::id::{CommandId, EvseNo, SessionId, StationId, StationTxRef, TariffId};
use crate::units::{Percent, Timestamp, Watts, Wh};

/// A version of a tariff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TariffRef {
    /// The tariff.
    pub id: TariffId,
    /// Its version; never changed once published.
    pub version: u32,
}

/// Why a session ended (OCPP 1.6 §7.36 Reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopReason {
    /// The driver asked at the station.
    Local,
    /// The cable was pulled on the vehicle's side.
    EvDisconnected,
    /// A remote stop.
    Remote,
    /// The token was refused after the start.
    DeAuthorized,
    /// The emergency stop.
    EmergencyStop,
    /// A reset by command, hard.
    HardReset,
    /// A reset by command, soft.
    SoftReset,
    /// The station lost power.
    PowerLoss,
    /// The station restarted by itself.
    Reboot,
    /// The connector was unlocked by command.
    UnlockCommand,
    /// Anything else.
    Other,
}

/// What is doubtful about a session's record. A bill never hides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SessionFlag {
    /// The station's answer to its start was never heard, so it stopped without our reference.
    UnknownTxRef,
    /// No start was received: it was made from the stop.
    StartReconstructed,
    /// The stop register lies below the start register: billed from the readings between.
    RegisterWentBack,
    /// The station's clock was not set: times are the gateway's.
    ClockAssumed,
    /// A second, different stop came for it; the first one counts.
    StopConflict,
    /// The token was not accepted, energy flowed nevertheless.
    NotAuthorised,
    /// Nobody had adopted the station yet: it is billed to nobody.
    StationPending,
    /// Its register fell on the way: the energy is the sum of what it rose.
    RegisterReset,
    /// More or less energy than the measured power can have brought.
    Implausible,
    /// It happened before the station was the site's: it is billed to nobody.
    Foreign,
    /// It was stopped with a card that is neither its own nor of its group.
    StoppedByAnother,
}

/// A session began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// The id, minted on the edge.
    pub session: SessionId,
    /// Where.
    pub station: StationId,
    /// At which of its EVSEs.
    pub evse: EvseNo,
    /// The station's own name for it.
    pub tx_ref: StationTxRef,
    /// Who charges.
    pub token: Option<IdToken>,
    /// What the site answered of the token.
    pub auth: AuthStatus,
    /// Who decided that.
    pub authorised_by: AuthorisedBy,
    /// When, by the station's clock where that is trusted.
    pub at: Timestamp,
    /// The register at the start.
    pub meter_start: Wh,
    /// The price that was shown and will be billed.
    pub tariff: Option<TariffRef>,
    /// The remote start that caused it.
    pub caused_by: Option<CommandId>,
    /// What is doubtful already.
    pub flags: Vec<SessionFlag>,
}

/// A session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStopped {
    /// Which.
    pub session: SessionId,
    /// When, by the station's clock where that is trusted.
    pub at: Timestamp,
    /// The register at the end.
    pub meter_stop: Wh,
    /// The energy of the whole session; usually `meter_stop - meter_start`, never negative.
    pub energy: Wh,
    /// Why.
    pub reason: StopReason,
    /// Who stopped it, if told.
    pub token: Option<IdToken>,
    /// What is doubtful.
    pub flags: Vec<SessionFlag>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// The register at the end.
    pub meter_stop: Wh,
    /// Why.
    pub reason: StopReason,
}

/// The state of a session: what its events add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// How it began.
    pub start: SessionStarted,
    /// The newest reading, if any came.
    pub last: Option<MeterReading>,
    /// Energy so far, or in all once it ended.
    pub energy: Wh,
    /// How it ended, if it did.
    pub end: Option<End>,
    /// What is doubtful.
    pub flags: Vec<SessionFlag>,
}

impl Session {
    /// A session that just began.
    pub fn begin(start: SessionStarted) -> Self {
        let flags = start.flags.clone();
        Session { start, last: None, energy: Wh::ZERO, end: None, flags }
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        self.start.session
    }

    /// Does it still run?
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Folds a fact into the state. Facts about other sessions, and those that say nothing about its course, change nothing;
    /// neither does a repeat.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::SessionMetered(metered) if metered.session == self.id() => self.metered(&metered.reading),
            Event::SessionStopped(stop) if stop.session == self.id() => self.stopped(stop),
            Event::SessionMetered(_)
            | Event::SessionStopped(_)
            | Event::SessionStarted(_)
            | Event::AuthorisationDecided(_)
            | Event::SessionPriced(_)
            | Event::StopUnmatched(_)
            | Event::SecurityNoticed(_)
            | Event::CommandFinished(_)
            | Event::MeterGap(_)
            | Event::StatusChanged(_)
            | Event::PresenceChanged(_)
            | Event::StationBooted(_)
            | Event::DocumentApplied(_)
            | Event::UnknownCardSeen(_)
            | Event::ReservationEnded(_)
            | Event::FirmwareProgressed(_)
            | Event::LogProgressed(_)
            | Event::LogReceived(_)
            | Event::StationKnocked(_)
            | Event::StationPending(_)
            | Event::StationAdopted(_)
            | Event::StationRejected(_)
            | Event::WindowChanged(_)
            | Event::SettingsRead(_)
            | Event::SettingsApplied(_)
            | Event::ClockMeasured(_)
            | Event::LocalListChanged(_)
            | Event::LocalCommandFinished(_)
            | Event::FindingNoted(_)
            | Event::QuirkSuggested(_)
            | Event::SecurityReported(_)
            | Event::SecurityProgressed(_)
            | Event::StationSecured(_)
            | Event::CredentialRotated(_) => {}
        }
    }

    /// Takes a reading. Older ones than the newest, and any after the end, change nothing: readings repeat and arrive late.
    pub fn metered(&mut self, reading: &MeterReading) {
        if !self.is_open() || self.last.is_some_and(|last| last.taken_at > reading.taken_at) {
            return;
        }
        let merged = MeterReading {
            taken_at: reading.taken_at,
            register: reading.register.or(self.last.and_then(|l| l.register)),
            power: reading.power.or(self.last.and_then(|l| l.power)),
            current: reading.current.or(self.last.and_then(|l| l.current)),
            voltage: reading.voltage.or(self.last.and_then(|l| l.voltage)),
            soc: reading.soc.or(self.last.and_then(|l| l.soc)),
        };
        if let Some(register) = merged.register {
            self.energy = self.energy.max(self.energy_at(register));
        }
        self.last = Some(merged);
    }

    /// Takes the end. A second one changes nothing but is remembered when it says otherwise.
    pub fn stopped(&mut self, stop: &SessionStopped) {
        if let Some(end) = &self.end {
            if end.meter_stop != stop.meter_stop {
                self.flag(SessionFlag::StopConflict);
            }
            return;
        }
        self.energy = stop.energy;
        self.end = Some(End { at: stop.at, meter_stop: stop.meter_stop, reason: stop.reason });
        for &flag in &stop.flags {
            self.flag(flag);
        }
    }

    /// The energy that a register reading means for this session, never negative.
    pub fn energy_at(&self, register: Wh) -> Wh {
        register.checked_sub(self.start.meter_start).unwrap_or(Wh::ZERO).max(Wh::ZERO)
    }

    /// The energy of the whole session given its stop register: a register that went back (the meter was reset or the
    /// stop is `-1`) falls back to what the readings showed, and is flagged.
    pub fn final_energy(&self, meter_stop: Wh) -> (Wh, Option<SessionFlag>) {
        match meter_stop.checked_sub(self.start.meter_start) {
            Some(energy) if energy >= Wh::ZERO => (energy, None),
            Some(_) | None => (self.energy, Some(SessionFlag::RegisterWentBack)),
        }
    }

    /// Power right now, zero once it ended.
    pub fn power(&self) -> Option<Watts> {
        if self.is_open() { self.last.and_then(|last| last.power) } else { Some(Watts(0)) }
    }

    /// The vehicle's state of charge, if known.
    pub fn soc(&self) -> Option<Percent> {
        self.last.and_then(|last| last.soc)
    }

    /// How long it ran until `now`, or in all, in seconds; never negative.
    pub fn seconds(&self, now: Timestamp) -> i64 {
        let until = self.end.as_ref().map_or(now, |end| end.at);
        (until.millis_since(self.start.at) / 1000).max(0)
    }

    fn flag(&mut self, flag: SessionFlag) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::SessionMetered;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn session() -> Session {
        Session::begin(SessionStarted {
            session: SessionId(Uuid::from_u128(1)),
            station: StationId::new("CP1").unwrap(),
            evse: EvseNo(1),
            tx_ref: StationTxRef("1".into()),
            token: None,
            auth: AuthStatus::Accepted,
            authorised_by: AuthorisedBy::SiteList,
            at: Timestamp(0),
            meter_start: Wh(100),
            tariff: None,
            caused_by: None,
            flags: vec![],
        })
    }

    fn metered(at: i64, register: i64) -> Event {
        let reading = MeterReading::of_register(Timestamp(at), Wh(register));
        Event::SessionMetered(SessionMetered { session: session().id(), reading })
    }

    fn stopped(meter_stop: i64) -> Event {
        Event::SessionStopped(SessionStopped {
            session: session().id(),
            at: Timestamp(1_000_000),
            meter_stop: Wh(meter_stop),
            energy: Wh(meter_stop - 100),
            reason: StopReason::Local,
            token: None,
            flags: vec![],
        })
    }

    #[test]
    fn the_first_end_counts_and_another_one_is_noticed() {
        let mut session = session();
        session.apply(&stopped(300));
        session.apply(&stopped(300));
        assert!(session.flags.is_empty());
        session.apply(&stopped(400));
        session.apply(&metered(2_000_000, 900));
        assert_eq!((session.energy, session.flags), (Wh(200), vec![SessionFlag::StopConflict]));
    }

    #[test]
    fn another_sessions_facts_change_nothing() {
        let mut session = session();
        let reading = MeterReading::of_register(Timestamp(1), Wh(900));
        let other = SessionId(Uuid::from_u128(2));
        session.apply(&Event::SessionMetered(SessionMetered { session: other, reading }));
        assert_eq!(session.energy, Wh::ZERO);
    }

    proptest! {
        /// Readings in any order, repeated, with registers that jump: energy never falls and is never negative.
        #[test]
        fn energy_never_falls(readings in prop::collection::vec((0_i64..50, -1000_i64..5000), 0..60)) {
            let (mut session, mut before) = (session(), Wh::ZERO);
            for (at, register) in readings {
                session.apply(&metered(at, register));
                prop_assert!(session.energy >= before);
                before = session.energy;
                let once = session.clone();
                session.apply(&metered(at, register));
                prop_assert_eq!(&once, &session);
            }
        }
    }
}
