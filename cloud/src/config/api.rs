//! What the API lets people ask.

use std::path::PathBuf;

use serde::Deserialize;

/// The API's manners.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Who may read the schema.
    pub introspection: Introspection,
    /// Registered documents: a manifest, or a folder of them.
    pub documents: Option<PathBuf>,
    /// Whether others than operators may send registered documents only.
    pub only_registered: bool,
    /// Requests and fields that an address may ask for; 0: any number.
    pub points_per_second_and_address: u32,
    /// Requests and fields that a user may ask for; 0: any number.
    pub points_per_second_and_user: u32,
}

/// Who may read the schema through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Introspection {
    /// Whoever asks.
    Everyone,
    /// Whoever has a token.
    SignedIn,
    /// Those who run stations.
    Operators,
    /// Nobody.
    Nobody,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            introspection: Introspection::Everyone,
            documents: None,
            only_registered: false,
            points_per_second_and_address: 2_000,
            points_per_second_and_user: 1_000,
        }
    }
}

impl Api {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.only_registered && self.documents.is_none() {
            anyhow::bail!(
                "api.only_registered refuses everything without api.documents: name the manifest there"
            );
        }
        Ok(())
    }
}
