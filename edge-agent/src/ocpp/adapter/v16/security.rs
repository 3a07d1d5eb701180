//! Certificates and security events in 1.6's words.

use shared::id::StationId;
use shared::model::security::SecurityReported;
use shared::ocpp::v16::SecurityEvent;

use super::time::Clock;
use crate::core::StationFact;
use crate::pki;

/// What a report without a type is called.
const UNNAMED: &str = "Unnamed";

/// What a station reports. A report with nothing in it is one all the same.
pub(super) fn reported(station: &StationId, event: SecurityEvent, clock: &mut Clock<'_>) -> StationFact {
    StationFact::SecurityReported(SecurityReported {
        station: station.clone(),
        kind: event.kind.unwrap_or_else(|| UNNAMED.into()),
        tech_info: event.tech_info,
        at: clock.trusted(event.at).map_or(clock.now, |(at, _)| at),
    })
}

/// The certificate that a station wants, if its request can be signed.
pub(super) fn wanted(csr: Option<String>) -> StationFact {
    let request = match csr {
        None => Err("SignCertificate holds no request".into()),
        Some(csr) => pki::check_request(&csr).map(|()| csr).map_err(|refused| refused.to_string()),
    };
    StationFact::CertificateWanted { request }
}
