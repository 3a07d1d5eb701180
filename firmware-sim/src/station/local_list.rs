//! The list of tokens that the CSMS has the station keep (1.6 §3.5.1, §5.15). It outlives a restart, and what it says of a
//! token counts more than what the station remembers of an answer.

use std::collections::HashMap;

use shared::ocpp::v16::reply::{TagInfo, TagStatus};
use shared::ocpp::v16::{ListEntry, Verdict};

use super::Core;
use crate::tempo::Millis;

/// The version that a station without a list tells.
const NO_LIST: i32 = -1;

/// The list, by token in lower case.
#[derive(Debug, Default)]
pub(super) struct LocalList {
    version: i32,
    tokens: HashMap<String, TagInfo>,
}

impl Core {
    /// What the station's list says of a token, and how many it holds, for those who look.
    pub fn listed(&self, tag: &str) -> Option<TagStatus> {
        self.local_list.tokens.get(&tag.to_lowercase()).map(|info| info.status)
    }

    /// May a token charge, as far as the station knows by itself?
    pub(super) fn known(&self, now: Millis, tag: &str) -> Option<bool> {
        let tag = tag.to_lowercase();
        let listed = self.local_list.tokens.get(&tag).filter(|_| self.keys.is("LocalAuthListEnabled"));
        let at = self.tempo.at(now);
        let may =
            |info: &TagInfo| info.status == TagStatus::Accepted && info.expires_at.is_none_or(|end| at < end);
        listed.map(may).or_else(|| self.cache.get(&tag).copied())
    }

    pub(super) fn local_list_version(&self) -> i32 {
        if self.keys.is("LocalAuthListEnabled") { self.local_list.version } else { NO_LIST }
    }

    pub(super) fn take_local_list(&mut self, version: i32, full: bool, entries: &[ListEntry]) -> Verdict {
        if !self.keys.is("LocalAuthListEnabled") {
            return Verdict::NotSupported;
        }
        if !full && version <= self.local_list.version {
            return Verdict::VersionMismatch;
        }
        let number = |key| usize::try_from(self.keys.number(key)).unwrap_or(usize::MAX);
        let mut tokens = if full { HashMap::new() } else { self.local_list.tokens.clone() };
        for entry in entries {
            match &entry.info {
                Some(info) => drop(tokens.insert(entry.id_tag.to_lowercase(), info.clone())),
                None => drop(tokens.remove(&entry.id_tag.to_lowercase())),
            }
        }
        let impossible = version < 1 || (full && entries.iter().any(|entry| entry.info.is_none()));
        if impossible
            || entries.len() > number("SendLocalListMaxLength")
            || tokens.len() > number("LocalAuthListMaxLength")
        {
            return Verdict::Failed;
        }
        self.local_list = LocalList { version, tokens };
        Verdict::Accepted
    }
}
