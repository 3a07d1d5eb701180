//! How the station gets at its CSMS and is known there (1.6 security whitepaper): its profile, password, certificate and the
//! authorities that it trusts, each in a room of its own, and what it reports.

mod access;
mod asked;
mod certificate;
mod reports;
mod roots;
mod x509;

use shared::model::security::{CertificateHash, RootUse};

pub use self::access::Access;
use self::reports::Reports;
use self::roots::Root;
use super::Core;
use crate::config::StationConfig;
use crate::tls::Tls;

/// How a station goes about its security.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityHabits {
    /// Reports that it started, every time (A04).
    pub reports_startup: bool,
    /// Asks for a new certificate by itself when its own ends within a month (A03).
    pub renews: bool,
    /// Says that it takes new settings, and does not.
    pub forgets: bool,
}

/// All that outlives a restart.
#[derive(Debug)]
pub(super) struct Security {
    pub(super) habits: SecurityHabits,
    access: Access,
    /// What it had before, as long as the new has not worked.
    before: Option<Access>,
    failures: u32,
    /// The address that was written, for the next connection.
    next_url: Option<String>,
    roots: Vec<Root>,
    /// The root by which it knows its CSMS now.
    known_by: Option<CertificateHash>,
    /// The key for which a certificate was asked.
    key: Option<x509::Key>,
    renewal_asked: bool,
    reports: Reports,
}

impl Security {
    pub(super) fn new(config: &StationConfig) -> Self {
        let authorities = config.tls.as_ref().map(Tls::authorities).unwrap_or_default();
        let root = |pem| Root { what: RootUse::CentralSystem, pem };
        Security {
            habits: config.security,
            access: Access::new(config),
            before: None,
            failures: 0,
            next_url: None,
            roots: x509::each(authorities).map(root).collect(),
            known_by: None,
            key: None,
            renewal_asked: false,
            reports: Reports::default(),
        }
    }

    pub(super) fn profile(&self) -> u8 {
        self.access.profile
    }
}

impl Core {
    /// How it gets at its CSMS now.
    pub fn access(&self) -> &Access {
        &self.security.access
    }

    /// The authorities that it trusts for a use.
    pub fn roots(&self, what: RootUse) -> Vec<CertificateHash> {
        self.security.roots_for(what).into_iter().filter_map(x509::hash).collect()
    }

    /// The reports that somebody has heard.
    pub fn reported(&self) -> &[&'static str] {
        self.security.reports.heard()
    }

    /// How it goes about its security from now on.
    pub fn set_security_habits(&mut self, habits: SecurityHabits) {
        self.security.habits = habits;
    }
}
