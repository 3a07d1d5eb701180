//! May this token charge here? Decided by the list that the gateway holds; the internet is never asked.

use std::collections::HashMap;

use shared::id::StationId;
use shared::model::document::{PublicTokensDoc, TokensDoc};
use shared::model::event::{AuthorisationDecided, Event};
use shared::model::token::{AuthStatus, AuthorisedBy, IdToken, TokenEntry};
use shared::units::Timestamp;

use super::admission::Standing;
use super::{Core, Effects, Reply};

/// The site's token list, ready to be asked: its own tokens, and those that may charge at every public site.
#[derive(Debug)]
pub struct Tokens {
    unknown: AuthStatus,
    on_stations: bool,
    own: Entries,
    public: HashMap<u16, Entries>,
}

type Entries = HashMap<String, TokenEntry>;

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
        Tokens {
            unknown: AuthStatus::Invalid,
            on_stations: false,
            own: Entries::new(),
            public: HashMap::new(),
        }
    }
}

impl Tokens {
    /// Takes the site's own list from a document.
    pub fn replace(&mut self, document: TokensDoc) {
        self.unknown = document.unknown;
        self.on_stations = document.on_stations;
        self.own = entries(document.tokens);
    }

    /// Takes a part of the public list from a document.
    pub fn replace_public(&mut self, document: PublicTokensDoc) {
        self.public.insert(document.part, entries(document.tokens));
    }

    /// Shall stations keep these lists, too?
    pub(super) fn on_stations(&self) -> bool {
        self.on_stations
    }

    /// The site's own list, in no order.
    pub(super) fn own(&self) -> impl Iterator<Item = &TokenEntry> {
        self.own.values()
    }

    /// The public list, in no order.
    pub(super) fn public(&self) -> impl Iterator<Item = &TokenEntry> {
        self.public.values().flat_map(HashMap::values)
    }

    fn find(&self, token: &str) -> Option<&TokenEntry> {
        self.own.get(token).or_else(|| self.public.values().find_map(|part| part.get(token)))
    }

    /// The list's word on a token.
    pub fn decide(&self, token: &IdToken, now: Timestamp) -> Decision {
        match self.find(&token.folded()) {
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

fn entries(tokens: Vec<TokenEntry>) -> Entries {
    tokens.into_iter().map(|entry| (entry.token.clone(), entry)).collect()
}

impl Decision {
    /// Not in any list, and refused therefore.
    pub(super) fn is_of_an_unknown_card(&self) -> bool {
        self.by == AuthorisedBy::UnknownTokenPolicy && self.status != AuthStatus::Accepted
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
        let listed = self.decide(now, station, &token);
        let claim = self.claim_anywhere(now, station, &token, &listed);
        let decision = listed.under(claim);
        if decision.is_of_an_unknown_card() {
            self.unknown_card(now, station, None, &token, fx);
        } else if self.standing(station) != Standing::Pending {
            fx.event(Event::AuthorisationDecided(AuthorisationDecided {
                station: station.clone(),
                token,
                status: decision.status,
                decided_by: decision.by,
                at: now,
            }));
        }
        Reply::Authorized { status: decision.status, expires_at: decision.expires_at, group: decision.group }
    }

    /// A token that a remote start or a reservation brought to this station may charge: the cloud has checked its driver. A
    /// token that the list bars stays barred, and nobody charges at a station that waits.
    pub(super) fn decide(&self, now: Timestamp, station: &StationId, token: &IdToken) -> Decision {
        if self.standing(station) != Standing::Accepted {
            let (status, by) = (AuthStatus::Invalid, AuthorisedBy::Station);
            return Decision { status, by, expires_at: None, group: None };
        }
        let listed = self.tokens.decide(token, now);
        let invited =
            || self.granted(now, station, token).is_some() || self.has_reservation(now, station, token);
        if listed.by != AuthorisedBy::SiteList && invited() {
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
