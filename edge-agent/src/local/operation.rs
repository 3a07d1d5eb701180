//! What an installer can order of a station: the same as from the cloud, in the same words on the command line and in JSON.

mod order;

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use shared::model::charging::ChargingProfile;
use shared::model::file::FirmwareSignature;
use shared::model::security::CertificateHash;
use uuid::Uuid;

pub use order::Given;

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
    /// Keep a connector for a token.
    Reserve {
        /// The token.
        token: String,
        /// The connector's number.
        #[arg(long)]
        connector: u16,
        /// For so long.
        #[arg(long, default_value_t = 60)]
        minutes: u32,
        /// The reservation's number; one is made without.
        #[arg(long)]
        id: Option<i32>,
    },
    /// Keep it no longer.
    CancelReservation {
        /// The reservation's number, as the site's state shows it.
        id: i32,
    },
    /// Install firmware that was brought here.
    #[command(skip)]
    UpdateFirmware(BroughtFirmware),
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
    /// Have the station trust an authority no longer.
    #[command(skip)]
    DeleteCertificate(CertificateHash),
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

/// Firmware that an installer brought to this gateway before (`POST /api/firmware`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroughtFirmware {
    /// What it hashes to, in hexadecimal digits.
    pub sha256: String,
    /// What the file is called.
    pub file_name: String,
    /// The version that the station tells once it runs it.
    pub version: String,
    /// The maker's certificate in PEM, and its signature in base64.
    #[serde(default)]
    pub signature: Option<FirmwareSignature>,
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
