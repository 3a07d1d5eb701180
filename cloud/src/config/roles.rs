//! What a replica does: all of it on one box, parts of it on many.

use serde::{Deserialize, Deserializer};

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Serves GraphQL.
    pub api: bool,
    /// Takes batches from gateways and sends them commands.
    pub ingest: bool,
    /// Runs the embedded broker and its gate.
    pub broker: bool,
}

impl Roles {
    /// The one-box default.
    pub const ALL: Self = Self { api: true, ingest: true, broker: true };
    const NONE: Self = Self { api: false, ingest: false, broker: false };

    fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut roles = Self::NONE;
        for name in names {
            match name.trim() {
                "api" => roles.api = true,
                "ingest" => roles.ingest = true,
                "broker" => roles.broker = true,
                other => return Err(format!("unknown role `{other}`, expected api, ingest or broker")),
            }
        }
        if roles == Self::NONE { Err("at least one role is needed".into()) } else { Ok(roles) }
    }
}

impl std::str::FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_names(text.split(','))
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Names {
            Text(String),
            List(Vec<String>),
        }
        match Names::deserialize(deserializer)? {
            Names::Text(text) => text.parse(),
            Names::List(list) => Self::from_names(list.iter().map(String::as_str)),
        }
        .map_err(serde::de::Error::custom)
    }
}
