//! Firmware and logs between 1.6's words and the site's.

use shared::model::file::{FirmwareUpdate, LogRequest};
use shared::ocpp::v16::{CsmsCall, FileCall, FileStatus};
use shared::units::Timestamp;

use crate::core::{FileState, StationFact};

/// What a status message means; `None` when it says nothing (`Idle`, or a word that nobody knows).
pub(super) fn fact(status: &FileStatus) -> Option<StationFact> {
    let firmware = status.firmware().map(FileState::Firmware);
    let state = firmware.or_else(|| status.log().map(FileState::Log))?;
    Some(StationFact::FileStatus { state, request: status.request })
}

/// A signed image goes by the whitepaper's message, the other one by 1.6's own, which knows no hour of installation.
pub(super) fn update_firmware(
    update: &FirmwareUpdate,
    location: &str,
    request: i32,
    now: Timestamp,
) -> Result<CsmsCall, String> {
    let (location, retries) = (location.to_owned(), update.retries);
    let retrieve_at = update.retrieve_at.unwrap_or(now);
    Ok(CsmsCall::File(match (&update.signature, update.install_at) {
        (Some(signature), install_at) => FileCall::SignedUpdateFirmware {
            request,
            location,
            signature: signature.clone(),
            retrieve_at,
            install_at,
            retries,
        },
        (None, None) => FileCall::UpdateFirmware { location, retrieve_at, retries },
        (None, Some(_)) => {
            return Err("a station installs an unsigned image when it has it: leave the hour out".into());
        }
    }))
}

pub(super) fn request_log(log: &LogRequest, location: &str, request: i32, by_get_log: bool) -> CsmsCall {
    let LogRequest { kind, from, to, retries, .. } = *log;
    let location = location.to_owned();
    CsmsCall::File(if by_get_log {
        FileCall::GetLog { request, kind, location, from, to, retries }
    } else {
        FileCall::GetDiagnostics { location, from, to, retries }
    })
}
