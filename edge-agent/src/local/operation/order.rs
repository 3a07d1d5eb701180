//! An operation becomes an order.

use shared::id::{CommandId, EvseNo, FirmwareId, ReservationId, SessionId};
use shared::model::IdToken;
use shared::model::charging::ProfileFilter;
use shared::model::command::{CommandBody, TriggeredMessage};
use shared::model::file::{FirmwareImage, FirmwareUpdate, LogKind, LogRequest, NotSha256, Retries, Sha256};
use shared::model::reservation::Reservation;
use shared::model::security::{ProfileRaise, RootUse};
use shared::units::Timestamp;
use uuid::Uuid;

use super::{BroughtFirmware, Message, Operation};

/// When and where an order is given.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// As which command.
    pub id: CommandId,
    /// When.
    pub now: Timestamp,
    /// The bytes of an image that is here.
    pub held: &'a dyn Fn(&Sha256) -> Option<u64>,
}

impl Operation {
    /// The order, or why it cannot be given here.
    ///
    /// # Errors
    /// With what to do instead.
    pub fn body(self, given: Given<'_>) -> Result<CommandBody, String> {
        let evse = |connector: Option<u16>| connector.filter(|number| *number > 0).map(EvseNo);
        Ok(match self {
            Operation::Reset { hard } => CommandBody::Reset { hard },
            Operation::Unlock { connector } => CommandBody::Unlock { evse: EvseNo(connector) },
            Operation::Enable { connector } => {
                CommandBody::SetAvailability { evse: evse(connector), operative: true }
            }
            Operation::Disable { connector } => {
                CommandBody::SetAvailability { evse: evse(connector), operative: false }
            }
            Operation::GetConfiguration { keys } => CommandBody::GetConfiguration { keys },
            Operation::ChangeConfiguration { key, value } => CommandBody::ChangeConfiguration { key, value },
            Operation::ClearCache {} => CommandBody::ClearCache,
            Operation::Trigger { message, connector } => {
                CommandBody::Trigger { message: message.into(), evse: evse(connector) }
            }
            Operation::RemoteStart { token, connector } => {
                let token = IdToken::typed(&token).map_err(|bad| bad.to_string())?;
                CommandBody::RemoteStart { evse: evse(connector), token }
            }
            Operation::RemoteStop { session } => CommandBody::RemoteStop { session: SessionId(session) },
            Operation::DataTransfer { vendor, message, data } => {
                CommandBody::DataTransfer { vendor, message, data }
            }
            Operation::Reserve { token, connector, minutes, id } => CommandBody::Reserve(Reservation {
                id: ReservationId(id.unwrap_or_else(|| made_here(given.id))),
                evse: EvseNo(connector),
                token: IdToken::typed(&token).map_err(|bad| bad.to_string())?,
                group: None,
                until: given.now.plus_millis(i64::from(minutes) * 60_000),
            }),
            Operation::CancelReservation { id } => {
                CommandBody::CancelReservation { reservation: ReservationId(id) }
            }
            Operation::UpdateFirmware(brought) => {
                CommandBody::UpdateFirmware(Box::new(brought.update(given.held)?))
            }
            Operation::DeleteCertificate(hash) => CommandBody::DeleteCertificate(hash),
            Operation::RequestLog { security } => CommandBody::RequestLog(LogRequest {
                kind: if security { LogKind::Security } else { LogKind::Diagnostics },
                from: None,
                to: None,
                retries: Retries { count: None, interval_s: None },
                transfer: None,
            }),
            Operation::SetChargingProfile { connector, profile } => {
                profile.check().map_err(|bad| format!("The profile cannot be followed: {bad}."))?;
                CommandBody::SetChargingProfile { evse: evse(connector), profile }
            }
            Operation::ClearChargingProfiles { id, connector } => {
                CommandBody::ClearChargingProfiles(ProfileFilter {
                    id,
                    evse: evse(connector),
                    ..ProfileFilter::default()
                })
            }
            Operation::GetCompositeSchedule { seconds, connector } => {
                CommandBody::GetCompositeSchedule { evse: evse(connector), duration_s: seconds, unit: None }
            }
            Operation::GetLocalListVersion {} => CommandBody::GetLocalListVersion,
            Operation::SendLocalList {} => CommandBody::SendLocalList,
            Operation::RotatePassword { over_plain_line } => {
                CommandBody::RotatePassword { over_plain: over_plain_line }
            }
            Operation::RenewCertificate {} => CommandBody::RenewCertificate,
            Operation::InstallCertificate { certificate, manufacturer, over_plain_line } => {
                let root = root(manufacturer);
                CommandBody::InstallCertificate { root, certificate, over_plain: over_plain_line }
            }
            Operation::GetCertificates { manufacturer } => {
                CommandBody::GetCertificates { root: root(manufacturer) }
            }
            Operation::RaiseProfile { to, address_key, address, over_plain_line } => {
                let over_plain = over_plain_line;
                CommandBody::RaiseProfile(Box::new(ProfileRaise { to, address_key, address, over_plain }))
            }
        })
    }
}

impl BroughtFirmware {
    fn update(self, held: impl Fn(&Sha256) -> Option<u64>) -> Result<FirmwareUpdate, String> {
        let sha256 = self.sha256.parse().map_err(|bad: NotSha256| format!("sha256: {bad}."))?;
        let size = held(&sha256);
        let size = size.ok_or("That image is not here. Bring it first: POST /api/firmware.")?;
        // The cloud does not know it; so it has no number there.
        let id = FirmwareId(Uuid::nil());
        Ok(FirmwareUpdate {
            image: FirmwareImage { id, file_name: self.file_name, version: self.version, size, sha256 },
            signature: self.signature,
            retrieve_at: None,
            install_at: None,
            retries: Retries { count: None, interval_s: None },
            transfer: None,
        })
    }
}

/// A reservation's number from above those that the cloud counts, the same for the same order.
fn made_here(order: CommandId) -> i32 {
    let random = i32::try_from(order.0.as_u128() & 0x3fff_ffff).expect("30 bits fit");
    random | 0x4000_0000
}

fn root(manufacturer: bool) -> RootUse {
    if manufacturer { RootUse::Manufacturer } else { RootUse::CentralSystem }
}

impl From<Message> for TriggeredMessage {
    fn from(message: Message) -> Self {
        match message {
            Message::BootNotification => TriggeredMessage::BootNotification,
            Message::DiagnosticsStatus => TriggeredMessage::DiagnosticsStatus,
            Message::FirmwareStatus => TriggeredMessage::FirmwareStatus,
            Message::Heartbeat => TriggeredMessage::Heartbeat,
            Message::MeterValues => TriggeredMessage::MeterValues,
            Message::StatusNotification => TriggeredMessage::StatusNotification,
            Message::LogStatus => TriggeredMessage::LogStatus,
            Message::SignedFirmwareStatus => TriggeredMessage::SignedFirmwareStatus,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_are_named_by_their_address() {
        let given = Given { id: CommandId(Uuid::nil()), now: Timestamp(0), held: &|_| None };
        let read = |value| serde_json::from_value::<Operation>(value).ok().and_then(|it| it.body(given).ok());
        assert_eq!(read(json!({"reset": {}})), Some(CommandBody::Reset { hard: false }));
        assert_eq!(
            read(json!({"disable": {"connector": 2}})),
            Some(CommandBody::SetAvailability { evse: Some(EvseNo(2)), operative: false })
        );
        assert_eq!(read(json!({"clear-cache": {}})), Some(CommandBody::ClearCache));
        assert_eq!(read(json!({"reset": {"hart": true}})), None, "a slip of the pen is no soft reset");
        let brought =
            json!({"update-firmware": {"sha256": "00".repeat(32), "file_name": "a", "version": "2"}});
        assert_eq!(read(brought), None, "it is not here");
        let reserve = json!({"reserve": {"token": "CARD", "connector": 1, "minutes": 30}});
        let Some(CommandBody::Reserve(it)) = read(reserve) else { panic!("no reservation") };
        assert_eq!((it.id.0, it.until), (0x4000_0000, Timestamp(1_800_000)), "above the cloud's numbers");
    }
}
