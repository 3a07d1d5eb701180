//! What may go wrong, and how apps have always been told: `extensions.code`, sometimes `status`, and `originalError`.
//!
//! [`Fault`] has no `Display` on purpose: whatever has one turns into a GraphQL error by itself and would show its text, so
//! that a database error could leak its SQL. A `Fault` is the only way out of a resolver.

use std::time::Duration;

use async_graphql::{Error, ErrorExtensions as _, Value, value};

/// What is said of a value that the database cannot work with, by its SQLSTATE. Class 22 is "data exception": the statements
/// are ours and fixed, so what is wrong is a value, and values are the sender's.
const DATA_EXCEPTION: &str = "22";
const WORDS: [(&str, &str); 3] = [
    // Such as 1.7976931348623155e308 once it is rounded.
    ("22003", "A number is larger or smaller than anything that is kept here."),
    ("22021", "A text holds a character that no text here can hold, such as U+0000."),
    ("22025", "A pattern must not end with a backslash: write two to mean one."),
];

/// The answer of a resolver.
pub(super) type Result<T, E = Fault> = std::result::Result<T, E>;

/// A failure that the caller is told about.
#[derive(Debug)]
pub(super) enum Fault {
    /// No good token.
    Unauthorized,
    /// Who he is was not believed: login.
    Denied(String),
    /// Known, but not for his role.
    Forbidden(String),
    /// Not there, or not his.
    NotFound(String),
    /// He sent something that cannot be done.
    BadInput(String),
    /// Too often.
    TooMany(Duration),
    /// Something that we need does not answer; told with what to do meanwhile.
    Unavailable(String),
    /// Ours. Logged, not told.
    Internal(anyhow::Error),
}

impl Fault {
    /// What apps have always been told of a row that is not there or not theirs.
    pub(super) fn no_such(entity: &str, id: impl std::fmt::Display) -> Self {
        Fault::NotFound(format!("Unable to find {entity}Entity with id: {id}"))
    }

    /// The role may not do such a thing at all.
    pub(super) fn role() -> Self {
        Fault::Forbidden("Your role may not do this.".into())
    }

    fn code(&self) -> &'static str {
        match self {
            Fault::Unauthorized | Fault::Denied(_) => "UNAUTHENTICATED",
            Fault::Forbidden(_) => "FORBIDDEN",
            Fault::BadInput(_) => "BAD_USER_INPUT",
            Fault::TooMany(_) => "TOO_MANY_REQUESTS",
            Fault::Unavailable(_) => "SERVICE_UNAVAILABLE",
            Fault::NotFound(_) | Fault::Internal(_) => "INTERNAL_SERVER_ERROR",
        }
    }

    fn message(&self) -> String {
        match self {
            Fault::Unauthorized => "Unauthorized".into(),
            Fault::Denied(text)
            | Fault::Forbidden(text)
            | Fault::NotFound(text)
            | Fault::BadInput(text)
            | Fault::Unavailable(text) => text.clone(),
            Fault::TooMany(wait) => {
                format!("Too many attempts, try again in {} seconds.", wait.as_secs() + 1)
            }
            Fault::Internal(_) => "Internal server error".into(),
        }
    }

    /// The HTTP status that the first API gave it internally; apps find it in the extensions.
    fn status(&self) -> Option<(u16, Option<&'static str>)> {
        match self {
            Fault::Unauthorized => Some((401, None)),
            Fault::Denied(_) => Some((401, Some("Unauthorized"))),
            Fault::Forbidden(_) => Some((403, Some("Forbidden"))),
            Fault::NotFound(_) => Some((404, Some("Not Found"))),
            Fault::BadInput(_) => Some((400, Some("Bad Request"))),
            Fault::TooMany(_) => Some((429, Some("Too Many Requests"))),
            Fault::Unavailable(_) => Some((503, Some("Service Unavailable"))),
            Fault::Internal(_) => None,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        if let Fault::Internal(error) = &fault {
            tracing::error!(error = format!("{error:#}"), "a resolver failed");
        }
        let message = fault.message();
        Error::new(message.clone()).extend_with(|_, extensions| {
            extensions.set("code", fault.code());
            let Some((status, name)) = fault.status() else { return };
            if matches!(fault, Fault::NotFound(_)) {
                extensions.set("status", status);
            }
            extensions.set("originalError", original(message.clone(), name, status));
        })
    }
}

fn original(message: String, error: Option<&str>, status: u16) -> Value {
    match error {
        Some(error) => value!({"message": message, "error": error, "statusCode": status}),
        None => value!({"message": message, "statusCode": status}),
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        error.downcast_ref().and_then(unusable).unwrap_or(Fault::Internal(error))
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        unusable(&error).unwrap_or_else(|| Fault::Internal(error.into()))
    }
}

/// The fault of a sender whose value the database cannot work with.
fn unusable(error: &sqlx::Error) -> Option<Fault> {
    let code = error.as_database_error()?.code()?;
    if !code.starts_with(DATA_EXCEPTION) {
        return None;
    }
    tracing::warn!(%code, %error, "a value that the database cannot work with");
    let known = WORDS.iter().find(|(known, _)| *known == code);
    Some(Fault::BadInput(known.map_or("A value is of no use here.", |(_, words)| words).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(fault: Fault) -> serde_json::Value {
        let error = Error::from(fault);
        json!({"message": error.message, "extensions": error.extensions})
    }

    #[test]
    fn faults_look_as_recorded() {
        assert_eq!(
            told(Fault::Unauthorized),
            json!({"message": "Unauthorized", "extensions": {
                "code": "UNAUTHENTICATED",
                "originalError": {"message": "Unauthorized", "statusCode": 401},
            }})
        );
        assert_eq!(
            told(Fault::Denied("Incorrect verification code!".into())),
            json!({"message": "Incorrect verification code!", "extensions": {
                "code": "UNAUTHENTICATED",
                "originalError": {"message": "Incorrect verification code!", "error": "Unauthorized", "statusCode": 401},
            }})
        );
        assert_eq!(
            told(Fault::no_such("Site", 2)),
            json!({"message": "Unable to find SiteEntity with id: 2", "extensions": {
                "code": "INTERNAL_SERVER_ERROR",
                "status": 404,
                "originalError": {"message": "Unable to find SiteEntity with id: 2", "error": "Not Found", "statusCode": 404},
            }})
        );
    }

    #[test]
    fn what_is_ours_is_not_told() {
        let told = told(sqlx::Error::Protocol("select canary".into()).into());
        assert_eq!(
            told,
            json!({"message": "Internal server error", "extensions": {"code": "INTERNAL_SERVER_ERROR"}})
        );
    }
}
