//! What the doors go by: who may connect, with what, and whom they let in besides.

use std::collections::{BTreeSet, HashSet};

use shared::id::StationId;
use shared::model::document::{StationEntry, StationsDoc};
use shared::model::quirks::StationQuirks;
use shared::units::Timestamp;

use crate::core::Core;

/// What the doors go by beyond the list of stations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Unknown stations are let in until then.
    pub open_until: Option<Timestamp>,
    /// But not these.
    pub rejected: HashSet<StationId>,
}

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// The site's time zone (IANA name).
    pub timezone: String,
    /// The stations.
    pub stations: Vec<Pass>,
}

/// A station that may connect, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The station as the list has it.
    pub entry: StationEntry,
    /// What its password may be verified against besides.
    pub candidates: Vec<String>,
    /// The lowest security profile by which it may come.
    pub minimum: u8,
    /// The serial numbers of its certificates that are good no more.
    pub superseded: BTreeSet<String>,
}

impl From<StationEntry> for Pass {
    fn from(entry: StationEntry) -> Self {
        Pass { entry, candidates: Vec::new(), minimum: 0, superseded: BTreeSet::new() }
    }
}

impl From<StationsDoc> for Passes {
    fn from(document: StationsDoc) -> Self {
        let stations = document.stations.into_iter().map(Pass::from).collect();
        Passes { timezone: document.timezone, stations }
    }
}

impl Core {
    /// The stations that may connect, whoever took them on.
    pub fn directory(&self) -> Passes {
        let entry = |(station, credential): (&StationId, &String)| StationEntry {
            station: station.clone(),
            credential: credential.clone(),
            quirks: StationQuirks::default(),
            since: None,
        };
        let adopted = self.admission.here.adopted.iter().map(entry);
        let all = adopted.chain(self.admission.listed.values().cloned());
        let stations = all.map(|entry| self.pass(entry)).collect();
        Passes { timezone: self.admission.timezone.clone(), stations }
    }

    fn pass(&self, mut entry: StationEntry) -> Pass {
        let Some(memory) = self.security.memory(&entry.station) else { return entry.into() };
        if let Some(rotated) = memory.credential() {
            entry.credential = rotated.to_owned();
        }
        Pass {
            entry,
            candidates: memory.candidates().to_vec(),
            minimum: memory.minimum(),
            superseded: memory.superseded().clone(),
        }
    }

    /// Whom the doors let in besides.
    pub fn gate(&self) -> Gate {
        let rejected = self.admission.here.rejected.iter().chain(&self.admission.wanted.rejected);
        Gate { open_until: self.admission.open_until(), rejected: rejected.cloned().collect() }
    }
}
