//! What the station does with certificates that it is given, and what it tells of those that it holds.

use shared::model::security::{CertificateHash, RootUse};
use shared::ocpp::v16::{Confirmation, ExtendedTrigger, SecurityCall, Topic, Trigger, Verdict};

use super::{Access, Root, x509};
use crate::station::Core;
use crate::station::asked::plain;
use crate::tempo::Millis;

impl Core {
    pub(in crate::station) fn asked_about_security(
        &mut self,
        now: Millis,
        call: &SecurityCall,
    ) -> Confirmation {
        match call {
            SecurityCall::CertificateSigned { chain } => plain(self.take_certificate(now, chain)),
            SecurityCall::InstallCertificate { root, certificate } => {
                plain(self.install_root(*root, certificate))
            }
            SecurityCall::DeleteCertificate(hash) => plain(self.delete_root(hash)),
            SecurityCall::GetInstalledCertificateIds { root } => self.installed(*root),
            SecurityCall::ExtendedTrigger { message, connector } => {
                plain(self.triggered_further(now, *message, *connector))
            }
        }
    }

    fn triggered_further(
        &mut self,
        now: Millis,
        message: ExtendedTrigger,
        connector: Option<u16>,
    ) -> Verdict {
        let known = match message {
            ExtendedTrigger::BootNotification => Trigger::BootNotification,
            ExtendedTrigger::Heartbeat => Trigger::Heartbeat,
            ExtendedTrigger::MeterValues => Trigger::MeterValues,
            ExtendedTrigger::StatusNotification => Trigger::StatusNotification,
            ExtendedTrigger::LogStatus => {
                self.tell_file_status(Topic::Log);
                return Verdict::Accepted;
            }
            ExtendedTrigger::FirmwareStatus => {
                self.tell_file_status(Topic::SignedFirmware);
                return Verdict::Accepted;
            }
            ExtendedTrigger::SignChargePointCertificate => {
                self.ask_for_certificate();
                return Verdict::Accepted;
            }
        };
        self.triggered(now, known, connector)
    }

    /// A certificate that is not for its key, or by nobody whom it trusts, is refused and reported (A02.FR.07). The newest
    /// one is used (A02.FR.09), from the next connection on.
    fn take_certificate(&mut self, now: Millis, chain: &str) -> Verdict {
        let roots = self.security.roots(RootUse::CentralSystem);
        let at = self.tempo.at(now);
        let Some(key) = self.security.key.clone().filter(|key| x509::is_ours(chain, key, &roots, at)) else {
            self.report(now, "InvalidChargePointCertificate", "not for this station's key".to_owned());
            return Verdict::Rejected;
        };
        let begins = |chain: &str| x509::validity(chain).map(|(from, _)| from);
        let newer = match &self.security.access.identity {
            Some((held, _)) => begins(chain) > begins(held),
            None => true,
        };
        (self.security.key, self.security.renewal_asked) = (None, false);
        if newer && !self.security.habits.forgets {
            let identity = Some((chain.to_owned(), key));
            let access = Access { identity, ..self.security.access.clone() };
            let before = std::mem::replace(&mut self.security.access, access);
            if before.profile == 3 {
                self.security.before.get_or_insert(before);
            }
        }
        Verdict::Accepted
    }

    fn install_root(&mut self, what: RootUse, pem: &str) -> Verdict {
        let Some(hash) = x509::hash(pem) else { return Verdict::Rejected };
        if self
            .security
            .roots
            .iter()
            .any(|root| root.what == what && x509::hash(&root.pem).as_ref() == Some(&hash))
        {
            return Verdict::Accepted;
        }
        let most = usize::try_from(self.keys.number("CertificateStoreMaxLength")).unwrap_or(usize::MAX);
        if self.security.roots.len() >= most {
            return Verdict::Rejected;
        }
        self.security.roots.push(Root { what, pem: pem.to_owned() });
        Verdict::Accepted
    }

    /// The one by which it knows its CSMS now is not deleted (M04.FR.06).
    fn delete_root(&mut self, hash: &CertificateHash) -> Verdict {
        let named = |root: &Root| x509::hash(&root.pem).is_some_and(|its| its == *hash);
        let Some(place) = self.security.roots.iter().position(named) else { return Verdict::NotFound };
        let what = self.security.roots[place].what;
        let last = self.security.roots(what).len() == 1;
        if what == RootUse::CentralSystem && self.security.access.profile > 1 && last {
            return Verdict::Failed;
        }
        self.security.roots.remove(place);
        Verdict::Accepted
    }

    fn installed(&self, what: RootUse) -> Confirmation {
        let certificates: Vec<CertificateHash> =
            self.security.roots(what).into_iter().filter_map(x509::hash).collect();
        let verdict = if certificates.is_empty() { Verdict::NotFound } else { Verdict::Accepted };
        Confirmation { certificates, ..plain(verdict) }
    }
}
