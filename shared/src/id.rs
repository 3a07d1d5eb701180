//! Identifiers. Each is its own type, so that a session can never be passed where a gateway is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }
    };
}

uuid_id! {
    /// A site gateway's identity, given at enrolment: MQTT client id, user name and topic level alike.
    GatewayId
}
uuid_id! {
    /// One charging session. A UUIDv7 minted on the edge when the session starts, so that ids sort by time.
    SessionId
}
uuid_id! {
    /// One remote command. Repeating an id never repeats the action.
    CommandId
}
uuid_id! {
    /// One birth of a gateway's database. Sequence numbers only mean something within an epoch.
    Epoch
}
uuid_id! {
    /// One start of the agent process.
    BootId
}
uuid_id! {
    /// A tariff, whatever its version.
    TariffId
}
uuid_id! {
    /// A firmware image in the cloud's store.
    FirmwareId
}

/// The share of gateways that one ingest replica reads: the topic level in front of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(pub u16);

/// A station's identity: the last part of its OCPP-J URL and its Basic user name (OCPP-J 1.6 §3.1.1).
///
/// Compared exactly: two stations may differ in case only, their credentials then differ too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StationId(String);

/// Why a text is no station identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a station identity has 1 to {MAX_IDENTITY} visible characters and no '/', ':' or '\\', got {0:?}")]
pub struct BadStationId(String);

/// The longest identity that OCPP 2.x allows; 1.6 names no limit for the URL.
pub const MAX_IDENTITY: usize = 48;

impl StationId {
    /// Takes an identity as it stands in the URL, already percent-decoded.
    pub fn new(text: impl Into<String>) -> Result<Self, BadStationId> {
        let text = text.into();
        let fits = (1..=MAX_IDENTITY).contains(&text.chars().count());
        let clean =
            !text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '/' | ':' | '\\'));
        if fits && clean { Ok(StationId(text)) } else { Err(BadStationId(text)) }
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StationId {
    type Err = BadStationId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        StationId::new(text)
    }
}

/// The number of an EVSE on its station, from 1. An OCPP 1.6 connector *n* is EVSE *n* with one connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvseNo(pub u16);

/// A reservation's number. OCPP wants an integer of 32 bits (1.6 §6.37).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub i32);

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EvseNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The station's own name for a running session, opaque to everyone but its adapter: an OCPP 1.6 `transactionId` in
/// decimal, an OCPP 2.x `transactionId` as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StationTxRef(pub String);

impl fmt::Display for StationTxRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_bounded_and_safe_in_a_topic_and_a_path() {
        for good in ["CP001", "DE*ABC*E1", "ünit-7", &"x".repeat(48)] {
            assert!(StationId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "a:b", "a b", "a\u{0}b", &"x".repeat(49)] {
            assert!(StationId::new(bad).is_err(), "{bad}");
        }
    }
}
