//! The station's own certificate: asked for with a new key, checked when it comes, and asked for again before it ends (A02, A03).

use shared::model::security::{HIGHEST_PROFILE, RootUse};
use shared::ocpp::v16::Verdict;
use shared::units::Timestamp;

use super::{Access, x509};
use crate::station::{Core, Fact, Ticket};
use crate::tempo::Millis;

/// So long before its certificate ends does a station ask for the next one (A03.FR.02).
const MONTH_MS: i64 = 30 * 86_400_000;

impl Core {
    /// Asks for a certificate for a new key (A02.FR.02, A02.FR.03).
    pub(super) fn ask_for_certificate(&mut self) {
        let organization = self.keys.get("CpoName").map(|(_, name, _)| name.to_owned()).unwrap_or_default();
        let serial = self.hardware.serial.clone().unwrap_or_else(|| self.identity.clone());
        if let Some((key, csr)) = x509::request(&serial, &organization) {
            self.security.key = Some(key);
            self.tell(Ticket::Plain("SignCertificate"), Fact::SignCertificate { csr });
        }
    }

    /// Its certificate ends within a month: it asks for the next one, once for every start.
    pub(in crate::station) fn renew_certificate(&mut self, now: Millis) {
        let security = &self.security;
        if !security.habits.renews || security.renewal_asked || !self.connected || !self.is_accepted() {
            return;
        }
        let at = self.tempo.at(now);
        if security.access.identity.as_ref().is_some_and(|(chain, _)| ends_soon(chain, at)) {
            self.security.renewal_asked = true;
            self.ask_for_certificate();
        }
    }

    /// It started: whoever did not answer is asked for a certificate again.
    pub(in crate::station) fn may_renew_again(&mut self) {
        self.security.renewal_asked = false;
    }

    /// One that is not for its key, or by nobody whom it trusts, is refused and reported (A02.FR.07). The newest is used
    /// (A02.FR.09), from the next connection on; the one before is kept until that has come about.
    pub(super) fn take_certificate(&mut self, now: Millis, chain: &str) -> Verdict {
        let at = self.tempo.at(now);
        let (key, newer) = match self.checked_certificate(at, chain) {
            Ok(checked) => checked,
            Err(reason) => {
                self.report(now, "InvalidChargePointCertificate", reason.to_owned());
                return Verdict::Rejected;
            }
        };
        self.security.key = None;
        // One that is as short-lived as the last is no reason to ask at once for another.
        self.security.renewal_asked = ends_soon(chain, at);
        if newer && !self.security.habits.forgets {
            let identity = Some((chain.to_owned(), key.0));
            let access = Access { identity, ..self.security.access.clone() };
            let before = std::mem::replace(&mut self.security.access, access);
            if before.profile == HIGHEST_PROFILE {
                self.security.before.get_or_insert(before);
            }
        }
        Verdict::Accepted
    }

    /// The key that a certificate is for, and whether it is the newest; or what is wrong with it (A02.FR.06).
    fn checked_certificate(&self, at: Timestamp, chain: &str) -> Result<(x509::Key, bool), &'static str> {
        let most = usize::try_from(self.keys.number("CertificateSignedMaxChainSize")).unwrap_or(usize::MAX);
        if chain.len() > most {
            return Err("longer than CertificateSignedMaxChainSize");
        }
        let key = self.security.key.clone().ok_or("none was asked for")?;
        let names = [Some(self.identity.as_str()), self.hardware.serial.as_deref()];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        x509::check(chain, &key, &names, &self.security.roots_for(RootUse::CentralSystem), at)?;
        let begins = |chain: &str| x509::validity(chain).map(|(from, _)| from);
        let held = self.security.access.identity.as_ref();
        Ok((key, held.is_none_or(|(held, _)| begins(chain) >= begins(held))))
    }
}

fn ends_soon(chain: &str, at: Timestamp) -> bool {
    x509::validity(chain).is_some_and(|(_, ends)| ends <= at.plus_millis(MONTH_MS))
}
