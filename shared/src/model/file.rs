//! Files on their way: firmware from the cloud to a station, logs from a station to the cloud. The gateway stands between:
//! it fetches an image once and serves it to its stations, takes their logs in and passes them on. Each order is a command
//! whose result is the station's word; how far it is comes as events afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{CommandId, FirmwareId, StationId};
use crate::units::Timestamp;

/// A firmware image in the cloud's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareImage {
    /// Which.
    pub id: FirmwareId,
    /// What the file is called: the last part of the address that a station gets.
    pub file_name: String,
    /// The version that a station tells once it runs it.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// What they hash to.
    pub sha256: Sha256,
}

/// What a file hashes to (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Sha256 {
    type Err = NotSha256;

    fn from_str(hex: &str) -> Result<Self, NotSha256> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut bytes = [0; 32];
        if hex.len() != 2 * bytes.len() {
            return Err(NotSha256);
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(digit);
            *byte = high.ok_or(NotSha256)? << 4 | low.ok_or(NotSha256)?;
        }
        Ok(Sha256(bytes))
    }
}

/// A text is no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is written in 64 hexadecimal digits")]
pub struct NotSha256;

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a station shall fetch or bring a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transfer {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS, with the certificate that the gateway shows its stations.
    Https,
    /// FTP, as chargers of 1.6 know it: a password of one use, unencrypted.
    Ftp,
}

/// How often a station shall try, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// Tries after the first one; the station decides when absent.
    pub count: Option<u16>,
    /// Seconds between two; the station decides when absent.
    pub interval_s: Option<u32>,
}

/// An order to install an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareUpdate {
    /// What.
    pub image: FirmwareImage,
    /// The maker's signature, which the station checks; without one it installs what it gets.
    pub signature: Option<FirmwareSignature>,
    /// Not fetched by the station before this.
    pub retrieve_at: Option<Timestamp>,
    /// Not installed before this. Only a signed update can say so.
    pub install_at: Option<Timestamp>,
    /// How often to try.
    pub retries: Retries,
    /// By which way; the gateway chooses when absent.
    pub transfer: Option<Transfer>,
}

/// A maker's signature of an image (1.6 security whitepaper §L01).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareSignature {
    /// The certificate that it was made with, in PEM.
    pub certificate: String,
    /// The signature, in base64.
    pub signature: String,
}

/// An order to bring a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// Which log.
    pub kind: LogKind,
    /// From when.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Option<Timestamp>,
    /// How often to try.
    pub retries: Retries,
    /// By which way; the gateway chooses when absent.
    pub transfer: Option<Transfer>,
}

/// Which log of a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogKind {
    /// What a technician looks at.
    Diagnostics,
    /// Security events (1.6 security whitepaper §N01).
    Security,
}

impl LogKind {
    /// The name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            LogKind::Diagnostics => "Diagnostics",
            LogKind::Security => "Security",
        }
    }
}

/// How far an update is: the station's words, and the gateway's own before and around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FirmwareState {
    /// The gateway fetches the image from the cloud.
    Fetching,
    /// The gateway has it.
    Fetched,
    /// The gateway could not get it, so the station was not asked.
    FetchFailed,
    /// The station said that it will.
    Accepted,
    /// The station said no, or could not be asked.
    Refused,
    /// It will fetch it later.
    DownloadScheduled,
    /// It fetches it.
    Downloading,
    /// It waits with fetching.
    DownloadPaused,
    /// It has it.
    Downloaded,
    /// It could not get it.
    DownloadFailed,
    /// The maker's signature is good.
    SignatureVerified,
    /// The maker's signature is not.
    InvalidSignature,
    /// It will install it later.
    InstallScheduled,
    /// It installs it.
    Installing,
    /// It restarts to install it.
    InstallRebooting,
    /// What was installed is not what was wanted.
    InstallVerificationFailed,
    /// It could not install it.
    InstallationFailed,
    /// It runs it.
    Installed,
    /// Nothing was heard of it for too long.
    Stalled,
    /// A newer order took its place.
    Superseded,
}

impl FirmwareState {
    /// The name in tables and answers.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Does nothing follow? A station may still say otherwise after [`FirmwareState::Stalled`].
    pub fn is_end(self) -> bool {
        use FirmwareState as S;
        match self {
            S::FetchFailed
            | S::Refused
            | S::DownloadFailed
            | S::InvalidSignature
            | S::InstallVerificationFailed
            | S::InstallationFailed
            | S::Installed
            | S::Stalled
            | S::Superseded => true,
            S::Fetching
            | S::Fetched
            | S::Accepted
            | S::DownloadScheduled
            | S::Downloading
            | S::DownloadPaused
            | S::Downloaded
            | S::SignatureVerified
            | S::InstallScheduled
            | S::Installing
            | S::InstallRebooting => false,
        }
    }
}

/// How far a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogState {
    /// The station said that it will bring it.
    Accepted,
    /// The station said no, or could not be asked.
    Refused,
    /// It brings it.
    Uploading,
    /// It says that it has brought it.
    Uploaded,
    /// It could not.
    UploadFailed,
    /// It did not understand the request.
    BadMessage,
    /// It does not know this way of bringing it.
    NotSupported,
    /// It was not let in where it should bring it.
    PermissionDenied,
    /// Nothing was heard of it for too long.
    Stalled,
    /// A newer order took its place.
    Superseded,
}

impl LogState {
    /// The name in tables and answers.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Does nothing follow?
    pub fn is_end(self) -> bool {
        !matches!(self, LogState::Accepted | LogState::Uploading)
    }
}

/// An update got a step further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareProgressed {
    /// The command that ordered it; none: the station tells of an update that nobody here ordered.
    pub update: Option<CommandId>,
    /// Which station.
    pub station: StationId,
    /// How far it is.
    pub state: FirmwareState,
    /// More, for a person.
    pub detail: String,
    /// Since when.
    pub at: Timestamp,
}

/// A log got a step further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogProgressed {
    /// The command that asked for it; none: nobody here did.
    pub log: Option<CommandId>,
    /// Which station.
    pub station: StationId,
    /// How far it is.
    pub state: LogState,
    /// More, for a person.
    pub detail: String,
    /// Since when.
    pub at: Timestamp,
}

/// A log is on the gateway's disk, whole. It is passed on from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReceived {
    /// The command that asked for it.
    pub log: CommandId,
    /// Whose it is.
    pub station: StationId,
    /// What it is.
    pub file: ReceivedFile,
    /// Since when.
    pub at: Timestamp,
}

/// A file that somebody brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedFile {
    /// What its bringer calls it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What they hash to.
    pub sha256: Sha256,
}
