//! What a driver shows to be allowed to charge.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// An identifier of a driver: the number on a card, an app's tag, a vehicle's contract.
///
/// Kept as it was received; two are the same when they are the same without regard to case and surrounding space
/// (OCPP 1.6 errata 3.75; OCPP 2.x `identifierString`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdToken(String);

impl IdToken {
    /// Takes the text as received.
    pub fn new(text: impl Into<String>) -> Self {
        IdToken(text.into())
    }

    /// The text as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which tokens are compared and indexed: trimmed, lower case.
    pub fn folded(&self) -> String {
        self.0.trim().to_lowercase()
    }
}

impl PartialEq for IdToken {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for IdToken {}

impl fmt::Display for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the site says of a token (OCPP 1.6 §7.2 AuthorizationStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AuthStatus {
    /// May charge.
    Accepted,
    /// Known and barred.
    Blocked,
    /// Known, its time is over.
    Expired,
    /// Not known here.
    Invalid,
    /// Already charging elsewhere at this site, where that is not allowed.
    ConcurrentTx,
}

/// Who decided that a session may run: needed when a driver disputes a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AuthorisedBy {
    /// A remote start, so the cloud had checked the driver.
    Remote,
    /// The token list held by the gateway.
    SiteList,
    /// The policy for tokens that the gateway does not know.
    UnknownTokenPolicy,
    /// Nobody: the station had started already when the token was refused or unknown.
    Nobody,
}

/// One line of a site's token list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// The token in folded form.
    pub token: String,
    /// What to answer while it has not expired.
    pub status: AuthStatus,
    /// From when on it is [`AuthStatus::Expired`].
    pub expires_at: Option<Timestamp>,
    /// Tokens of one group may stop each other's sessions (OCPP `parentIdTag`).
    pub group: Option<String>,
}

impl TokenEntry {
    /// The answer at an instant.
    pub fn status_at(&self, now: Timestamp) -> AuthStatus {
        match self.expires_at {
            Some(end) if now >= end && self.status == AuthStatus::Accepted => AuthStatus::Expired,
            _ => self.status,
        }
    }
}
