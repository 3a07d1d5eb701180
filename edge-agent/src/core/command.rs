//! Remote commands: each is taken on once, carried out at most once, and ends in exactly one outcome.

use shared::id::{CommandId, EvseNo, SessionId, StationId};
use shared::model::charging::ChargingPurpose;
use shared::model::command::{Command, CommandBody, CommandResult, Origin, Outcome};
use shared::model::event::{Event, LocalCommandFinished};
use shared::model::{ConnectorStatus, IdToken, Session};
use shared::units::Timestamp;

use super::admission::Standing;
use super::{Ask, AskEnd, CommandState, Core, Effects, LinkId, Send, StoredCommand, Write};

/// How long an accepted remote start may take to become a session (OCPP 1.6 `ConnectionTimeOut` is usually less).
const GRANT_MS: i64 = 5 * 60 * 1000;

/// Ended commands remembered for repeats.
const REMEMBERED: usize = 1000;

/// A remote start that was put to a station: its token may charge there.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    command: CommandId,
    station: StationId,
    token: IdToken,
    until: Timestamp,
}

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
            self.grants.retain(|grant| grant.command != id);
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

    pub(super) fn finish(&mut self, command: Command, result: CommandResult, fx: &mut Effects) {
        let result = CommandResult { id: command.id, ..result };
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

    // --- remote starts

    fn grant(&mut self, now: Timestamp, command: &Command) {
        if let CommandBody::RemoteStart { token, .. } = &command.body {
            self.grants.retain(|grant| grant.until > now);
            self.grants.push(Grant {
                command: command.id,
                station: command.station.clone(),
                token: token.clone(),
                until: now.plus_millis(GRANT_MS),
            });
        }
    }

    pub(super) fn granted(&self, now: Timestamp, station: &StationId, token: &IdToken) -> Option<CommandId> {
        let fits = |g: &&Grant| g.station == *station && g.token == *token && g.until > now;
        self.grants.iter().find(fits).map(|grant| grant.command)
    }

    /// The remote start that a session comes from; it brings forth only one.
    pub(super) fn take_grant(
        &mut self,
        now: Timestamp,
        station: &StationId,
        token: &IdToken,
    ) -> Option<CommandId> {
        let command = self.granted(now, station, token)?;
        self.grants.retain(|grant| grant.command != command);
        Some(command)
    }

    // --- after a restart, and while a station is away

    pub(super) fn restore_command(&mut self, stored: StoredCommand) {
        let StoredCommand { command, waiting, result } = stored;
        match result {
            Some(result) => {
                if result.outcome == Outcome::Accepted {
                    self.grant(result.at, &command);
                }
                self.commands.insert(command.id, CommandState::Finished(result));
            }
            None if waiting => {
                self.commands.insert(command.id, CommandState::Waiting(command));
            }
            None => {
                self.commands.insert(command.id, CommandState::Open(command));
            }
        }
    }

    /// A crash hid how these ended. What may run twice waits for its station; the others must not run again.
    pub(super) fn end_interrupted_commands(&mut self, now: Timestamp, fx: &mut Effects) {
        for command in self.asked_commands() {
            if !command.body.is_idempotent() && !self.is_preparing(command.id) {
                self.finish(
                    command,
                    refused(now, Outcome::Unknown, "the gateway restarted while it was asked"),
                    fx,
                );
            }
        }
    }

    /// Asks a station that came back for what was interrupted.
    pub(super) fn ask_waiting(
        &mut self,
        now: Timestamp,
        station: &StationId,
        link: LinkId,
        fx: &mut Effects,
    ) {
        for command in self.asked_commands() {
            if command.station == *station && command.body.is_idempotent() {
                // What it is about may have ended meanwhile.
                match self.ask_of(now, &command) {
                    Ok(_) if command.body == CommandBody::SendLocalList => self.order_list(now, &command, fx),
                    Ok(_) if self.is_under_way(command.id) => {}
                    Ok(_) if self.order_security(now, &command, fx) => {}
                    Ok(ask) => {
                        let ask = self.suited(now, station, ask);
                        fx.sends.push(Send::Ask { link, command: command.id, ask });
                    }
                    Err((outcome, reason)) => self.finish(command, refused(now, outcome, reason), fx),
                }
            }
        }
    }

    /// The station may be asked now: for what waits, in the order in which it was given.
    pub(super) fn put_waiting(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let waiting =
            self.commands.values().filter_map(waiting).filter(|command| command.station == *station);
        let mut waiting: Vec<Command> = waiting.cloned().collect();
        waiting.sort_by_key(|command| (command.issued_at, command.id));
        for command in waiting {
            self.commands.remove(&command.id);
            self.command(now, command, fx);
        }
    }

    pub(super) fn next_command_deadline(&self) -> Option<Timestamp> {
        self.commands.values().filter_map(open).map(|command| command.expires_at).min()
    }

    /// A station that was asked and neither answered nor left by the command's end did not answer in time.
    pub(super) fn expire_commands(&mut self, now: Timestamp, fx: &mut Effects) {
        for command in self.open_commands() {
            if command.expires_at <= now {
                let (outcome, why) = match self.commands.get(&command.id) {
                    Some(CommandState::Waiting(_)) => (Outcome::Expired, "the station did not come in time"),
                    Some(CommandState::Open(_) | CommandState::Finished(_)) | None => {
                        (Outcome::TimedOut, "the station did not answer in time")
                    }
                };
                self.finish(command, refused(now, outcome, why), fx);
            }
        }
    }

    fn open_commands(&self) -> Vec<Command> {
        self.commands.values().filter_map(open).cloned().collect()
    }

    fn asked_commands(&self) -> Vec<Command> {
        let asked = |state: &CommandState| match state {
            CommandState::Open(command) => Some(command.clone()),
            CommandState::Waiting(_) | CommandState::Finished(_) => None,
        };
        self.commands.values().filter_map(asked).collect()
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
