//! The error codes of a CALLERROR. 1.6 spells two of them wrongly and the misspelling is normative (OCPP-J 1.6 errata
//! 5.1, 5.2); stations mix the versions' spellings, so every spelling is read.

use std::fmt;

/// Why a CALL could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The action is unknown.
    NotImplemented,
    /// The action is known and not offered.
    NotSupported,
    /// Something failed on the answering side.
    InternalError,
    /// The payload is incomplete.
    ProtocolError,
    /// Not allowed now or to this peer.
    SecurityError,
    /// Not the structure of the action. Written `FormationViolation` in 1.6.
    FormatViolation,
    /// A field with a value that is not allowed.
    PropertyConstraintViolation,
    /// A field too often or not often enough. Written `OccurenceConstraintViolation` in 1.6.
    OccurrenceConstraintViolation,
    /// A field of the wrong type.
    TypeConstraintViolation,
    /// Anything else.
    GenericError,
    /// A code of no version that we know, as it stood.
    Other(String),
}

impl ErrorCode {
    /// Reads a code in any version's spelling.
    pub fn read(text: &str) -> Self {
        match text.trim() {
            "NotImplemented" => ErrorCode::NotImplemented,
            "NotSupported" => ErrorCode::NotSupported,
            "InternalError" => ErrorCode::InternalError,
            "ProtocolError" => ErrorCode::ProtocolError,
            "SecurityError" => ErrorCode::SecurityError,
            "FormationViolation" | "FormatViolation" => ErrorCode::FormatViolation,
            "PropertyConstraintViolation" => ErrorCode::PropertyConstraintViolation,
            "OccurenceConstraintViolation" | "OccurrenceConstraintViolation" => {
                ErrorCode::OccurrenceConstraintViolation
            }
            "TypeConstraintViolation" => ErrorCode::TypeConstraintViolation,
            "GenericError" => ErrorCode::GenericError,
            other => ErrorCode::Other(other.to_owned()),
        }
    }

    /// The spelling of 1.6.
    pub fn v16(&self) -> &str {
        match self {
            ErrorCode::NotImplemented => "NotImplemented",
            ErrorCode::NotSupported => "NotSupported",
            ErrorCode::InternalError => "InternalError",
            ErrorCode::ProtocolError => "ProtocolError",
            ErrorCode::SecurityError => "SecurityError",
            ErrorCode::FormatViolation => "FormationViolation",
            ErrorCode::PropertyConstraintViolation => "PropertyConstraintViolation",
            ErrorCode::OccurrenceConstraintViolation => "OccurenceConstraintViolation",
            ErrorCode::TypeConstraintViolation => "TypeConstraintViolation",
            ErrorCode::GenericError => "GenericError",
            ErrorCode::Other(code) => code,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.v16())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_the_normative_one_is_written() {
        for (read, written) in [
            ("FormatViolation", "FormationViolation"),
            ("FormationViolation", "FormationViolation"),
            ("OccurrenceConstraintViolation", "OccurenceConstraintViolation"),
            ("OccurenceConstraintViolation", "OccurenceConstraintViolation"),
            ("NotSupported", "NotSupported"),
            ("VendorBroke", "VendorBroke"),
        ] {
            assert_eq!(ErrorCode::read(read).v16(), written);
        }
    }
}
