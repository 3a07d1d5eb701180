//! The schema's own types, for everything that must be exact: all that we write, and all that the simulator reads, since
//! it is the peer that notices when we write something wrong.

use ocpp_kit::Version;
use ocpp_kit::decode::{DecodeError, DecodeOptions};
use ocpp_kit::rpc::CallError;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

pub use ocpp_kit::types::{DateTime, Decimal};
pub use ocpp_kit::v1_6::*;
pub use ocpp_kit::validate::Validate;

use crate::ocpp::error::ErrorCode;
use crate::units::Timestamp;

/// A payload that the schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Violation {
    /// The code that a CALLERROR gives for it.
    pub code: ErrorCode,
    /// What is wrong, and where.
    pub reason: String,
}

/// Writes a payload, if the schema allows it.
pub fn write<T: Serialize + Validate>(payload: &T) -> Result<Box<RawValue>, Violation> {
    payload.validate().map_err(|violations| Violation {
        code: ErrorCode::PropertyConstraintViolation,
        reason: violations.to_string(),
    })?;
    Ok(raw(payload))
}

/// Writes a payload that cannot violate the schema.
pub(super) fn raw<T: Serialize>(payload: &T) -> Box<RawValue> {
    to_raw_value(payload).expect("payloads have string keys and no failing serialiser")
}

/// Reads a CSMS's request to the letter, as a careful station does.
pub fn read_csms_request(action: &str, payload: &RawValue) -> Result<CsmsRequest, Violation> {
    CsmsRequest::decode(known(action)?, payload, &DecodeOptions::strict()).map_err(violation)
}

/// Reads a CSMS's answer to the letter.
pub fn read_csms_response(action: &str, payload: &RawValue) -> Result<CsResponse, Violation> {
    CsResponse::decode(known(action)?, payload, &DecodeOptions::strict()).map_err(violation)
}

fn known(action: &str) -> Result<Action, Violation> {
    action.parse().map_err(|_| Violation {
        code: ErrorCode::NotImplemented,
        reason: format!("{action} is no action of OCPP 1.6"),
    })
}

fn violation(error: DecodeError) -> Violation {
    let reason = error.to_string();
    let code = CallError::from(error).code;
    Violation { code: ErrorCode::read(code.as_wire(Version::V1_6)), reason }
}

/// An instant as the schema's type, cut to whole seconds: some stations stumble over fractions.
pub fn date_time(at: Timestamp) -> Option<DateTime> {
    let whole = at.to_utc()?.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    DateTime::parse(&whole).ok()
}

/// The schema's instant as ours.
pub fn timestamp(at: DateTime) -> Timestamp {
    Timestamp(at.timestamp().as_millisecond())
}
