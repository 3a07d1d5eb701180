//! The authorities that the station trusts (M03, M04, M05).

use shared::model::security::{CertificateHash, RootUse};
use shared::ocpp::v16::{Confirmation, Verdict};

use super::{Security, x509};
use crate::station::Core;
use crate::station::asked::plain;
use crate::tempo::Millis;

/// An authority's certificate, in PEM.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) what: RootUse,
    pub(super) pem: String,
}

impl Root {
    fn is(&self, hash: &CertificateHash) -> bool {
        x509::hash(&self.pem).is_some_and(|its| {
            its.algorithm == hash.algorithm
                && its.issuer_name.eq_ignore_ascii_case(&hash.issuer_name)
                && its.issuer_key.eq_ignore_ascii_case(&hash.issuer_key)
                && its.serial.eq_ignore_ascii_case(hash.serial.trim_start_matches('0'))
        })
    }
}

impl Security {
    pub(super) fn roots_for(&self, what: RootUse) -> Vec<&str> {
        self.roots.iter().filter(|root| root.what == what).map(|root| root.pem.as_str()).collect()
    }
}

impl Core {
    /// The certificates that the CSMS showed, its own first, in DER; none when the line is open.
    pub fn shown(&mut self, chain: &[Vec<u8>]) {
        let mut roots = self.security.roots_for(RootUse::CentralSystem).into_iter();
        let by = roots.find(|root| chain.iter().any(|shown| x509::is_by(shown, root)));
        self.security.known_by = by.and_then(x509::hash);
    }

    /// One that is none or has ended is refused (M05.FR.06), and one too many (M05.FR.03).
    pub(super) fn install_root(&mut self, now: Millis, what: RootUse, pem: &str) -> Verdict {
        let Some(hash) = x509::hash(pem).filter(|_| x509::is_root(pem, self.tempo.at(now))) else {
            return Verdict::Rejected;
        };
        if self.security.roots.iter().any(|root| root.what == what && root.is(&hash)) {
            return Verdict::Accepted;
        }
        let most = usize::try_from(self.keys.number("CertificateStoreMaxLength")).unwrap_or(usize::MAX);
        if self.security.roots.len() >= most {
            return Verdict::Rejected;
        }
        // Only what was looked at.
        self.security.roots.extend(x509::each(pem).next().map(|pem| Root { what, pem }));
        Verdict::Accepted
    }

    /// The one by which it knows its CSMS now is not deleted, nor the last one that it needs for that (M04.FR.06).
    pub(super) fn delete_root(&mut self, hash: &CertificateHash) -> Verdict {
        let Some(place) = self.security.roots.iter().position(|root| root.is(hash)) else {
            return Verdict::NotFound;
        };
        let root = &self.security.roots[place];
        let needed = root.what == RootUse::CentralSystem && self.security.access.profile > 1;
        let last = self.security.roots_for(root.what).len() == 1;
        if needed && (last || self.security.known_by.as_ref().is_some_and(|known| root.is(known))) {
            return Verdict::Failed;
        }
        self.security.roots.remove(place);
        Verdict::Accepted
    }

    pub(super) fn installed(&self, what: RootUse) -> Confirmation {
        let certificates = self.roots(what);
        let verdict = if certificates.is_empty() { Verdict::NotFound } else { Verdict::Accepted };
        Confirmation { certificates, ..plain(verdict) }
    }
}
