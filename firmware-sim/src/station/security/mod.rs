//! How the station gets at its CSMS and is known there (1.6 security whitepaper): its profile, password, certificate and the
//! authorities that it trusts. What is changed holds from the next connection on; when that does not come about, the station
//! falls back to what it had (A05.FR.08).

mod asked;
mod reports;
mod x509;

use std::collections::VecDeque;

use shared::model::security::RootUse;
use shared::ocpp::v16::Verdict;
use shared::units::Timestamp;

use super::{Core, Fact, Ticket};
use crate::config::StationConfig;
use crate::tempo::Millis;
use crate::tls::Tls;

/// Connections that fail with new settings before the old ones are taken again.
const TRIES: u32 = 3;
/// The least and the greatest length of a password (A00.FR.205).
const PASSWORD: std::ops::RangeInclusive<usize> = 16..=40;

/// How a station gets at its CSMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where it is, the identity not included.
    pub url: String,
    /// The security profile.
    pub profile: u8,
    /// The Basic password.
    pub password: Option<String>,
    /// The certificate that it shows at profile 3, with its key, in PEM.
    pub identity: Option<(String, String)>,
}

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

#[derive(Clone, Debug)]
struct Root {
    what: RootUse,
    pem: String,
}

/// What it reports, until somebody has heard it (A04.FR.02).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    kind: &'static str,
    info: String,
    at: Timestamp,
}

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
    /// The key for which a certificate was asked.
    key: Option<String>,
    reports: VecDeque<Report>,
    reporting: bool,
    told: Vec<&'static str>,
    renewal_asked: bool,
}

impl Security {
    pub(super) fn new(config: &StationConfig) -> Self {
        let identity = config.tls.as_ref().and_then(Tls::identity);
        let encrypted = config.url.starts_with("wss:");
        let profile = match &identity {
            Some(_) if encrypted => 3,
            _ if encrypted => 2,
            _ => 1,
        };
        let authorities = config.tls.as_ref().map(Tls::authorities).unwrap_or_default();
        let root = |pem: &str| Root { what: RootUse::CentralSystem, pem: pem.to_owned() };
        let access = Access { url: config.url.clone(), profile, password: config.password.clone(), identity };
        Security {
            habits: config.security,
            access,
            before: None,
            failures: 0,
            next_url: None,
            roots: (!authorities.is_empty()).then(|| root(authorities)).into_iter().collect(),
            key: None,
            reports: VecDeque::new(),
            reporting: false,
            told: Vec::new(),
            renewal_asked: false,
        }
    }

    pub(super) fn profile(&self) -> u8 {
        self.access.profile
    }

    fn roots(&self, what: RootUse) -> Vec<&str> {
        self.roots.iter().filter(|root| root.what == what).map(|root| root.pem.as_str()).collect()
    }
}

impl Access {
    /// The certificate's serial number.
    pub fn serial(&self) -> Option<String> {
        self.identity.as_ref().and_then(|(chain, _)| x509::serial(chain))
    }
}

impl Core {
    /// How it gets at its CSMS now.
    pub fn access(&self) -> &Access {
        &self.security.access
    }

    /// The reports that somebody has heard.
    pub fn reported(&self) -> &[&'static str] {
        &self.security.told
    }

    /// How it goes about its security from now on.
    pub fn set_security_habits(&mut self, habits: SecurityHabits) {
        self.security.habits = habits;
    }

    /// The configuration with which to dial.
    pub fn dial_with(&self, config: &StationConfig) -> StationConfig {
        let Access { url, password, identity, profile } = &self.security.access;
        let roots: String = self.security.roots(RootUse::CentralSystem).join("\n");
        let mut config = config.clone();
        let identity = identity.as_ref().filter(|_| *profile == 3);
        let identity = identity.map(|(chain, key)| (chain.as_str(), key.as_str()));
        (config.url, config.password) = (url.clone(), password.clone().filter(|_| *profile < 3));
        if !roots.is_empty() {
            // What it holds was checked when it came.
            config.tls = Tls::new(&roots, identity).ok();
        }
        config
    }

    /// The line is up: what was changed has worked.
    pub(super) fn access_worked(&mut self) {
        (self.security.before, self.security.failures) = (None, 0);
    }

    /// The line is down, or did not come up.
    pub(super) fn access_failed(&mut self, now: Millis, reason: &str) {
        self.security.reporting = false;
        if reason.contains("certificate") {
            self.report(now, "InvalidCentralSystemCertificate", reason.to_owned());
        }
        if self.security.before.is_none() {
            return;
        }
        self.security.failures += 1;
        if self.security.failures > TRIES
            && let Some(before) = self.security.before.take()
        {
            let new = std::mem::replace(&mut self.security.access, before).profile;
            let old = self.security.access.profile;
            self.keys.set("SecurityProfile", old.to_string());
            let info = format!("profile {new} did not come about: back to {old}");
            self.report(now, "ReconfigurationOfSecurityParameters", info);
        }
    }

    /// Takes other settings for the next connection, and goes for it.
    fn take_access(&mut self, now: Millis, access: Access, info: &str) {
        if self.security.habits.forgets {
            return;
        }
        self.security.next_url = None;
        let before = std::mem::replace(&mut self.security.access, access);
        self.security.before.get_or_insert(before);
        self.security.failures = 0;
        self.report(now, "ReconfigurationOfSecurityParameters", info.to_owned());
        self.out.restart = true;
    }

    /// A setting of security is written; `None` when it is none.
    pub(super) fn change_access(&mut self, now: Millis, key: &str, value: &str) -> Option<Verdict> {
        let key = key.trim();
        if key.eq_ignore_ascii_case("AuthorizationKey") {
            return Some(self.change_password(now, value));
        }
        if key.eq_ignore_ascii_case("SecurityProfile") {
            return Some(self.change_profile(now, value));
        }
        if key.eq_ignore_ascii_case("CentralSystemURL") {
            if !value.starts_with("ws://") && !value.starts_with("wss://") {
                return Some(Verdict::Rejected);
            }
            self.keys.set("CentralSystemURL", value.to_owned());
            self.security.next_url = Some(value.to_owned());
            return Some(Verdict::Accepted);
        }
        None
    }

    fn change_password(&mut self, now: Millis, password: &str) -> Verdict {
        if !PASSWORD.contains(&password.len()) {
            return Verdict::Rejected;
        }
        let password = Some(password.to_owned());
        self.take_access(now, Access { password, ..self.security.access.clone() }, "a new password");
        Verdict::Accepted
    }

    /// Only upwards, and only with all that it takes (A05.FR.01 to A05.FR.05).
    fn change_profile(&mut self, now: Millis, value: &str) -> Verdict {
        let Ok(profile) = value.trim().parse::<u8>() else { return Verdict::Rejected };
        let access = &self.security.access;
        let has_root = !self.security.roots(RootUse::CentralSystem).is_empty();
        let fits = profile > access.profile
            && profile <= 3
            && (profile == 3 || access.password.is_some())
            && (profile == 1 || has_root)
            && (profile < 3 || access.identity.is_some());
        if !fits {
            return Verdict::Rejected;
        }
        let url = self.security.next_url.clone().unwrap_or_else(|| {
            if profile > 1 { access.url.replacen("ws://", "wss://", 1) } else { access.url.clone() }
        });
        let access = Access { url, profile, ..access.clone() };
        self.keys.set("SecurityProfile", value.trim().to_owned());
        self.take_access(now, access, &format!("security profile {profile}"));
        Verdict::Accepted
    }

    /// Asks for a certificate for a new key (A02.FR.02, A02.FR.03).
    pub(super) fn ask_for_certificate(&mut self) {
        let organization = self.keys.get("CpoName").map(|(_, name, _)| name.to_owned()).unwrap_or_default();
        let serial = self.hardware.serial.clone().unwrap_or_else(|| self.identity.clone());
        if let Some((key, csr)) = x509::request(&serial, &organization) {
            self.security.key = Some(key);
            self.tell(Ticket::Plain("SignCertificate"), Fact::SignCertificate { csr });
        }
    }

    /// Its certificate ends within a month: it asks for the next one, once (A03.FR.02).
    pub(super) fn renew_certificate(&mut self, now: Millis) {
        const MONTH_MS: i64 = 30 * 86_400_000;
        if !self.security.habits.renews
            || self.security.renewal_asked
            || !self.connected
            || !self.is_accepted()
        {
            return;
        }
        let ends = self.security.access.identity.as_ref().and_then(|(chain, _)| x509::validity(chain));
        let at = self.tempo.at(now);
        if ends.is_some_and(|(_, ends)| ends <= at.plus_millis(MONTH_MS)) {
            self.security.renewal_asked = true;
            self.ask_for_certificate();
        }
    }
}
