//! Why somebody is not signed in.

use std::time::Duration;

use crate::courier::Undelivered;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such account, no password set, or another password: which one is not told.
    #[error("wrong account or password")]
    Wrong,
    /// No such code, not for this account, expired, used, or tried too often: which one is not told.
    #[error("wrong code")]
    WrongCode,
    /// He is who he says, and may not sign in.
    #[error("deactivated")]
    Deactivated,
    /// Somebody else signs in with this address or number.
    #[error("taken")]
    Taken,
    /// The refresh token is unknown, spent, or its sign-in ended.
    #[error("signed out")]
    SignedOut,
    /// Too many of late.
    #[error("too many attempts")]
    Wait(Duration),
    /// The code could not be sent.
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    /// The database does not answer.
    #[error(transparent)]
    Broken(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Refusal::Broken(error.into())
    }
}
