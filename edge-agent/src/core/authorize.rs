//! May this token charge here? Decided by the list that the gateway holds; the internet is never asked.

use std::collections::HashMap;

use shared::id::StationId;
use shared::model::document::TokensDoc;
use shared::model::event::{AuthorisationDecided, Event};
use shared::model::token::{AuthStatus, AuthorisedBy, IdToken, TokenEntry};
use shared::units::Timestamp;

use super::{Core, Effects, Reply};

/// The site's token list, ready to be asked.
#[derive(Debug)]
pub struct Tokens {
    unknown: AuthStatus,
    entries: HashMap<String, TokenEntry>,
}

/// What the site says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub status: AuthStatus,
    /// Who decided.
    pub by: AuthorisedBy,
    /// Until when it holds.
    pub expires_at: Option<Timestamp>,
    /// The token's group.
    pub group: Option<String>,
}

impl Default for Tokens {
    /// No list yet: nobody is known and unknown tokens are refused.
    fn default() -> Self {
        Tokens { unknown: AuthStatus::Invalid, entries: HashMap::new() }
    }
}

impl Tokens {
    /// The list of a document.
    pub fn new(document: TokensDoc) -> Self {
        let entries = document.tokens.into_iter().map(|entry| (entry.token.clone(), entry)).collect();
        Tokens { unknown: document.unknown, entries }
    }

    /// The list's word on a token.
    pub fn decide(&self, token: &IdToken, now: Timestamp) -> Decision {
        match self.entries.get(&token.folded()) {
            Some(entry) => Decision {
                status: entry.status_at(now),
                by: AuthorisedBy::SiteList,
                expires_at: entry.expires_at,
                group: entry.group.clone(),
            },
            None => {
                let by = AuthorisedBy::UnknownTokenPolicy;
                Decision { status: self.unknown, by, expires_at: None, group: None }
            }
        }
    }
}

impl Core {
    pub(super) fn authorize(
        &mut self,
        now: Timestamp,
        station: &StationId,
        token: IdToken,
        fx: &mut Effects,
    ) -> Reply {
        let decision = self.decide(now, station, &token);
        fx.event(Event::AuthorisationDecided(AuthorisationDecided {
            station: station.clone(),
            token,
            status: decision.status,
            decided_by: decision.by,
            at: now,
        }));
        Reply::Authorized { status: decision.status, expires_at: decision.expires_at, group: decision.group }
    }

    /// A token that a remote start brought to this station may charge: the cloud has checked its driver. A token that
    /// the list bars stays barred.
    pub(super) fn decide(&self, now: Timestamp, station: &StationId, token: &IdToken) -> Decision {
        let listed = self.tokens.decide(token, now);
        if listed.by != AuthorisedBy::SiteList && self.granted(now, station, token).is_some() {
            return Decision {
                status: AuthStatus::Accepted,
                by: AuthorisedBy::Remote,
                expires_at: None,
                group: None,
            };
        }
        listed
    }
}
