//! What goes in steps: a new password (A01), a new certificate (A02, A03), a higher profile (A05). One at a time for each
//! station. The steps are in memory only: what counts is in [`super::SecurityMemory`] before it is said to the station, so
//! that a restart at any moment leaves the station welcome, and begins anew what was ordered.

use std::collections::VecDeque;

use shared::id::{CommandId, StationId};
use shared::model::command::{Command, CommandBody, Outcome};
use shared::model::event::Event;
use shared::model::security::{
    HIGHEST_PROFILE, ProfileRaise, RootUse, SecurityProgressed, SecurityStep, SecurityWork,
};
use shared::units::Timestamp;

use super::{Making, Secret, SecurityMemory};
use crate::core::{Ask, AskEnd, Core, Effects, Send, Write};

/// So long a station may take to make a key: small processors and RSA need minutes.
const KEY_MS: i64 = 15 * 60_000;
/// So long it may take to come back by a higher profile, restart included.
const RETURN_MS: i64 = 15 * 60_000;
/// It came back by the lower one: perhaps only once more.
const FELL_BACK_MS: i64 = 60_000;
/// So long it may take to come with a new password; both are good after that, too.
const PASSWORD_MS: i64 = 24 * 3_600_000;

/// The settings that hold a station's password and its profile (§7).
const PASSWORD: &str = "AuthorizationKey";
const PROFILE: &str = "SecurityProfile";

/// Steps that a station is in.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) kind: SecurityWork,
    pub(super) command: Option<CommandId>,
    raise: Option<Box<ProfileRaise>>,
    /// What is left to do; the first is under way.
    pub(super) left: VecDeque<SecurityStep>,
    /// When it is given up, if it waits for the station.
    due: Option<Timestamp>,
    /// What could not be done and may not matter.
    remark: String,
}

impl Work {
    pub(super) fn new(kind: SecurityWork, plan: impl IntoIterator<Item = SecurityStep>) -> Self {
        let left = plan.into_iter().collect();
        Work { kind, command: None, raise: None, left, due: None, remark: String::new() }
    }

    /// What an order means; none if it goes in one step.
    pub(super) fn ordered(command: &Command, plain: bool) -> Option<Self> {
        use SecurityStep as Step;
        let work = if let CommandBody::RaiseProfile(raise) = &command.body {
            Work::raising(raise, plain)
        } else if matches!(command.body, CommandBody::RotatePassword { .. }) {
            Work::new(SecurityWork::Password, [Step::Writing, Step::AwaitingReturn])
        } else if command.body == CommandBody::RenewCertificate {
            Work::new(SecurityWork::Certificate, [Step::AwaitingRequest, Step::DeliveringCertificate])
        } else {
            return None;
        };
        Some(Work { command: Some(command.id), ..work })
    }

    fn raising(raise: &ProfileRaise, plain: bool) -> Self {
        use SecurityStep as Step;
        let mut plan = Vec::new();
        // Whoever comes by TLS trusts us already.
        plan.extend((plain && raise.to > 1).then_some(Step::InstallingRoot));
        if raise.to == HIGHEST_PROFILE {
            plan.extend([Step::AwaitingRequest, Step::DeliveringCertificate]);
        }
        plan.extend(raise.address_key.is_some().then_some(Step::WritingAddress));
        plan.extend([Step::Writing, Step::AwaitingReturn]);
        Work { raise: Some(Box::new(raise.clone())), ..Work::new(SecurityWork::Profile, plan) }
    }

    pub(super) fn is_at(&self, step: SecurityStep) -> bool {
        self.left.front() == Some(&step)
    }

    /// May what gives access go over a line that others can read?
    pub(super) fn may_go_plain(&self) -> bool {
        self.raise.as_ref().is_some_and(|raise| raise.over_plain)
    }
}

impl Core {
    /// Begins; what was under way for the station is given up, because somebody wants something else.
    pub(super) fn begin_security(
        &mut self,
        now: Timestamp,
        station: &StationId,
        work: Work,
        fx: &mut Effects,
    ) {
        if self.security.work.contains_key(station) {
            self.security_failed(now, station, Outcome::Rejected, "something else was begun", fx);
        }
        self.security.work.insert(station.clone(), work);
        self.enter_step(now, station, fx);
    }

    fn enter_step(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(work) = self.security.work.get_mut(station) else { return };
        work.due = None;
        let Some(step) = work.left.front().copied() else { return self.security_done(now, station, fx) };
        if step == SecurityStep::AwaitingReturn {
            let patience = if work.kind == SecurityWork::Password { PASSWORD_MS } else { RETURN_MS };
            work.due = Some(now.plus_millis(patience));
        }
        let raise = work.raise.as_deref().cloned();
        self.tell_step(now, station, step, "", fx);
        match (step, raise) {
            // What the gateway shows was signed by somebody whom stations know already.
            (SecurityStep::InstallingRoot, _) if self.security.authority.is_empty() => {
                self.next_step(now, station, fx);
            }
            (SecurityStep::InstallingRoot, _) => {
                let body = CommandBody::InstallCertificate {
                    root: RootUse::CentralSystem,
                    certificate: Some(self.security.authority.clone()),
                    over_plain: true,
                };
                self.security_question(now, station, step, Ask::Command(body), fx);
            }
            (SecurityStep::AwaitingRequest, _) => {
                self.security_question(now, station, step, Ask::Command(CommandBody::RenewCertificate), fx);
            }
            (SecurityStep::WritingAddress, raise) => {
                let raise = raise.unwrap_or_default();
                let address = raise.address.or_else(|| self.security.address(station, raise.to));
                let key = raise.address_key.unwrap_or_default();
                self.write_setting(now, station, step, (&key, address.unwrap_or_default()), fx);
            }
            (SecurityStep::Writing, Some(raise)) => {
                self.remember_security(station, |memory| memory.aim_at(raise.to), fx);
                self.write_setting(now, station, step, (PROFILE, raise.to.to_string()), fx);
            }
            (SecurityStep::Writing, None) => {
                fx.sends.push(Send::Make { station: station.clone(), what: Making::Password });
            }
            // The station, or the shell, is at work; or there is nothing left to do.
            (
                SecurityStep::DeliveringCertificate
                | SecurityStep::AwaitingReturn
                | SecurityStep::Done
                | SecurityStep::Failed,
                _,
            ) => {}
        }
    }

    /// A password was made for the station: it is good from now on, and written to it.
    pub(super) fn write_password(
        &mut self,
        now: Timestamp,
        station: &StationId,
        Secret(password): Secret,
        credential: String,
        fx: &mut Effects,
    ) {
        let wanted = |work: &Work| work.kind == SecurityWork::Password && work.is_at(SecurityStep::Writing);
        if !self.security.work.get(station).is_some_and(wanted) {
            return;
        }
        self.remember_security(station, |memory| memory.try_password(credential), fx);
        fx.sends.push(Send::Directory(self.directory()));
        self.write_setting(now, station, SecurityStep::Writing, (PASSWORD, password), fx);
    }

    fn write_setting(
        &mut self,
        now: Timestamp,
        station: &StationId,
        step: SecurityStep,
        (key, value): (&str, String),
        fx: &mut Effects,
    ) {
        let body = CommandBody::ChangeConfiguration { key: key.to_owned(), value };
        self.security_question(now, station, step, Ask::Command(body), fx);
    }

    pub(super) fn security_question(
        &mut self,
        now: Timestamp,
        station: &StationId,
        step: SecurityStep,
        ask: Ask,
        fx: &mut Effects,
    ) {
        let Some(link) = self.stations.get(station).and_then(|known| known.link) else {
            return self.security_failed(
                now,
                station,
                Outcome::StationOffline,
                "the station is not connected",
                fx,
            );
        };
        let command = CommandId((self.ids)(now));
        self.security.questions.insert(command, (station.clone(), step));
        fx.sends.push(Send::Ask { link, command, ask });
    }

    /// Is this the answer to a question about security?
    pub(in crate::core) fn security_asked(
        &mut self,
        now: Timestamp,
        question: CommandId,
        end: &AskEnd,
        fx: &mut Effects,
    ) -> bool {
        let Some((station, step)) = self.security.questions.remove(&question) else { return false };
        let Some(work) = self.security.work.get_mut(&station).filter(|work| work.is_at(step)) else {
            return true;
        };
        let yes = matches!(end.outcome, Outcome::Accepted | Outcome::Scheduled);
        let unknown = matches!(end.outcome, Outcome::TimedOut | Outcome::StationOffline);
        match step {
            SecurityStep::InstallingRoot if !yes && !unknown && end.outcome != Outcome::NotSupported => {
                // It may have it already; it looks itself before it takes the profile (A05.FR.03).
                work.remark = format!("it did not take the authority's certificate ({})", end.detail);
                self.next_step(now, &station, fx);
            }
            SecurityStep::AwaitingRequest if yes => work.due = Some(now.plus_millis(KEY_MS)),
            SecurityStep::Writing if yes || unknown => {
                self.next_step(now, &station, fx);
                let idle = !self.sessions.open().any(|it| it.session.start.station == station);
                if end.outcome == Outcome::Scheduled && idle {
                    self.say(now, &station, CommandBody::Reset { hard: false }, fx);
                }
            }
            SecurityStep::InstallingRoot
            | SecurityStep::DeliveringCertificate
            | SecurityStep::WritingAddress
                if yes =>
            {
                self.next_step(now, &station, fx);
            }
            SecurityStep::InstallingRoot
            | SecurityStep::AwaitingRequest
            | SecurityStep::DeliveringCertificate
            | SecurityStep::WritingAddress
            | SecurityStep::Writing
            | SecurityStep::AwaitingReturn
            | SecurityStep::Done
            | SecurityStep::Failed => {
                if !unknown {
                    self.was_refused(&station, step, fx);
                }
                self.security_failed(now, &station, end.outcome, &end.detail, fx);
            }
        }
        true
    }

    /// What was made good for it, and what it did not want, is good no more.
    fn was_refused(&mut self, station: &StationId, step: SecurityStep, fx: &mut Effects) {
        let Some(kind) = self.security.work.get(station).map(|work| work.kind) else { return };
        match (step, kind) {
            (SecurityStep::Writing, SecurityWork::Password) => {
                self.remember_security(station, SecurityMemory::drop_candidate, fx);
            }
            (SecurityStep::Writing, SecurityWork::Profile) => {
                self.remember_security(station, SecurityMemory::gave_up_aim, fx);
            }
            (SecurityStep::DeliveringCertificate, _) => {
                self.remember_security(station, SecurityMemory::drop_issued, fx);
            }
            _ => return,
        }
        fx.sends.push(Send::Directory(self.directory()));
    }

    pub(super) fn next_step(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        if let Some(work) = self.security.work.get_mut(station) {
            work.left.pop_front();
        }
        self.enter_step(now, station, fx);
    }

    pub(super) fn security_done(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(work) = self.security.work.get(station) else { return };
        let (command, remark) = (work.command, work.remark.clone());
        self.tell_step(now, station, SecurityStep::Done, &remark, fx);
        self.security.work.remove(station);
        self.end_order(now, command, Outcome::Accepted, &remark, fx);
    }

    pub(super) fn security_failed(
        &mut self,
        now: Timestamp,
        station: &StationId,
        outcome: Outcome,
        why: &str,
        fx: &mut Effects,
    ) {
        let Some(work) = self.security.work.get(station) else { return };
        let command = work.command;
        let separator = if work.remark.is_empty() { "" } else { "; " };
        let detail = format!("{why}{separator}{}", work.remark);
        self.tell_step(now, station, SecurityStep::Failed, &detail, fx);
        self.security.work.remove(station);
        self.end_order(now, command, outcome, &detail, fx);
    }

    fn tell_step(
        &mut self,
        now: Timestamp,
        station: &StationId,
        step: SecurityStep,
        detail: &str,
        fx: &mut Effects,
    ) {
        let Some(work) = self.security.work.get(station) else { return };
        fx.event(Event::SecurityProgressed(SecurityProgressed {
            command: work.command,
            station: station.clone(),
            work: work.kind,
            step,
            detail: detail.to_owned(),
            at: now,
        }));
    }

    pub(super) fn remember_security(
        &mut self,
        station: &StationId,
        change: impl FnOnce(&mut SecurityMemory),
        fx: &mut Effects,
    ) {
        let memory = self.security.memory.entry(station.clone()).or_default();
        change(memory);
        fx.writes.push(Write::SecurityMemory(station.clone(), Box::new(memory.clone())));
    }

    /// It came by a lower profile than it was raised to: it may have fallen back (A05.FR.08).
    pub(super) fn came_as_before(&mut self, now: Timestamp, station: &StationId, profile: u8) {
        let Some(work) = self.security.work.get_mut(station) else { return };
        let aims_higher = work.raise.as_ref().is_some_and(|raise| raise.to > profile);
        if aims_higher && work.is_at(SecurityStep::AwaitingReturn) {
            let soon = now.plus_millis(FELL_BACK_MS);
            work.due = work.due.map(|due| due.min(soon));
            work.remark = format!("it came back by profile {profile}");
        }
    }

    pub(in crate::core) fn next_security_deadline(&self) -> Option<Timestamp> {
        let work = self.security.work.values().filter_map(|work| work.due).min();
        let renewal = self.security.renewals.first().map(|(due, _)| *due);
        [work, renewal].into_iter().flatten().min()
    }

    /// Gives up what was waited for too long, and begins what is due.
    pub(in crate::core) fn expire_security(&mut self, now: Timestamp, fx: &mut Effects) {
        let late = |work: &Work| work.due.is_some_and(|due| due <= now);
        let due: Vec<StationId> =
            self.security.work.iter().filter(|(_, work)| late(work)).map(|(id, _)| id.clone()).collect();
        for station in due {
            let Some(work) = self.security.work.get(&station) else { continue };
            let why = match (work.kind, work.left.front()) {
                (_, Some(SecurityStep::AwaitingRequest)) => "the station sent no request for a certificate",
                (SecurityWork::Password, _) => {
                    "the station never came with the new password: it may still come with either"
                }
                _ => "the station did not come by the higher profile",
            };
            self.security_failed(now, &station, Outcome::TimedOut, why, fx);
        }
        self.renew_certificates(now, fx);
    }
}
