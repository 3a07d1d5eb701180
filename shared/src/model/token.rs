//! What a driver shows to be allowed to charge.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// An identifier of a driver: the number on a card, an app's tag, a vehicle's contract.
///
/// Kept as it was received; two are the same when they are the same without regard to case and surrounding space
/// (OCPP 1.6 errata 3.75; OCPP 2.x `identifierString`), and to the separators in a card's number: `04:A2:…` is `04a2…`.
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

    /// What a person typed, or read off a card, in the form to keep.
    ///
    /// # Errors
    /// When no station could send such a token.
    pub fn typed(text: &str) -> Result<Self, NotAToken> {
        let text = text.trim();
        let token = bytes_of(text).map_or_else(|| text.to_owned(), |bytes| bytes.to_uppercase());
        let fine = LENGTH.contains(&token.len()) && token.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if fine { Ok(IdToken(token)) } else { Err(NotAToken) }
    }

    /// The form in which tokens are compared and indexed: trimmed, lower case, without separators.
    pub fn folded(&self) -> String {
        let text = self.0.trim().to_lowercase();
        bytes_of(&text).unwrap_or(text)
    }
}

/// OCPP 1.6 idTag: CiString20.
const LENGTH: std::ops::RangeInclusive<usize> = 1..=20;

/// A text that no station could send as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A token has 1 to 20 printable characters (letters, digits and signs of ASCII).")]
pub struct NotAToken;

/// The hexadecimal digits of a card's number that is written byte by byte, as readers and people do: `04:a2:b3:c4`.
fn bytes_of(text: &str) -> Option<String> {
    let separator = text.chars().find(|c| matches!(c, ':' | '-' | '.' | ' '))?;
    let is_byte = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let fine = text.split(separator).all(is_byte) && text.split(separator).count() >= SHORTEST_UID;
    fine.then(|| text.replace(separator, ""))
}

/// Bytes of the shortest card number (ISO 14443-3).
const SHORTEST_UID: usize = 4;

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
    /// A reservation for somebody else.
    Reservation,
    /// The state of the station: it is not adopted yet, or held.
    Station,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_the_same_however_its_number_is_written() {
        let plain = IdToken::new("04A2B3C4D5E680");
        for other in
            ["04:a2:b3:c4:d5:e6:80", " 04-A2-B3-C4-D5-E6-80", "04 a2 b3 c4 d5 e6 80", "04a2b3c4d5e680"]
        {
            assert_eq!(IdToken::new(other), plain, "{other}");
            assert_eq!(IdToken::typed(other).unwrap().folded(), plain.folded());
        }
        assert_eq!(IdToken::typed("04:a2:b3:c4").unwrap().as_str(), "04A2B3C4");
        for different in ["04:A2-B3:C4", "DE-AB-C1", "EMP-00-17", "04:A2:B3:C"] {
            assert_eq!(IdToken::typed(different).unwrap().as_str(), different, "no card's number: kept");
        }
    }

    #[test]
    fn what_no_station_could_send_is_no_token() {
        let ten_bytes = "04:A2:B3:C4:D5:E6:80:11:22:33";
        assert_eq!(IdToken::typed(ten_bytes).unwrap().as_str().len(), 20);
        for bad in [
            "",
            "   ",
            "123456789012345678901",
            "a\u{0}b",
            "a\nb",
            "käse",
            "04:A2:B3:C4:D5:E6:80:11:22:33:44",
        ] {
            assert_eq!(IdToken::typed(bad).unwrap_err(), NotAToken, "{bad:?}");
        }
    }
}
