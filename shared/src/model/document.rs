//! Desired state: what a gateway shall know, sent whole and versioned, never as commands.
//!
//! A gateway reports which version it holds; a lower version than the one it holds is never applied.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::onboarding::AdmissionDoc;
use super::quirks::StationQuirks;
use super::settings::SettingsDoc;
use super::token::{AuthStatus, TokenEntry};
use crate::id::{EvseNo, StationId};
use crate::tariff::Tariff;
use crate::units::Timestamp;

/// A document's name and content in one: the name says how to read the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DocumentBody {
    /// Who may connect.
    Stations(StationsDoc),
    /// Who may charge.
    Tokens(TokensDoc),
    /// What it costs.
    Tariffs(TariffsDoc),
    /// Who else may charge at sites that are open to the public: one part of a long list.
    PublicTokens(PublicTokensDoc),
    /// Who else is let in, and who has to wait.
    Admission(AdmissionDoc),
    /// What stations shall be set to.
    Settings(SettingsDoc),
}

impl DocumentBody {
    /// The name under which the version is counted.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            DocumentBody::Stations(_) => STATIONS.into(),
            DocumentBody::Tokens(_) => TOKENS.into(),
            DocumentBody::Tariffs(_) => TARIFFS.into(),
            DocumentBody::PublicTokens(doc) => format!("{PUBLIC_TOKENS}/{}", doc.part).into(),
            DocumentBody::Admission(_) => ADMISSION.into(),
            DocumentBody::Settings(_) => SETTINGS.into(),
        }
    }
}

/// The name of [`StationsDoc`].
pub const STATIONS: &str = "stations";
/// The name of [`TokensDoc`].
pub const TOKENS: &str = "tokens";
/// The name of [`TariffsDoc`].
pub const TARIFFS: &str = "tariffs";
/// The name of all [`PublicTokensDoc`]s, before a slash and the part.
pub const PUBLIC_TOKENS: &str = "public-tokens";
/// The name of [`AdmissionDoc`].
pub const ADMISSION: &str = "admission";
/// The name of [`SettingsDoc`].
pub const SETTINGS: &str = "settings";

/// The stations of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationsDoc {
    /// The site's time zone (IANA name), for prices by time of day.
    pub timezone: String,
    /// Who may connect.
    pub stations: Vec<StationEntry>,
}

/// One station that may connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationEntry {
    /// Its identity.
    pub station: StationId,
    /// What its password must verify against: an argon2id PHC text, or `sha256$salt$digest` (base64) for a password that
    /// was generated with at least 128 bits of randomness.
    pub credential: String,
    /// What is peculiar about it.
    pub quirks: StationQuirks,
    /// Since when it is the site's, if that is known: what it did before is not billed.
    pub since: Option<Timestamp>,
}

/// The tokens of a site, and what to do with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokensDoc {
    /// The answer to a token that is not in the list.
    pub unknown: AuthStatus,
    /// Shall stations keep these lists, too, for the hours in which they cannot ask?
    pub on_stations: bool,
    /// The list.
    pub tokens: Vec<TokenEntry>,
}

/// One part of the tokens that may charge at every public site. The list is long and the same for all gateways, so it comes
/// in parts: a new card costs each gateway one part, and no part outgrows a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicTokensDoc {
    /// Which part. A token is always in the same one.
    pub part: u16,
    /// Its tokens.
    pub tokens: Vec<TokenEntry>,
}

/// The tariffs of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffsDoc {
    /// Every tariff in use.
    pub tariffs: Vec<Tariff>,
    /// Which EVSE has which, by place in `tariffs`.
    pub assigned: Vec<TariffAssignment>,
}

/// An EVSE's tariff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffAssignment {
    /// The station.
    pub station: StationId,
    /// The EVSE.
    pub evse: EvseNo,
    /// Place in [`TariffsDoc::tariffs`].
    pub tariff: u32,
}

/// A version of a document that a gateway holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentVersion {
    /// Which.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// BLAKE3 of the postcard bytes of its [`DocumentBody`].
    pub hash: [u8; 32],
}
