//! Who may be here. Stations of the cloud's list are; unknown ones come in as *pending* while the onboarding window is open,
//! and wait for a person: the operator, whose decision comes with the documents, or the installer, who decides here and is
//! believed by the cloud when it hears of it. What the installer decided survives a restart, what a pending station told
//! does not: it tells it again when it comes back.

mod passes;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use shared::id::StationId;
use shared::model::StationInfo;
use shared::model::document::{StationEntry, StationsDoc};
use shared::model::event::Event;
use shared::model::onboarding::{
    AdmissionDoc, CERTIFICATE_ONLY, LONGEST_WINDOW_MINUTES, StationAdopted, StationPending, StationRejected,
    WindowChanged,
};
use shared::model::quirks::StationQuirks;
use shared::units::Timestamp;

pub use self::passes::{Gate, Pass, Passes};
use super::knocks::Knocks;
use super::{Core, Effects, Send, Write};

/// What a station may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Accepted,
    /// It is known, and an operator makes it wait.
    Held,
    /// Nobody has decided about it.
    Pending,
    /// It was turned away, and is told so before it leaves.
    Rejected,
}

/// An unknown station that the door let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Its address.
    pub from: String,
    /// The OCPP security profile of the door.
    pub security_profile: u8,
    /// What the password that it showed verifies against.
    pub credential: Option<String>,
}

/// A visitor, and what it told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who it is.
    pub visitor: Visitor,
    /// What it is.
    pub info: Option<StationInfo>,
    /// How many connectors it has, as far as it told.
    pub connectors: Option<u16>,
    /// Since when it waits.
    pub since: Timestamp,
}

/// What the installer decided here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedHere {
    /// Stations adopted here that the cloud does not list yet, with their credentials.
    adopted: BTreeMap<StationId, String>,
    /// Stations turned away here that the cloud does not know of yet.
    rejected: BTreeSet<StationId>,
    /// The window opened here is open until then.
    window: Option<Timestamp>,
    /// When a window was last closed here.
    closed_at: Option<Timestamp>,
}

/// What the installer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallerAct {
    /// Lets unknown stations in for so many minutes.
    OpenWindow {
        /// How long.
        minutes: u32,
    },
    /// Lets them in no longer.
    CloseWindow,
    /// Takes a station on.
    Adopt {
        /// Which.
        station: StationId,
        /// What its password shall verify against; the one that it showed when absent.
        credential: Option<String>,
        /// How many connectors it has; as many as it told when absent.
        connectors: Option<u16>,
    },
    /// Turns one away.
    Reject {
        /// Which.
        station: StationId,
    },
}

#[derive(Debug, Default)]
pub(super) struct Admission {
    listed: HashMap<StationId, StationEntry>,
    timezone: String,
    wanted: AdmissionDoc,
    here: DecidedHere,
    pending: BTreeMap<StationId, Pending>,
    pub(super) knocks: Knocks,
}

impl Admission {
    pub(super) fn new(here: DecidedHere) -> Self {
        Admission { here, ..Admission::default() }
    }

    pub(super) fn list(&mut self, document: StationsDoc) {
        self.timezone = document.timezone;
        self.listed = document.stations.into_iter().map(|it| (it.station.clone(), it)).collect();
        let listed = &self.listed;
        self.here.adopted.retain(|station, _| !listed.contains_key(station));
        self.here.rejected.retain(|station| !listed.contains_key(station));
    }

    pub(super) fn want(&mut self, document: AdmissionDoc) {
        self.here.rejected.retain(|station| !document.rejected.contains(station));
        self.wanted = document;
    }

    pub(super) fn credential(&self, station: &StationId) -> Option<&String> {
        self.listed.get(station).map(|it| &it.credential).or_else(|| self.here.adopted.get(station))
    }

    pub(super) fn quirks(&self, station: &StationId) -> Option<&StationQuirks> {
        self.listed.get(station).map(|it| &it.quirks)
    }

    /// Since when a station is the site's.
    pub(super) fn since(&self, station: &StationId) -> Option<Timestamp> {
        self.listed.get(station)?.since
    }

    fn is_rejected(&self, station: &StationId) -> bool {
        self.here.rejected.contains(station) || self.wanted.rejected.contains(station)
    }

    fn open_until(&self) -> Option<Timestamp> {
        let closed = |opened: Timestamp| self.here.closed_at.is_some_and(|closed| opened <= closed);
        let wanted = self.wanted.window.filter(|(opened, _)| !closed(*opened)).map(|(_, until)| until);
        wanted.max(self.here.window)
    }
}

impl Core {
    /// The stations that wait for a decision.
    pub fn pending(&self) -> impl Iterator<Item = (&StationId, &Pending)> {
        self.admission.pending.iter()
    }

    /// What a station may do now. Whoever is here and not pending has shown its credential at the door.
    pub fn standing(&self, station: &StationId) -> Standing {
        let admission = &self.admission;
        match admission.pending.get(station) {
            None if admission.wanted.held.contains(station) => Standing::Held,
            None => Standing::Accepted,
            Some(_) if admission.credential(station).is_some() => Standing::Pending,
            Some(_) if admission.is_rejected(station) => Standing::Rejected,
            Some(_) => Standing::Pending,
        }
    }

    // --- pending stations

    pub(super) fn visitor(
        &mut self,
        now: Timestamp,
        station: &StationId,
        visitor: Visitor,
        fx: &mut Effects,
    ) {
        let pending = Pending { visitor, info: None, connectors: None, since: now };
        self.admission.pending.insert(station.clone(), pending);
        self.tell_pending(now, station, fx);
        self.let_in(now, station, fx);
    }

    /// Was it one that nobody has adopted?
    pub(super) fn visitor_left(&mut self, station: &StationId) -> bool {
        self.admission.pending.remove(station).is_some()
    }

    /// What a pending station told is news only when it is something else than before.
    pub(super) fn visitor_told(
        &mut self,
        now: Timestamp,
        station: &StationId,
        change: impl FnOnce(&mut Pending),
        fx: &mut Effects,
    ) {
        let Some(pending) = self.admission.pending.get_mut(station) else { return };
        let before = pending.clone();
        change(pending);
        if *pending != before {
            self.tell_pending(now, station, fx);
        }
    }

    fn tell_pending(&self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(Pending { visitor, info, connectors, .. }) = self.admission.pending.get(station) else {
            return;
        };
        fx.event(Event::StationPending(StationPending {
            station: station.clone(),
            from: visitor.from.clone(),
            security_profile: visitor.security_profile,
            credential: visitor.credential.clone(),
            info: info.clone(),
            connectors: *connectors,
            at: now,
        }));
    }

    // --- decisions

    /// The documents or the installer have decided something: the doors hear of it, and the stations that are here.
    pub(super) fn admission_changed(&mut self, now: Timestamp, fx: &mut Effects) {
        fx.writes.push(Write::DecidedHere(Box::new(self.admission.here.clone())));
        fx.sends.push(Send::Directory(self.directory()));
        fx.sends.push(Send::Gate(self.gate()));
        let waiting: Vec<StationId> = self.admission.pending.keys().cloned().collect();
        for station in waiting {
            self.let_in(now, &station, fx);
        }
        self.tell_standings(now, fx);
    }

    /// A pending station that was adopted goes on if it has shown what it shall show from now on; else it has to come anew.
    fn let_in(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(credential) = self.admission.credential(station) else { return };
        let Some(pending) = self.admission.pending.get(station) else { return };
        if pending.visitor.credential.as_ref() == Some(credential) {
            self.admission.pending.remove(station);
            self.arrived_before(now, station, fx);
        } else if let Some(link) = self.stations.get(station).and_then(|known| known.link) {
            fx.sends.push(Send::HangUp { link, reason: "adopted: connect with the new password" });
        }
    }

    /// Why the installer cannot do it, if so.
    pub fn objection(&self, act: &InstallerAct) -> Option<String> {
        match act {
            InstallerAct::OpenWindow { minutes } if !(1..=LONGEST_WINDOW_MINUTES).contains(minutes) => {
                Some(format!("a window is open for 1 to {LONGEST_WINDOW_MINUTES} minutes"))
            }
            InstallerAct::OpenWindow { .. } | InstallerAct::CloseWindow => None,
            InstallerAct::Adopt { station, credential, .. } => {
                self.objection_to_adopting(station, credential.is_some())
            }
            InstallerAct::Reject { station } => {
                let known = self.admission.credential(station).is_some();
                known.then(|| format!("{station} is this site's already: delete it in the cloud"))
            }
        }
    }

    fn objection_to_adopting(&self, station: &StationId, has_credential: bool) -> Option<String> {
        if self.admission.credential(station).is_some() {
            return Some(format!("{station} is this site's already"));
        }
        let shown = self.admission.pending.get(station).and_then(|it| it.visitor.credential.as_ref());
        (!has_credential && shown.is_none())
            .then(|| format!("{station} is not here or has shown no password: adopt it with a new one"))
    }

    pub(super) fn installer(&mut self, now: Timestamp, act: InstallerAct, fx: &mut Effects) {
        if self.objection(&act).is_some() {
            return;
        }
        match act {
            InstallerAct::OpenWindow { minutes } => {
                let until = now.plus_millis(i64::from(minutes) * 60_000);
                self.admission.here.window = Some(until);
                fx.event(Event::WindowChanged(WindowChanged { until: Some(until), at: now }));
            }
            InstallerAct::CloseWindow => {
                (self.admission.here.window, self.admission.here.closed_at) = (None, Some(now));
                fx.event(Event::WindowChanged(WindowChanged { until: None, at: now }));
            }
            InstallerAct::Adopt { station, credential, connectors } => {
                self.adopt_here(now, station, credential, connectors, fx);
            }
            InstallerAct::Reject { station } => {
                self.admission.here.rejected.insert(station.clone());
                fx.event(Event::StationRejected(StationRejected { station, at: now }));
            }
        }
        self.admission_changed(now, fx);
    }

    fn adopt_here(
        &mut self,
        now: Timestamp,
        station: StationId,
        credential: Option<String>,
        connectors: Option<u16>,
        fx: &mut Effects,
    ) {
        let shown = self.admission.pending.get(&station);
        let connectors = connectors.or_else(|| shown?.connectors).unwrap_or(1);
        let credential = credential.or_else(|| shown?.visitor.credential.clone());
        let credential = credential.unwrap_or_else(|| CERTIFICATE_ONLY.into());
        self.admission.here.rejected.remove(&station);
        self.admission.here.adopted.insert(station.clone(), credential.clone());
        fx.event(Event::StationAdopted(StationAdopted { station, credential, connectors, at: now }));
    }
}
