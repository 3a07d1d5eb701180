//! What the station does when it is asked (1.6 §5: Core, Reservation and Remote Trigger).

use shared::ocpp::v16::{
    ConfigurationKey, Confirmation, CsmsCall, ListCall, StopReason, Topic, Trigger, Verdict,
};

use super::keys::Changed;
use super::reservation::Reserved;
use super::{Asker, Core, Fact, Ticket};
use crate::event::Event;
use crate::tempo::Millis;

impl Core {
    /// Carries out what the CSMS asks, and says how it went.
    pub fn asked(&mut self, now: Millis, call: &CsmsCall) -> Confirmation {
        self.tick(now);
        self.note_line(self.tempo.at(now), format!("asked for {}", call.action()));
        self.out.events.push(Event::CommandReceived { action: call.action().to_owned() });
        let answer = match call {
            CsmsCall::ChangeAvailability { connector, operative } => {
                plain(self.change_availability(*connector, *operative))
            }
            CsmsCall::ChangeConfiguration { key, value } => plain(self.change_key(now, key, value)),
            CsmsCall::ClearCache => {
                self.cache.clear();
                plain(Verdict::Accepted)
            }
            CsmsCall::DataTransfer { .. } => plain(Verdict::UnknownVendorId),
            CsmsCall::GetConfiguration { keys } => self.configuration(keys),
            CsmsCall::RemoteStart { connector, id_tag } => plain(self.remote_start(now, *connector, id_tag)),
            CsmsCall::RemoteStop { transaction } => plain(self.remote_stop(now, *transaction)),
            CsmsCall::Reset { hard } => plain(self.reset(now, *hard)),
            CsmsCall::Trigger { message, connector } => plain(self.triggered(now, *message, *connector)),
            CsmsCall::UnlockConnector { connector } => plain(self.unlock(now, *connector)),
            CsmsCall::ReserveNow { connector, until, id_tag, parent, reservation } => {
                let reserved =
                    Reserved { id: *reservation, tag: id_tag.clone(), parent: parent.clone(), until: *until };
                plain(self.reserve(now, *connector, reserved))
            }
            CsmsCall::CancelReservation { reservation } => plain(self.cancel_reservation(*reservation)),
            CsmsCall::SetChargingProfile { connector, profile, transaction } => {
                plain(self.set_profile(*connector, profile, *transaction))
            }
            CsmsCall::ClearChargingProfile(filter) => plain(self.clear_profiles(filter)),
            CsmsCall::GetCompositeSchedule { connector, duration_s, unit } => {
                let schedule = self.composite_schedule(now, *connector, *duration_s, *unit);
                let verdict = if schedule.is_some() { Verdict::Accepted } else { Verdict::Rejected };
                Confirmation { schedule, ..plain(verdict) }
            }
            CsmsCall::File(call) => self.asked_for_file(now, call),
            CsmsCall::Security(call) => self.asked_about_security(now, call),
            CsmsCall::List(ListCall::GetVersion) => {
                Confirmation { list_version: Some(self.local_list_version()), ..Confirmation::default() }
            }
            CsmsCall::List(ListCall::Send { version, full, entries }) => {
                plain(self.take_local_list(*version, *full, entries))
            }
        };
        self.tick(now);
        answer
    }

    fn remote_start(&mut self, now: Millis, wanted: Option<u16>, tag: &str) -> Verdict {
        let usable = |number: &u16| wanted.is_none_or(|wanted| wanted == *number);
        let free =
            self.connectors.iter().filter(|connector| connector.is_free() && usable(&connector.number));
        let free = free.filter(|connector| connector.reserved.as_ref().is_none_or(|it| it.is_for(tag, None)));
        // Where a vehicle waits already is the better guess.
        let place =
            free.max_by_key(|connector| (connector.ev.is_some(), std::cmp::Reverse(connector.number)));
        let Some(number) = place.map(|connector| connector.number) else { return Verdict::Rejected };
        if self.keys.is("AuthorizeRemoteTxRequests") {
            self.check(now, number, tag.to_owned(), Asker::Csms);
        } else {
            self.allow(now, number, tag.to_owned());
        }
        Verdict::Accepted
    }

    fn remote_stop(&mut self, now: Millis, transaction: i32) -> Verdict {
        let place = self.connectors.iter().find(|connector| {
            connector.session.as_ref().is_some_and(|session| session.transaction == Some(transaction))
        });
        let Some(number) = place.map(|connector| connector.number) else { return Verdict::Rejected };
        self.stop(now, number, StopReason::Remote, None);
        Verdict::Accepted
    }

    fn reset(&mut self, now: Millis, hard: bool) -> Verdict {
        self.stop_all(now, if hard { StopReason::HardReset } else { StopReason::SoftReset });
        self.forget_reservations();
        self.registration = None;
        self.out.restart = true;
        Verdict::Accepted
    }

    fn unlock(&mut self, now: Millis, number: u16) -> Verdict {
        if self.connector(number).is_none() {
            return Verdict::NotSupported;
        }
        self.stop(now, number, StopReason::UnlockCommand, None);
        Verdict::Unlocked
    }

    fn change_availability(&mut self, number: u16, operative: bool) -> Verdict {
        if number > 0 && self.connector(number).is_none() {
            return Verdict::Rejected;
        }
        let mut verdict = Verdict::Accepted;
        for connector in &mut self.connectors {
            if number != 0 && connector.number != number {
                continue;
            }
            if connector.session.is_some() && connector.operative != operative {
                connector.scheduled = Some(operative);
                verdict = Verdict::Scheduled;
            } else {
                connector.operative = operative;
                connector.scheduled = None;
            }
        }
        verdict
    }

    fn change_key(&mut self, now: Millis, key: &str, value: &str) -> Verdict {
        if let Some(verdict) = self.change_access(now, key, value) {
            return verdict;
        }
        match self.keys.change(key, value) {
            Changed::Accepted => Verdict::Accepted,
            Changed::Rejected => Verdict::Rejected,
            Changed::NotSupported => Verdict::NotSupported,
        }
    }

    fn configuration(&self, wanted: &[String]) -> Confirmation {
        let entry = |(key, value, readonly): (&str, &str, bool)| ConfigurationKey {
            key: key.to_owned(),
            value: Some(value.to_owned()),
            readonly,
        };
        if wanted.is_empty() {
            return Confirmation {
                configuration: self.keys.all().map(entry).collect(),
                ..Confirmation::default()
            };
        }
        let mut answer = Confirmation::default();
        for key in wanted {
            match self.keys.get(key) {
                Some(found) => answer.configuration.push(entry(found)),
                None => answer.unknown_keys.push(key.clone()),
            }
        }
        answer
    }

    pub(super) fn triggered(&mut self, now: Millis, message: Trigger, connector: Option<u16>) -> Verdict {
        let count = u16::try_from(self.connectors.len()).unwrap_or(u16::MAX);
        if connector.is_some_and(|number| number > count) {
            return Verdict::Rejected;
        }
        let numbers = connector.map_or(1..=count, |number| number..=number);
        match message {
            Trigger::BootNotification => self.boot_due = Some(now),
            Trigger::Heartbeat => self.tell(Ticket::Plain("Heartbeat"), Fact::Heartbeat),
            Trigger::DiagnosticsStatus => self.tell_file_status(Topic::Diagnostics),
            Trigger::FirmwareStatus => self.tell_file_status(Topic::Firmware),
            Trigger::MeterValues => numbers.for_each(|number| self.read_meter(now, number)),
            Trigger::StatusNotification if connector.is_none_or(|number| number == 0) => {
                self.tell_all_status(now)
            }
            Trigger::StatusNotification => {
                for connector in self.connectors.iter_mut().filter(|known| numbers.contains(&known.number)) {
                    connector.told = None;
                }
            }
        }
        Verdict::Accepted
    }
}

pub(super) fn plain(verdict: Verdict) -> Confirmation {
    Confirmation { verdict: Some(verdict), ..Confirmation::default() }
}
