//! What is remembered of a station's security, across restarts.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use shared::id::StationId;
use shared::model::security::{StationCertificate, StationSecured};
use shared::units::Timestamp;

/// Passwords written to a station that it has not come with yet, at most.
const CANDIDATES: usize = 3;
/// Certificates signed for a station that are told apart, at most.
const ISSUED: usize = 4;

/// What is remembered of a station's security.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityMemory {
    /// What the list of stations said of its password when it came last.
    base: Option<String>,
    /// What its password is verified against instead.
    rotated: Option<String>,
    /// What it may show besides: passwords that were written to it.
    candidates: Vec<String>,
    /// Since when it has a password that was made here.
    password_since: Option<Timestamp>,
    /// The profile by which it came last.
    profile: u8,
    /// The lowest by which it may come.
    minimum: u8,
    /// The profile that was written to it.
    aim: Option<u8>,
    /// The certificate with which it came last.
    certificate: Option<StationCertificate>,
    /// The last that were signed for it, in order.
    issued: Vec<StationCertificate>,
    /// Serial numbers that are good no more.
    superseded: BTreeSet<String>,
}

impl SecurityMemory {
    /// What its password is verified against, if not against what the list says.
    pub fn credential(&self) -> Option<&str> {
        self.rotated.as_deref()
    }

    /// What it may show besides.
    pub fn candidates(&self) -> &[String] {
        &self.candidates
    }

    /// The lowest profile by which it may come.
    pub fn minimum(&self) -> u8 {
        self.minimum
    }

    /// The serial numbers of its certificates that are good no more.
    pub fn superseded(&self) -> &BTreeSet<String> {
        &self.superseded
    }

    /// The certificate with which it came last.
    pub fn certificate(&self) -> Option<&StationCertificate> {
        self.certificate.as_ref()
    }

    /// Does the door know of it as before?
    pub(super) fn is_let_in_like(&self, other: &SecurityMemory) -> bool {
        let door = |it: &SecurityMemory| {
            (it.rotated.clone(), it.candidates.clone(), it.minimum, it.superseded.clone())
        };
        door(self) == door(other)
    }

    /// Did it come last over a line that anybody on the LAN can read?
    pub(super) fn was_readable(&self) -> bool {
        self.profile == 1
    }

    pub(super) fn tell(&self, station: &StationId, at: Timestamp) -> StationSecured {
        StationSecured {
            station: station.clone(),
            profile: self.profile,
            minimum: self.minimum,
            certificate: self.certificate.clone(),
            password_since: self.password_since,
            at,
        }
    }

    /// A password is about to be written to it.
    pub(super) fn try_password(&mut self, credential: String) {
        if self.candidates.len() == CANDIDATES {
            self.candidates.remove(0);
        }
        self.candidates.push(credential);
    }

    /// It said no to the last one.
    pub(super) fn drop_candidate(&mut self) {
        self.candidates.pop();
    }

    /// It came with a password: is it a new one? Then the old one is good no more.
    pub(super) fn came_with_password(&mut self, now: Timestamp, shown: &str) -> bool {
        if !self.candidates.iter().any(|candidate| candidate == shown) {
            return false;
        }
        self.candidates.clear();
        self.rotated = Some(shown.to_owned());
        self.password_since = Some(now);
        true
    }

    /// A certificate was signed for it.
    pub(super) fn was_issued(&mut self, certificate: StationCertificate) {
        if self.issued.len() == ISSUED {
            self.issued.remove(0);
        }
        self.issued.push(certificate);
    }

    /// Where the last of its certificates begins.
    pub(super) fn last_begin(&self) -> Option<Timestamp> {
        self.issued.iter().chain(&self.certificate).map(|it| it.not_before).max()
    }

    /// It did not want the last one.
    pub(super) fn drop_issued(&mut self) {
        self.superseded.extend(self.issued.pop().map(|issued| issued.serial));
    }

    /// It came with a certificate: those that were signed before are good no more.
    pub(super) fn came_with_certificate(&mut self, certificate: StationCertificate) {
        let newer = self.issued.iter().position(|issued| issued.serial == certificate.serial);
        if let Some(place) = newer {
            let older = self.issued.drain(..place).map(|issued| issued.serial);
            self.superseded.extend(older);
            let before = self.certificate.as_ref().filter(|before| before.serial != certificate.serial);
            self.superseded.extend(before.map(|before| before.serial.clone()));
            self.superseded.retain(|serial| *serial != certificate.serial);
        }
        self.certificate = Some(certificate);
    }

    /// A profile is about to be written to it.
    pub(super) fn aim_at(&mut self, profile: u8) {
        self.aim = Some(profile);
    }

    pub(super) fn gave_up_aim(&mut self) {
        self.aim = None;
    }

    /// It came by a profile: is it what was aimed at? Then it may come by no lower one (A05.FR.09).
    pub(super) fn came_by(&mut self, profile: u8, base: &str) -> bool {
        self.base = Some(base.to_owned());
        self.profile = profile;
        if self.aim.is_none_or(|aim| profile < aim) {
            return false;
        }
        self.aim = None;
        self.minimum = self.minimum.max(profile);
        true
    }

    /// The list of stations says this of its password.
    pub(super) fn listed(&mut self, base: Option<&String>) {
        if self.rotated.is_some() && self.rotated.as_ref() == base {
            self.rotated = None;
            self.base = base.cloned();
        } else if self.base.is_some() && self.base.as_ref() != base {
            *self = SecurityMemory { profile: self.profile, ..SecurityMemory::default() };
        }
    }
}
