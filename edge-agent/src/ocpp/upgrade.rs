//! The request to become a WebSocket (RFC 6455 §4.2.1, OCPP-J 1.6 §3). By the book, unless the station is known to have its
//! own way of asking; what looks like such a way is suspected.

use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use shared::model::quirks::{StationQuirks, Suggestion};
use shared::ocpp::v16::SUBPROTOCOL;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::core::Suspicion;

/// A request that can be granted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upgrade {
    /// The answer to its key.
    pub(super) accept: String,
    /// What it offers.
    pub(super) offer: Offer,
}

/// The OCPP versions that a station offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// One that is spoken here, among others perhaps.
    Ours,
    /// None, and ours is meant (QUIRKS Q1).
    Assumed,
    /// None.
    Nothing,
    /// Others.
    Others,
}

/// Reads a request, or says why it cannot be granted.
pub(super) fn read(headers: &HeaderMap, quirks: &StationQuirks) -> Result<Upgrade, &'static str> {
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or("this is a WebSocket address")?;
    if !quirks.tolerate_upgrade {
        by_the_book(headers)?;
    } else if !headers.contains_key(UPGRADE) {
        return Err("this is a WebSocket address");
    }
    let offer = if has_token(headers, SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        Offer::Ours
    } else if headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        Offer::Others
    } else if quirks.assume_subprotocol {
        Offer::Assumed
    } else {
        Offer::Nothing
    };
    Ok(Upgrade { accept: derive_accept_key(key.as_bytes()), offer })
}

fn by_the_book(headers: &HeaderMap) -> Result<(), &'static str> {
    if !has_token(headers, UPGRADE, "websocket") || !has_token(headers, CONNECTION, "upgrade") {
        return Err("the Upgrade or the Connection header is wrong");
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("WebSocket version 13 is spoken here");
    }
    Ok(())
}

/// What a refused request suggests: one that has a key means a WebSocket (Q2).
pub(super) fn suspicion(headers: &HeaderMap, refused: &'static str) -> Option<Suspicion> {
    let near = headers.contains_key(SEC_WEBSOCKET_KEY) && headers.contains_key(UPGRADE);
    let evidence = format!("its handshake was refused: {refused}");
    near.then_some(Suspicion { suggestion: Suggestion::TolerateUpgrade, evidence, may_be_chance: false })
}

impl Offer {
    /// What it suggests when nothing is offered (Q1).
    pub(super) fn suspicion(self) -> Option<Suspicion> {
        let evidence = "it offers no subprotocol, and was sent away".to_owned();
        let suggestion = Suggestion::AssumeSubprotocol;
        (self == Offer::Nothing).then_some(Suspicion { suggestion, evidence, may_be_chance: false })
    }
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        for (name, value) in of {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn offer(of: &[(HeaderName, &'static str)], quirks: &StationQuirks) -> Result<Offer, &'static str> {
        read(&headers(of), quirks).map(|upgrade| upgrade.offer)
    }

    #[test]
    fn header_lists_are_read_as_lists_in_any_case() {
        let odd = [
            (UPGRADE, "WebSocket"),
            (CONNECTION, "keep-alive, UPGRADE"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_PROTOCOL, "ocpp2.0.1"),
            (SEC_WEBSOCKET_PROTOCOL, "ocpp1.5,OCPP1.6"),
        ];
        assert_eq!(offer(&odd, &StationQuirks::default()), Ok(Offer::Ours));
    }

    #[test]
    fn what_a_station_is_known_for_is_tolerated_of_it_alone() {
        let book = StationQuirks::default();
        let bare =
            [(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13"), (SEC_WEBSOCKET_PROTOCOL, "ocpp1.6")];
        assert!(offer(&bare, &book).is_err());
        assert!(suspicion(&headers(&bare), "…").is_some());
        let lax = StationQuirks { tolerate_upgrade: true, ..book.clone() };
        assert_eq!(offer(&bare, &lax), Ok(Offer::Ours));

        let mute = [(UPGRADE, "websocket"), (CONNECTION, "Upgrade"), (SEC_WEBSOCKET_VERSION, "13")];
        assert_eq!(offer(&mute, &book), Ok(Offer::Nothing));
        assert!(Offer::Nothing.suspicion().is_some());
        let assumed = StationQuirks { assume_subprotocol: true, ..book };
        assert_eq!(offer(&mute, &assumed), Ok(Offer::Assumed));
    }
}
