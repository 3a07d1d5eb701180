//! What the station is told to get at its CSMS with (A01, A05). It holds from the next connection on; when that does not come
//! about, the station falls back to what it had (A05.FR.08).

use std::fmt;

use shared::model::security::{HIGHEST_PROFILE, RootUse};
use shared::ocpp::v16::Verdict;

use super::x509;
use crate::config::StationConfig;
use crate::station::Core;
use crate::tempo::Millis;
use crate::tls::Tls;

/// Connections that fail with new settings before the old ones are taken again. One more has ended by then: the one with the
/// old settings.
const TRIES: u32 = 3;
/// The least and the greatest length of a password (A00.FR.205).
const PASSWORD: std::ops::RangeInclusive<usize> = 16..=40;

/// How a station gets at its CSMS.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// Where it is, the identity not included.
    pub url: String,
    /// The security profile; 0 when it has none yet.
    pub profile: u8,
    /// The Basic password.
    pub password: Option<String>,
    /// How many passwords it was given since it came out of its box.
    pub password_generation: u32,
    /// The certificate that it shows at profile 3, with its key, in PEM.
    pub identity: Option<(String, String)>,
}

impl Access {
    pub(super) fn new(config: &StationConfig) -> Self {
        let identity = config.tls.as_ref().and_then(Tls::identity);
        let encrypted = config.url.starts_with("wss:");
        let profile = match (encrypted, &identity, &config.password) {
            (true, Some(_), _) => 3,
            (true, None, _) => 2,
            (false, _, Some(_)) => 1,
            (false, _, None) => 0,
        };
        Access {
            url: config.url.clone(),
            profile: config.security_profile.unwrap_or(profile),
            password: config.password.clone(),
            password_generation: 0,
            identity,
        }
    }

    /// The certificate's serial number.
    pub fn serial(&self) -> Option<String> {
        self.identity.as_ref().and_then(|(chain, _)| x509::serial(chain))
    }
}

/// Without the password and the key.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("url", &self.url)
            .field("profile", &self.profile)
            .field("password_generation", &self.password_generation)
            .field("certificate", &self.serial())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// The configuration with which to dial.
    pub fn dial_with(&self, config: &StationConfig) -> StationConfig {
        let Access { url, password, identity, profile, .. } = &self.security.access;
        let roots = self.security.roots_for(RootUse::CentralSystem).concat();
        let identity = identity.as_ref().filter(|_| *profile == HIGHEST_PROFILE);
        let mut config = config.clone();
        let same = |tls: &Tls| tls.authorities() == roots && tls.identity().as_ref() == identity;
        if !roots.is_empty() && !config.tls.as_ref().is_some_and(same) {
            // What it holds was checked when it came.
            let identity = identity.map(|(chain, key)| (chain.as_str(), key.as_str()));
            config.tls = Tls::new(&roots, identity).ok();
        }
        config.url.clone_from(url);
        config.password = password.clone().filter(|_| *profile < HIGHEST_PROFILE);
        config
    }

    /// The line is up: what was changed has worked.
    pub(in crate::station) fn access_worked(&mut self) {
        (self.security.before, self.security.failures) = (None, 0);
    }

    /// The line is down, or did not come up.
    pub(in crate::station) fn access_failed(&mut self, now: Millis) {
        self.security.reports.interrupted();
        if let Some(url) = self.security.next_url.take() {
            let access = Access { url, ..self.security.access.clone() };
            let before = std::mem::replace(&mut self.security.access, access);
            self.security.before.get_or_insert(before);
            self.security.failures = 1;
            return;
        }
        if self.security.before.is_none() {
            return;
        }
        self.security.failures += 1;
        if self.security.failures > TRIES
            && let Some(before) = self.security.before.take()
        {
            self.fall_back(now, before);
        }
    }

    fn fall_back(&mut self, now: Millis, before: Access) {
        let tried = std::mem::replace(&mut self.security.access, before);
        let Access { url, profile, .. } = self.security.access.clone();
        self.keys.set("CentralSystemURL", url);
        self.keys.set("SecurityProfile", profile.to_string());
        let info = if tried.profile == profile {
            "the new settings did not come about: back to those before".to_owned()
        } else {
            format!("profile {} did not come about: back to {profile}", tried.profile)
        };
        self.report(now, "ReconfigurationOfSecurityParameters", info);
    }

    /// Takes other settings for the next connection, with the address that was written meanwhile, and goes for it.
    fn take_access(&mut self, now: Millis, mut access: Access, info: &str) {
        if self.security.habits.forgets {
            return;
        }
        if let Some(url) = self.security.next_url.take() {
            access.url = url;
        }
        if access.profile > 1 {
            access.url = access.url.replacen("ws://", "wss://", 1);
        }
        self.keys.set("SecurityProfile", access.profile.to_string());
        let before = std::mem::replace(&mut self.security.access, access);
        self.security.before.get_or_insert(before);
        self.security.failures = 0;
        self.report(now, "ReconfigurationOfSecurityParameters", info.to_owned());
        self.out.restart = true;
    }

    /// A setting of security is written; `None` when it is none.
    pub(in crate::station) fn change_access(
        &mut self,
        now: Millis,
        key: &str,
        value: &str,
    ) -> Option<Verdict> {
        let is = |name: &str| key.trim().eq_ignore_ascii_case(name);
        if is("AuthorizationKey") {
            Some(self.change_password(now, value))
        } else if is("SecurityProfile") {
            Some(self.change_profile(now, value))
        } else if is("CentralSystemURL") {
            Some(self.change_url(value))
        } else {
            None
        }
    }

    /// Never to an open line where there was an encrypted one.
    fn change_url(&mut self, url: &str) -> Verdict {
        let open = url.starts_with("ws://") && self.security.access.profile < 2;
        if !open && !url.starts_with("wss://") {
            return Verdict::Rejected;
        }
        self.keys.set("CentralSystemURL", url.to_owned());
        self.security.next_url = Some(url.to_owned());
        Verdict::Accepted
    }

    fn change_password(&mut self, now: Millis, password: &str) -> Verdict {
        if !fits(password) {
            return Verdict::Rejected;
        }
        let access = self.security.access.clone();
        let password_generation = access.password_generation + 1;
        let access = Access { password: Some(password.to_owned()), password_generation, ..access };
        self.take_access(now, access, "a new password");
        Verdict::Accepted
    }

    /// Only upwards, and only with all that it takes (A05.FR.01 to A05.FR.05).
    fn change_profile(&mut self, now: Millis, value: &str) -> Verdict {
        let Ok(profile) = value.trim().parse::<u8>() else { return Verdict::Rejected };
        let access = &self.security.access;
        let has_password = access.password.as_deref().is_some_and(fits);
        let at = self.tempo.at(now);
        let roots = self.security.roots_for(RootUse::CentralSystem);
        let has_root = roots.into_iter().any(|root| x509::is_root(root, at));
        let has_certificate = access.identity.as_ref().is_some_and(|(chain, _)| x509::lasts_at(chain, at));
        let prepared = match profile {
            1 => has_password,
            2 => has_password && has_root,
            HIGHEST_PROFILE => has_root && has_certificate,
            _ => false,
        };
        if profile <= access.profile || !prepared {
            return Verdict::Rejected;
        }
        let access = Access { profile, ..access.clone() };
        self.take_access(now, access, &format!("security profile {profile}"));
        Verdict::Accepted
    }
}

fn fits(password: &str) -> bool {
    PASSWORD.contains(&password.chars().count()) && !password.chars().any(char::is_control)
}
