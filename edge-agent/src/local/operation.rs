//! What an installer can order of a station: the same as from the cloud, in the same words on the command line and in JSON.

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use shared::id::{EvseNo, SessionId};
use shared::model::IdToken;
use shared::model::charging::{ChargingProfile, ProfileFilter};
use shared::model::command::{CommandBody, TriggeredMessage};
use shared::model::file::{LogKind, LogRequest, Retries};
use shared::model::security::{ProfileRaise, RootUse};
use uuid::Uuid;

/// An operation: its name in the address, its members in the body.
#[derive(Clone, Debug, Serialize, Deserialize, Subcommand)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Restart the station.
    Reset {
        /// At once, without ending sessions in order.
        #[arg(long)]
        #[serde(default)]
        hard: bool,
    },
    /// Let go of the plug at a connector.
    Unlock {
        /// The connector's number.
        #[arg(long)]
        connector: u16,
    },
    /// Take the station, or one connector, into service.
    Enable {
        /// The connector's number; all of the station without.
        #[arg(long)]
        connector: Option<u16>,
    },
    /// Take the station, or one connector, out of service.
    Disable {
        /// The connector's number; all of the station without.
        #[arg(long)]
        connector: Option<u16>,
    },
    /// Read settings.
    GetConfiguration {
        /// Which; all without.
        #[serde(default)]
        keys: Vec<String>,
    },
    /// Change a setting.
    ChangeConfiguration {
        /// Which.
        key: String,
        /// To what.
        value: String,
    },
    /// Have the station forget the tokens that it remembers.
    ClearCache {},
    /// Ask the station for a message now.
    Trigger {
        /// Which.
        message: Message,
        /// The connector's number; all without.
        #[arg(long)]
        connector: Option<u16>,
    },
    /// Start a session for a token.
    RemoteStart {
        /// The token.
        token: String,
        /// The connector's number; the station chooses without.
        #[arg(long)]
        connector: Option<u16>,
    },
    /// End a running session.
    RemoteStop {
        /// Its id, as the site's state shows it.
        session: Uuid,
    },
    /// Pass a vendor's message on.
    DataTransfer {
        /// Whose message.
        vendor: String,
        /// Which.
        #[arg(long)]
        message: Option<String>,
        /// Its content.
        #[arg(long)]
        data: Option<String>,
    },
    /// Have the station bring its log to this gateway.
    RequestLog {
        /// The security log instead of the diagnostics.
        #[arg(long)]
        #[serde(default)]
        security: bool,
    },
    /// Limit charging over time.
    #[command(skip)]
    SetChargingProfile {
        /// The connector's number; all of the station without.
        connector: Option<u16>,
        /// The limits.
        profile: ChargingProfile,
    },
    /// Remove charging profiles, all without a number.
    ClearChargingProfiles {
        /// The profile's number.
        #[arg(long)]
        id: Option<i32>,
        /// The connector's number.
        #[arg(long)]
        connector: Option<u16>,
    },
    /// Read what all limits add up to.
    GetCompositeSchedule {
        /// Seconds from now.
        #[arg(long, default_value_t = 3600)]
        seconds: u32,
        /// The connector's number; all of the station without.
        #[arg(long)]
        connector: Option<u16>,
    },
    /// Read the version of the list of tokens that the station keeps.
    GetLocalListVersion {},
    /// Send the station the whole list of tokens.
    SendLocalList {},
    /// Give the station a new password.
    RotatePassword {
        /// Even over a line that anybody on the LAN can read.
        #[arg(long)]
        #[serde(default)]
        over_plain_line: bool,
    },
    /// Have the station make a new key, and sign a certificate for it.
    RenewCertificate {},
    /// Have the station trust this gateway's authority, or another one.
    InstallCertificate {
        /// The authority's certificate in PEM; this gateway's without.
        #[arg(long)]
        certificate: Option<String>,
        /// For the maker's firmware instead of for the gateway.
        #[arg(long)]
        #[serde(default)]
        manufacturer: bool,
        /// Even over a line that anybody on the LAN can change.
        #[arg(long)]
        #[serde(default)]
        over_plain_line: bool,
    },
    /// Read which authorities the station trusts.
    GetCertificates {
        /// For the maker's firmware instead of for the gateway.
        #[arg(long)]
        #[serde(default)]
        manufacturer: bool,
    },
    /// Bring the station to a higher security profile; there is no way to a lower one.
    RaiseProfile {
        /// 1 to 3.
        to: u8,
        /// The setting in which the station keeps the gateway's address, if it has to be changed.
        #[arg(long)]
        address_key: Option<String>,
        /// What to write there; the gateway's own address without.
        #[arg(long)]
        address: Option<String>,
        /// Even over a line that anybody on the LAN can change.
        #[arg(long)]
        #[serde(default)]
        over_plain_line: bool,
    },
}

/// A message that a station can be asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the messages'")]
pub enum Message {
    BootNotification,
    DiagnosticsStatus,
    FirmwareStatus,
    Heartbeat,
    MeterValues,
    StatusNotification,
    LogStatus,
    SignedFirmwareStatus,
}

impl Operation {
    /// The order, or why it cannot be given here.
    ///
    /// # Errors
    /// With what to do instead.
    pub fn body(self) -> Result<CommandBody, String> {
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
        let read = |value| serde_json::from_value::<Operation>(value).ok().and_then(|it| it.body().ok());
        assert_eq!(read(json!({"reset": {}})), Some(CommandBody::Reset { hard: false }));
        assert_eq!(
            read(json!({"disable": {"connector": 2}})),
            Some(CommandBody::SetAvailability { evse: Some(EvseNo(2)), operative: false })
        );
        assert_eq!(read(json!({"clear-cache": {}})), Some(CommandBody::ClearCache));
        assert_eq!(read(json!({"reset": {"hart": true}})), None, "a slip of the pen is no soft reset");
    }
}
