//! Random requests about firmware and logs, and the words about how far they are.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use shared::model::file::{FirmwareSignature, LogKind, Retries};
use shared::ocpp::v16::{FileCall, Topic};

use super::values::{instant, text};

/// Each kind of request.
pub(crate) fn calls() -> Vec<BoxedStrategy<FileCall>> {
    let location = || text(512);
    let times = || (option::of(instant()), option::of(instant()));
    let signature = (text(5500), text(800))
        .prop_map(|(certificate, signature)| FirmwareSignature { certificate, signature });
    let kind = select(vec![LogKind::Diagnostics, LogKind::Security]);
    vec![
        (location(), instant(), retries())
            .prop_map(|(location, retrieve_at, retries)| FileCall::UpdateFirmware {
                location,
                retrieve_at,
                retries,
            })
            .boxed(),
        (any::<i32>(), location(), signature, instant(), option::of(instant()), retries())
            .prop_map(|(request, location, signature, retrieve_at, install_at, retries)| {
                FileCall::SignedUpdateFirmware {
                    request,
                    location,
                    signature,
                    retrieve_at,
                    install_at,
                    retries,
                }
            })
            .boxed(),
        (location(), times(), retries())
            .prop_map(|(location, (from, to), retries)| FileCall::GetDiagnostics {
                location,
                from,
                to,
                retries,
            })
            .boxed(),
        (any::<i32>(), kind, location(), times(), retries())
            .prop_map(|(request, kind, location, (from, to), retries)| FileCall::GetLog {
                request,
                kind,
                location,
                from,
                to,
                retries,
            })
            .boxed(),
    ]
}

fn retries() -> impl Strategy<Value = Retries> {
    (option::of(any::<u16>()), option::of(any::<u32>()))
        .prop_map(|(count, interval_s)| Retries { count, interval_s })
}

/// A topic, a word and the request that it is about.
pub(crate) fn statuses() -> impl Strategy<Value = (Topic, &'static str, Option<i32>)> {
    (select(Topic::ALL.to_vec()), select(WORDS), option::of(any::<i32>()))
}

const WORDS: &[&str] = &[
    "Idle",
    "Downloading",
    "Downloaded",
    "DownloadFailed",
    "Installing",
    "Installed",
    "InstallationFailed",
    "InstallVerificationFailed",
    "InvalidSignature",
    "SignatureVerified",
    "Uploading",
    "Uploaded",
    "UploadFailed",
    "UploadFailure",
];
