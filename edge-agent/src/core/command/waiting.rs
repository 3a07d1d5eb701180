//! Commands after a restart, and while their station is away.

use shared::id::StationId;
use shared::model::command::{Command, CommandBody, Outcome};
use shared::units::Timestamp;

use super::{open, refused, waiting};
use crate::core::{CommandState, Core, Effects, LinkId, Send, StoredCommand};

impl Core {
    pub(in crate::core) fn restore_command(&mut self, stored: StoredCommand) {
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
    pub(in crate::core) fn end_interrupted_commands(&mut self, now: Timestamp, fx: &mut Effects) {
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
    pub(in crate::core) fn ask_waiting(
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
    pub(in crate::core) fn put_waiting(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let waiting =
            self.commands.values().filter_map(waiting).filter(|command| command.station == *station);
        let mut waiting: Vec<Command> = waiting.cloned().collect();
        waiting.sort_by_key(|command| (command.issued_at, command.id));
        for command in waiting {
            self.commands.remove(&command.id);
            self.command(now, command, fx);
        }
    }

    pub(in crate::core) fn next_command_deadline(&self) -> Option<Timestamp> {
        self.commands.values().filter_map(open).map(|command| command.expires_at).min()
    }

    /// A station that was asked and neither answered nor left by the command's end did not answer in time. One that was not
    /// asked yet is not asked any more: a driver who was told that nothing came of it must not find that it did.
    pub(in crate::core) fn expire_commands(&mut self, now: Timestamp, fx: &mut Effects) {
        for command in self.open_commands() {
            if command.expires_at <= now {
                let (outcome, why) = match self.commands.get(&command.id) {
                    Some(CommandState::Waiting(_)) => (Outcome::Expired, "the station did not come in time"),
                    Some(CommandState::Open(_) | CommandState::Finished(_)) | None => {
                        (Outcome::TimedOut, "the station did not answer in time")
                    }
                };
                self.withdraw(&command.station, command.id, fx);
                self.finish(command, refused(now, outcome, why), fx);
            }
        }
    }

    fn open_commands(&self) -> Vec<Command> {
        self.commands.values().filter_map(open).cloned().collect()
    }

    pub(super) fn asked_commands(&self) -> Vec<Command> {
        let asked = |state: &CommandState| match state {
            CommandState::Open(command) => Some(command.clone()),
            CommandState::Waiting(_) | CommandState::Finished(_) => None,
        };
        self.commands.values().filter_map(asked).collect()
    }
}
