//! Sessions: who may charge where, how a session begins, is metered, and ends.

use shared::ocpp::v16::{Context, StopReason};

use super::connector::{Connector, Running};
use super::queue::Local;
use super::{Asker, Core, Fact, MOST_RECORDS, Sample, Ticket};
use crate::ev::{Ev, Vehicle};
use crate::event::Event;
use crate::journal::SessionRecord;
use crate::tempo::Millis;

/// Why a driver could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The station has no power.
    #[error("the station has no power")]
    NoPower,
    /// No such connector.
    #[error("the station has no connector {0}")]
    NoConnector(u16),
    /// A vehicle is there already.
    #[error("connector {0} is taken")]
    Taken(u16),
    /// No vehicle is there.
    #[error("nothing is plugged into connector {0}")]
    Empty(u16),
    /// Not in this state.
    #[error("connector {0} cannot take a token now")]
    NotNow(u16),
}

impl Core {
    /// A vehicle is plugged in. If a token waits for it, the session begins.
    pub fn plug(&mut self, now: Millis, number: u16, vehicle: Vehicle) -> Result<(), Refusal> {
        self.tick(now);
        let connector = self.connector(number).ok_or(Refusal::NoConnector(number))?;
        if connector.ev.is_some() {
            return Err(Refusal::Taken(number));
        }
        connector.ev = Some(Ev::new(vehicle));
        connector.finishing = false;
        let allowed = connector.allowed.take().filter(|_| connector.operative);
        if let Some((tag, _)) = allowed {
            self.start(now, number, tag);
        }
        self.tick(now);
        Ok(())
    }

    /// The vehicle leaves. Its session ends.
    pub fn unplug(&mut self, now: Millis, number: u16) -> Result<(), Refusal> {
        self.tick(now);
        let connector = self.connector(number).ok_or(Refusal::NoConnector(number))?;
        if connector.ev.is_none() {
            return Err(Refusal::Empty(number));
        }
        self.stop(now, number, StopReason::EvDisconnected, None);
        if let Some(connector) = self.connector(number) {
            connector.ev = None;
            connector.finishing = false;
        }
        self.tick(now);
        Ok(())
    }

    /// A card is held to the reader: it ends the session that it began, or asks to begin one.
    pub fn tap(&mut self, now: Millis, number: u16, tag: &str) -> Result<(), Refusal> {
        self.tick(now);
        if !self.powered {
            return Err(Refusal::NoPower);
        }
        let connector = self.connector(number).ok_or(Refusal::NoConnector(number))?;
        match &connector.session {
            Some(session) if session.tag.eq_ignore_ascii_case(tag) => {
                self.stop(now, number, StopReason::Local, Some(tag.to_owned()));
            }
            Some(_) => return Err(Refusal::NotNow(number)),
            None if connector.is_free() => self.check(now, number, tag.to_owned(), Asker::Driver),
            None => return Err(Refusal::NotNow(number)),
        }
        self.tick(now);
        Ok(())
    }

    /// Finds out whether a token may charge: from the CSMS, or without it as the configuration says.
    pub(super) fn check(&mut self, now: Millis, number: u16, tag: String, asker: Asker) {
        let known = self.known(now, &tag);
        let mine = self.is_kept_for(number, &tag, None);
        let askable = self.is_kept_for_a_group(number) && self.connected;
        if !mine && !askable {
            return self.checked(now, number, tag, false);
        }
        if self.connected && self.is_accepted() {
            if mine && self.keys.is("LocalPreAuthorize") && known == Some(true) {
                self.checked(now, number, tag, true);
            } else {
                let fact = Fact::Authorise { tag: tag.clone() };
                self.tell(Ticket::Authorise(number, tag, asker), fact);
            }
            return;
        }
        let accepted = match known {
            Some(known) => known && self.keys.is("LocalAuthorizeOffline"),
            None => self.keys.is("AllowOfflineTxForUnknownId"),
        };
        self.checked(now, number, tag, accepted);
    }

    /// A token's answer is known.
    pub(super) fn checked(&mut self, now: Millis, number: u16, tag: String, accepted: bool) {
        self.out.events.push(Event::Authorised { connector: number, tag: tag.clone(), accepted });
        if accepted {
            self.allow(now, number, tag);
        }
    }

    /// A token may charge: at once where a vehicle waits, else when one comes in time.
    pub(super) fn allow(&mut self, now: Millis, number: u16, tag: String) {
        let patience = self.tempo.real(self.keys.number("ConnectionTimeOut").max(1));
        let Some(connector) = self.connector(number).filter(|connector| connector.is_free()) else { return };
        if connector.ev.is_some() {
            self.start(now, number, tag);
        } else {
            connector.allowed = Some((tag, now + patience));
        }
    }

    /// Ends the session of a connector, if one runs.
    pub(super) fn stop(&mut self, now: Millis, number: u16, reason: StopReason, by: Option<String>) {
        let at = self.tempo.at(now);
        let Some(connector) = self.connector(number) else { return };
        connector.advance(at);
        let Some(session) = connector.session.take() else { return };
        let meter = connector.meter.register();
        connector.finishing = connector.ev.is_some();
        if let Some(operative) = connector.scheduled.take() {
            connector.operative = operative;
        }
        connector.advance(at);
        self.note(session.local, |record| {
            record.stopped_at = Some(at.to_string());
            record.meter_stop_wh = Some(meter.0);
            record.reason = Some(reason.name().to_owned());
        });
        let fact = Fact::Stop { transaction: 0, tag: by, meter, at, reason };
        self.queue.push(session.local, fact);
        self.forget_session_profiles(number);
        let transaction = session.transaction;
        self.out.events.push(Event::Stopped { connector: number, transaction, meter, reason });
    }

    pub(super) fn stop_all(&mut self, now: Millis, reason: StopReason) {
        for number in 1..=self.connectors.len() {
            self.stop(now, u16::try_from(number).unwrap_or(u16::MAX), reason, None);
        }
    }

    /// Queues the readings that are due.
    pub(super) fn read_meters(&mut self, now: Millis) {
        let at = self.tempo.at(now);
        let interval = self.reading_interval();
        for connector in &mut self.connectors {
            let sample = sample(connector, at);
            let number = connector.number;
            let Some(session) = &mut connector.session else { continue };
            if session.next_reading.is_none_or(|due| due > now) {
                continue;
            }
            session.next_reading = interval.map(|interval| now + interval);
            let fact =
                Fact::Readings { connector: number, transaction: None, context: Context::Periodic, sample };
            self.queue.push(session.local, fact);
        }
    }

    /// Queues or sends a reading that the CSMS asked for.
    pub(super) fn read_meter(&mut self, now: Millis, number: u16) {
        let at = self.tempo.at(now);
        let Some(connector) = self.connector(number) else { return };
        let (local, context) = (connector.session.as_ref().map(|session| session.local), Context::Trigger);
        let sample = sample(connector, at);
        let fact = Fact::Readings { connector: number, transaction: None, context, sample };
        match local {
            Some(local) => self.queue.push(local, fact),
            None => self.tell(Ticket::Plain("MeterValues"), fact),
        }
    }

    /// Tokens that nobody plugged in for.
    pub(super) fn expire_permissions(&mut self, now: Millis) {
        for connector in &mut self.connectors {
            connector.allowed.take_if(|(_, until)| *until <= now);
        }
    }

    /// Changes the record of a session and writes it down.
    pub(super) fn note(&mut self, local: Local, change: impl Fn(&mut SessionRecord)) {
        let name = self.session_name(local);
        if let Some(record) = self.records.iter_mut().find(|record| record.session == name) {
            change(record);
            self.out.records.push(record.clone());
        }
    }

    fn start(&mut self, now: Millis, number: u16, tag: String) {
        let at = self.tempo.at(now);
        self.next_local += 1;
        let local = self.next_local;
        let next_reading = self.reading_interval().map(|interval| now + interval);
        let (session, identity) = (self.session_name(local), self.identity.clone());
        let Some(connector) = self.connector(number) else { return };
        let meter = connector.meter.register();
        let reservation = connector.reserved.take().map(|reserved| reserved.id);
        let record = SessionRecord {
            session,
            identity,
            connector: number,
            id_tag: tag.clone(),
            transaction_id: None,
            started_at: at.to_string(),
            meter_start_wh: meter.0,
            stopped_at: None,
            meter_stop_wh: None,
            reason: None,
            start_answered: false,
            start_accepted: false,
            stop_answered: false,
        };
        connector.session = Some(Running {
            local,
            tag: tag.clone(),
            transaction: None,
            next_reading,
            suspended: false,
            since: at,
        });
        connector.advance(at);
        self.keep(record);
        self.queue.push(local, Fact::Start { connector: number, tag: tag.clone(), meter, at, reservation });
        self.out.events.push(Event::Started { connector: number, tag, meter });
    }

    fn keep(&mut self, record: SessionRecord) {
        if self.records.len() >= MOST_RECORDS {
            self.records.remove(0);
        }
        self.records.push(record.clone());
        self.out.records.push(record);
    }

    fn session_name(&self, local: Local) -> String {
        format!("{}/{:x}/{}", self.identity, self.first_local, local - self.first_local)
    }

    fn reading_interval(&self) -> Option<Millis> {
        let seconds = self.keys.number("MeterValueSampleInterval");
        (seconds > 0).then(|| self.tempo.real(seconds))
    }
}

fn sample(connector: &Connector, at: shared::units::Timestamp) -> Sample {
    let view = connector.view();
    Sample { at, register: view.register, power: view.power, soc: view.soc }
}
