//! A connector kept for a driver until an hour.

use serde::{Deserialize, Serialize};

use super::token::IdToken;
use crate::id::{EvseNo, ReservationId, SessionId, StationId};
use crate::units::Timestamp;

/// An EVSE kept for a driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its id. The same id is the same reservation, perhaps with another end.
    pub id: ReservationId,
    /// Where.
    pub evse: EvseNo,
    /// For whom.
    pub token: IdToken,
    /// Tokens of this group may use it too (OCPP `parentIdTag`).
    pub group: Option<String>,
    /// Until when.
    pub until: Timestamp,
}

impl Reservation {
    /// Is it this token's, or that of a token of this group?
    pub fn is_for(&self, token: &IdToken, group: Option<&str>) -> bool {
        self.token == *token || (group.is_some() && self.group.as_deref() == group)
    }
}

/// A reservation ended at the site before its time, and not because the cloud said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationEnded {
    /// Which.
    pub reservation: ReservationId,
    /// Where.
    pub station: StationId,
    /// How.
    pub end: ReservationEnd,
    /// When.
    pub at: Timestamp,
}

/// How a reservation ended at the site. Its expiry is no event: everybody knows the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationEnd {
    /// Its driver charges: by this session.
    Used(SessionId),
    /// The connector failed or was taken out of service (OCPP 1.6 §5.13).
    Dropped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_a_token_or_its_group() {
        let reservation = |group: Option<&str>| Reservation {
            id: ReservationId(1),
            evse: EvseNo(1),
            token: IdToken::new("OWNER"),
            group: group.map(str::to_owned),
            until: Timestamp(0),
        };
        let other = IdToken::new("other");
        assert!(reservation(None).is_for(&IdToken::new("owner "), None));
        assert!(reservation(Some("g")).is_for(&other, Some("g")));
        assert!(!reservation(Some("g")).is_for(&other, Some("h")));
        assert!(!reservation(None).is_for(&other, None), "no group is not a group");
    }
}
