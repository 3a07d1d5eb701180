//! Remote starts that were put to stations: their tokens may charge there, once each.

use shared::id::{CommandId, StationId};
use shared::model::IdToken;
use shared::model::command::{Command, CommandBody};
use shared::units::Timestamp;

use crate::core::Core;

/// How long an accepted remote start may take to become a session (OCPP 1.6 `ConnectionTimeOut` is usually less).
const GRANT_MS: i64 = 5 * 60 * 1000;

/// A remote start that was put to a station: its token may charge there.
#[derive(Clone, Debug)]
pub(in crate::core) struct Grant {
    command: CommandId,
    station: StationId,
    token: IdToken,
    until: Timestamp,
}

impl Core {
    pub(super) fn grant(&mut self, now: Timestamp, command: &Command) {
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

    pub(in crate::core) fn granted(
        &self,
        now: Timestamp,
        station: &StationId,
        token: &IdToken,
    ) -> Option<CommandId> {
        let fits = |g: &&Grant| g.station == *station && g.token == *token && g.until > now;
        self.grants.iter().find(fits).map(|grant| grant.command)
    }

    /// The station did not agree.
    pub(super) fn withdraw_grant(&mut self, command: CommandId) {
        self.grants.retain(|grant| grant.command != command);
    }

    /// The remote start that a session comes from; it brings forth only one.
    pub(in crate::core) fn take_grant(
        &mut self,
        now: Timestamp,
        station: &StationId,
        token: &IdToken,
    ) -> Option<CommandId> {
        let command = self.granted(now, station, token)?;
        self.withdraw_grant(command);
        Some(command)
    }
}
