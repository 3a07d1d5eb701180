//! What the CSMS's answers change.

use shared::ocpp::v16::StopReason;

use super::queue::Queued;
use super::{Asker, Core, Fact, OWN_BOOT_INTERVAL, Outcome, Ticket, Told};
use crate::event::{Event, Registration};
use crate::tempo::Millis;

impl Core {
    /// A fact was answered, or not.
    pub fn answered(&mut self, now: Millis, ticket: Ticket, outcome: Outcome) {
        self.tick(now);
        match ticket {
            Ticket::Boot => self.boot_answered(now, &outcome),
            Ticket::Authorise(connector, tag, asker) => {
                self.token_answered(now, connector, tag, asker, &outcome);
            }
            Ticket::Transaction(number) => self.transaction_answered(now, number, &outcome),
            Ticket::Report => self.report_answered(now, &outcome),
            Ticket::Plain(action) => self.missed(action, &outcome),
        }
        self.tick(now);
    }

    fn boot_answered(&mut self, now: Millis, outcome: &Outcome) {
        self.missed("BootNotification", outcome);
        let Outcome::Told(Told::Boot { registration, interval }) = *outcome else {
            self.boot_due = Some(now + OWN_BOOT_INTERVAL * 1000);
            return;
        };
        self.registration = Some(registration);
        self.out.events.push(Event::Booted { registration, interval });
        if registration == Registration::Accepted {
            if interval > 0 {
                self.keys.set("HeartbeatInterval", interval.to_string());
            }
            self.heartbeat_due = self.heartbeat_after(now);
            self.tell_all_status(now);
            self.may_renew_again();
            if self.security.habits.reports_startup {
                self.report(now, "StartupOfTheDevice", String::new());
            }
        } else {
            let interval = if interval == 0 { OWN_BOOT_INTERVAL } else { interval };
            self.boot_due = Some(now + interval * 1000);
        }
    }

    fn token_answered(&mut self, now: Millis, number: u16, tag: String, asker: Asker, outcome: &Outcome) {
        self.missed("Authorize", outcome);
        let Outcome::Told(Told::Token { accepted, parent }) = outcome else {
            if asker == Asker::Driver {
                self.checked(now, number, tag, false);
            }
            return;
        };
        self.remember(&tag, *accepted);
        let admitted = self.is_kept_for(number, &tag, parent.as_deref());
        self.checked(now, number, tag, *accepted && admitted);
    }

    fn transaction_answered(&mut self, now: Millis, number: u64, outcome: &Outcome) {
        let Outcome::Told(told) = outcome else {
            self.missed("transaction message", outcome);
            let attempts = self.keys.number("TransactionMessageAttempts");
            let interval = self.keys.number("TransactionMessageRetryInterval") * 1000;
            if let Some(queued) = self.queue.failed(number, now, attempts, interval) {
                self.out.events.push(Event::Discarded { action: action(&queued.fact) });
                self.forget(&queued);
            }
            return;
        };
        let Some(queued) = self.queue.answered(number) else { return };
        match (&queued.fact, told) {
            (Fact::Start { connector, tag, .. }, Told::Start { transaction, accepted }) => {
                self.remember(tag, *accepted);
                self.start_answered(now, *connector, queued.local, *transaction, *accepted);
            }
            (Fact::Stop { .. }, _) => {
                let transaction = self.transactions.get(&queued.local).copied().unwrap_or(-1);
                self.note(queued.local, |record| record.stop_answered = true);
                self.out.events.push(Event::StopAnswered { transaction });
            }
            _ => {}
        }
        self.forget(&queued);
    }

    fn start_answered(&mut self, now: Millis, number: u16, local: u64, transaction: i32, accepted: bool) {
        self.transactions.insert(local, transaction);
        self.note(local, |record| {
            record.transaction_id = Some(transaction);
            record.start_answered = true;
            record.start_accepted = accepted;
        });
        self.out.events.push(Event::StartAnswered { connector: number, transaction, accepted });
        let stop_on_invalid = self.keys.is("StopTransactionOnInvalidId");
        let connector = self.connector(number);
        let Some(session) = connector.and_then(|connector| connector.session.as_mut()) else { return };
        if session.local != local {
            return;
        }
        session.transaction = Some(transaction);
        session.suspended = !accepted;
        if !accepted && stop_on_invalid {
            self.stop(now, number, StopReason::DeAuthorized, None);
        }
    }

    /// A session whose last message is gone needs its transaction id no longer.
    fn forget(&mut self, queued: &Queued) {
        if matches!(queued.fact, Fact::Stop { .. }) && !self.queue.holds(queued.local) {
            self.transactions.remove(&queued.local);
        }
    }

    fn remember(&mut self, tag: &str, accepted: bool) {
        if self.keys.is("AuthorizationCacheEnabled") {
            self.cache.insert(tag.to_lowercase(), accepted);
        }
    }

    fn missed(&mut self, action: &'static str, outcome: &Outcome) {
        let error = match outcome {
            Outcome::Told(_) => return,
            Outcome::Refused(error) => error.clone(),
            Outcome::TimedOut => "no answer in time".to_owned(),
        };
        self.out.events.push(Event::Refused { action, error });
    }
}

fn action(fact: &Fact) -> &'static str {
    match fact {
        Fact::Boot => "BootNotification",
        Fact::Heartbeat => "Heartbeat",
        Fact::Status { .. } => "StatusNotification",
        Fact::Authorise { .. } => "Authorize",
        Fact::Start { .. } => "StartTransaction",
        Fact::Readings { .. } => "MeterValues",
        Fact::Stop { .. } => "StopTransaction",
        Fact::Transfer { .. } => "DataTransfer",
        Fact::File { topic, .. } => topic.action(),
        Fact::SecurityEvent { .. } => "SecurityEventNotification",
        Fact::SignCertificate { .. } => "SignCertificate",
    }
}
