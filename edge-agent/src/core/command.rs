//! Remote commands: each is taken on once, carried out at most once, and ends in exactly one outcome.

mod grants;
mod waiting;

use shared::id::{CommandId, EvseNo, SessionId, StationId};
use shared::model::charging::ChargingPurpose;
use shared::model::command::{Command, CommandBody, CommandResult, Origin, Outcome, Told};
use shared::model::event::{Event, LocalCommandFinished};
use shared::model::settings::is_secret;
use shared::model::{ConnectorStatus, Session};
use shared::units::Timestamp;

pub(super) use self::grants::Grant;
use super::admission::Standing;
use super::{Ask, AskEnd, CommandState, Core, Effects, Send, Write};

/// Ended commands remembered for repeats.
const REMEMBERED: usize = 1000;

impl Core {
    pub(super) fn command(&mut self, now: Timestamp, command: Command, fx: &mut Effects) {
        match self.commands.get(&command.id) {
            Some(CommandState::Finished(result)) => fx.sends.push(Send::Result(result.clone())),
            Some(CommandState::Open(_) | CommandState::Waiting(_)) => {}
            None if command.expires_at <= now => self.finish(command, refused(now, Outcome::Expired, ""), fx),
            None => self.take_on(now, command, fx),
        }
    }

    fn take_on(&mut self, now: Timestamp, command: Command, fx: &mut Effects) {
        let ask = match self.ask_of(now, &command) {
            Ok(ask) => ask,
            Err((outcome, reason)) => return self.finish(command, refused(now, outcome, reason), fx),
        };
        if let CommandBody::CancelReservation { reservation } = command.body
            && let Some(AskEnd { outcome, detail, .. }) = self.cancel_here(&command, reservation, fx)
        {
            return self.finish(command, refused(now, outcome, &detail), fx);
        }
        if command.waits && !self.is_ready(&command.station) {
            fx.writes.push(Write::CommandWaits(command.clone()));
            self.commands.insert(command.id, CommandState::Waiting(command));
            return;
        }
        let link = self.stations.get(&command.station).and_then(|station| station.link);
        let Some(link) = link else {
            let offline = refused(now, Outcome::StationOffline, "the station is not connected");
            return self.finish(command, offline, fx);
        };
        fx.writes.push(Write::Command { command: command.clone(), result: None });
        self.commands.insert(command.id, CommandState::Open(command.clone()));
        if command.body == CommandBody::SendLocalList {
            return self.order_list(now, &command, fx);
        }
        if self.begin_errand(now, &command, fx) || self.order_security(now, &command, fx) {
            return;
        }
        self.reserving(now, &command, fx);
        let ask = self.suited(now, &command.station, ask);
        fx.sends.push(Send::Ask { link, command: command.id, ask });
        self.grant(now, &command);
    }

    /// What to ask the station for, or why not to.
    fn ask_of(&self, now: Timestamp, command: &Command) -> Result<Ask, (Outcome, &'static str)> {
        let objection = self.objection_by_standing(command).or_else(|| self.objection_by_security(command));
        if let Some(objection) = objection {
            return Err((Outcome::Rejected, objection));
        }
        let objection = match &command.body {
            CommandBody::RemoteStop { session } => {
                let start = &self.running_session(*session, &command.station)?.start;
                return Ok(Ask::RemoteStop(start.tx_ref.clone()));
            }
            CommandBody::SetChargingProfile { profile, .. } => match profile.purpose {
                ChargingPurpose::Session(session) => {
                    let start = &self.running_session(session, &command.station)?.start;
                    let (evse, tx_ref) = (start.evse, start.tx_ref.clone());
                    return Ok(Ask::LimitSession { evse, tx_ref, profile: profile.clone() });
                }
                ChargingPurpose::Station | ChargingPurpose::Default => None,
            },
            CommandBody::RemoteStart { evse: Some(evse), token } => self
                .is_kept_from(now, &command.station, *evse, token)
                .then_some((Outcome::Rejected, "the connector is reserved for somebody else")),
            CommandBody::Reserve(wanted) => self.objection_to_reserving(now, &command.station, wanted),
            CommandBody::SendLocalList => (!self.tokens.on_stations())
                .then_some((Outcome::Rejected, "this site does not keep lists of tokens on its stations")),
            CommandBody::RemoteStart { .. }
            | CommandBody::Reset { .. }
            | CommandBody::Unlock { .. }
            | CommandBody::SetAvailability { .. }
            | CommandBody::GetConfiguration { .. }
            | CommandBody::ChangeConfiguration { .. }
            | CommandBody::ClearCache
            | CommandBody::DataTransfer { .. }
            | CommandBody::Trigger { .. }
            | CommandBody::CancelReservation { .. }
            | CommandBody::ClearChargingProfiles(_)
            | CommandBody::GetCompositeSchedule { .. }
            | CommandBody::UpdateFirmware(_)
            | CommandBody::RequestLog(_)
            | CommandBody::GetLocalListVersion
            | CommandBody::InstallCertificate { .. }
            | CommandBody::DeleteCertificate(_)
            | CommandBody::GetCertificates { .. }
            | CommandBody::RenewCertificate
            | CommandBody::RotatePassword { .. }
            | CommandBody::RaiseProfile(_) => None,
            CommandBody::ReadFrames(_) => {
                Some((Outcome::NotSupported, "the gateway answers that without its stations"))
            }
        };
        objection.map_or_else(|| Ok(Ask::Command(self.root_to_install(command.body.clone()))), Err)
    }

    /// A station that waits is asked for no charge (1.6 §4.2), and one that nobody has adopted only for its settings.
    fn objection_by_standing(&self, command: &Command) -> Option<&'static str> {
        let charges = matches!(command.body, CommandBody::RemoteStart { .. } | CommandBody::Reserve(_));
        let reads = matches!(command.body, CommandBody::GetConfiguration { .. });
        match self.standing(&command.station) {
            Standing::Held if charges => Some("the station is held: release it first"),
            Standing::Pending | Standing::Rejected if !reads => {
                Some("nobody has adopted the station yet: only its settings can be read")
            }
            Standing::Accepted | Standing::Held | Standing::Pending | Standing::Rejected => None,
        }
    }

    fn running_session(
        &self,
        id: SessionId,
        station: &StationId,
    ) -> Result<&Session, (Outcome, &'static str)> {
        let reason = match self.sessions.get(id) {
            Some(running) if running.session.start.station != *station => "the session is not this station's",
            Some(running) if running.session.is_open() => return Ok(&running.session),
            Some(_) => "the session has ended",
            None => "the session is not known here",
        };
        Err((Outcome::Rejected, reason))
    }

    pub(super) fn asked(&mut self, now: Timestamp, id: CommandId, end: AskEnd, fx: &mut Effects) {
        if let Some(station) = self.settings.answers(id) {
            return self.settings_answered(now, &station, end, fx);
        }
        if self.list_asked(now, id, &end, fx) || self.security_asked(now, id, &end, fx) {
            return;
        }
        let Some(CommandState::Open(command)) = self.commands.get(&id) else { return };
        let command = command.clone();
        if self.asks_otherwise(id, &end, fx) || self.tries_again(now, &command, &end, fx) {
            return;
        }
        let end = self.explained(&command, end);
        self.settings_commanded(now, &command.station, &command.body, &end, fx);
        if end.outcome != Outcome::Accepted {
            self.withdraw_grant(id);
        }
        let end = if let CommandBody::Reserve(wanted) = &command.body {
            self.reserve_answered(now, &command.station, wanted, end, fx)
        } else if let CommandBody::CancelReservation { reservation } = command.body {
            self.cancel_answered(reservation, end, fx)
        } else {
            end
        };
        let AskEnd { outcome, detail, told } = end;
        let result = CommandResult { id, outcome, detail, told, at: now };
        self.finish(command, result, fx);
    }

    /// The end of an order, if somebody gave one.
    pub(super) fn end_order(
        &mut self,
        now: Timestamp,
        ordered: Option<CommandId>,
        outcome: Outcome,
        detail: &str,
        fx: &mut Effects,
    ) {
        if let Some(command) = ordered.and_then(|id| self.open_command(id)) {
            let result = CommandResult::plain(command.id, outcome, detail, now);
            self.finish(command, result, fx);
        }
    }

    /// The orders about a station's security that have not ended.
    pub(super) fn orders_about_security(&self, station: &StationId) -> Vec<Command> {
        let about = |body: &CommandBody| {
            matches!(body, CommandBody::RotatePassword { .. } | CommandBody::RaiseProfile(_))
        };
        let asked = self.asked_commands().into_iter();
        asked.filter(|command| command.station == *station && about(&command.body)).collect()
    }

    /// A command that has not ended.
    pub(super) fn open_command(&self, id: CommandId) -> Option<Command> {
        self.commands.get(&id).and_then(open).cloned()
    }

    /// A refusal that an operator can do something about.
    fn explained(&mut self, command: &Command, mut end: AskEnd) -> AskEnd {
        let (station, refused) = (&command.station, end.outcome == Outcome::Rejected);
        if let CommandBody::RemoteStart { evse, .. } = &command.body
            && refused
            && self.is_finishing(station, *evse)
        {
            end.detail = "unplug the cable first: the last session is not over for the station".into();
        }
        if let CommandBody::ClearChargingProfiles(filter) = &command.body
            && end.outcome == Outcome::Accepted
        {
            self.forget_limits(station, filter.evse);
        }
        end
    }

    /// Stations stay so until the cable is out, some of them for good (QUIRKS Q75).
    fn is_finishing(&self, station: &StationId, evse: Option<EvseNo>) -> bool {
        let Some(known) = self.stations.get(station) else { return false };
        let mut asked =
            known.connectors.iter().filter(|(number, _)| evse.is_none_or(|evse| evse == **number));
        asked.any(|(_, connector)| connector.status == ConnectorStatus::Finishing)
    }

    pub(super) fn finish(&mut self, mut command: Command, result: CommandResult, fx: &mut Effects) {
        let mut result = CommandResult { id: command.id, ..result };
        keep_secrets(&mut command.body, &mut result.told);
        if let CommandBody::Reserve(wanted) = &command.body {
            self.not_reserved(result.at, &command.station, wanted.id, result.outcome, fx);
        }
        self.errand_answered(&command, &result, fx);
        self.security_ended(&result);
        fx.event(match command.origin {
            Origin::Cloud => Event::CommandFinished(result.clone()),
            Origin::Installer => {
                let (command, result) = (command.clone(), result.clone());
                Event::LocalCommandFinished(Box::new(LocalCommandFinished { command, result }))
            }
        });
        fx.writes.push(Write::Command { command: command.clone(), result: Some(result.clone()) });
        fx.sends.push(Send::Result(result.clone()));
        self.commands.insert(command.id, CommandState::Finished(result));
        self.forget_old_commands();
    }

    fn forget_old_commands(&mut self) {
        if self.commands.len() <= REMEMBERED * 2 {
            return;
        }
        let mut ended: Vec<(Timestamp, CommandId)> = Vec::new();
        for (id, state) in &self.commands {
            if let CommandState::Finished(result) = state {
                ended.push((result.at, *id));
            }
        }
        ended.sort();
        for (_, id) in ended.iter().rev().skip(REMEMBERED) {
            self.commands.remove(id);
        }
    }
}

fn open(state: &CommandState) -> Option<&Command> {
    match state {
        CommandState::Open(command) | CommandState::Waiting(command) => Some(command),
        CommandState::Finished(_) => None,
    }
}

fn waiting(state: &CommandState) -> Option<&Command> {
    match state {
        CommandState::Waiting(command) => Some(command),
        CommandState::Open(_) | CommandState::Finished(_) => None,
    }
}

/// An end that the site decides; the command's id is filled in by `finish`.
fn refused(now: Timestamp, outcome: Outcome, detail: &str) -> CommandResult {
    CommandResult::plain(CommandId(uuid::Uuid::nil()), outcome, detail, now)
}

/// What gives access is in no record: neither as it was ordered, now that it is done, nor as a station should not have told it.
fn keep_secrets(body: &mut CommandBody, told: &mut Told) {
    if let CommandBody::ChangeConfiguration { key, value } = body
        && is_secret(key)
    {
        *value = "…".into();
    }
    if let Told::Configuration { entries, .. } = told {
        entries.iter_mut().filter(|entry| is_secret(&entry.key)).for_each(|entry| entry.value = None);
    }
}
