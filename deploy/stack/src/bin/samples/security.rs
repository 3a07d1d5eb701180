//! Random requests about certificates, and what stations tell of their security.

use firmware_sim::station::Fact;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use shared::model::security::RootUse;
use shared::ocpp::v16::{ExtendedTrigger, SecurityCall};

use super::values::{certificate_hash, instant, text};

/// Each kind of request.
pub(crate) fn calls() -> Vec<BoxedStrategy<SecurityCall>> {
    let root = || select(vec![RootUse::CentralSystem, RootUse::Manufacturer]);
    vec![
        text(10_000).prop_map(|chain| SecurityCall::CertificateSigned { chain }).boxed(),
        (root(), text(5500))
            .prop_map(|(root, certificate)| SecurityCall::InstallCertificate { root, certificate })
            .boxed(),
        certificate_hash().prop_map(SecurityCall::DeleteCertificate).boxed(),
        root().prop_map(|root| SecurityCall::GetInstalledCertificateIds { root }).boxed(),
        (select(ExtendedTrigger::ALL), option::of(any::<u16>()))
            .prop_map(|(message, connector)| SecurityCall::ExtendedTrigger { message, connector })
            .boxed(),
    ]
}

/// What a station tells.
pub(crate) fn facts() -> Vec<BoxedStrategy<Fact>> {
    let kinds = vec!["StartupOfTheDevice", "InvalidFirmwareSignature", "ReconfigurationOfSecurityParameters"];
    vec![
        (select(kinds), text(255), instant())
            .prop_map(|(kind, info, at)| Fact::SecurityEvent { kind, info, at })
            .boxed(),
        text(5500).prop_map(|csr| Fact::SignCertificate { csr }).boxed(),
    ]
}
