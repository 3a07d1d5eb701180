//! M03, M04 and M05: the authorities that a station trusts.

use shared::model::security::{CertificateHash, HashAlgorithm, RootUse};
use shared::ocpp::v16::{SecurityCall, Verdict};

use super::bench::Bench;
use crate::authority::Authority;

/// Made by openssl, whose `ocsp -sha256 -req_text` names it so.
const KNOWN: &str = include_str!("known.pem");
const KNOWN_NAME: &str = "F94BFC8D482025E81FD638A74F351387BF7971BB19868A10F768A24DEB3DB119";
const KNOWN_KEY: &str = "341F9132FDA0377E6259227D5451F09A6BA32231E80356FDB0DC179F8699E088";

impl Bench {
    fn delete(&mut self, hash: &CertificateHash) -> Verdict {
        self.asked(SecurityCall::DeleteCertificate(hash.clone())).verdict.unwrap()
    }

    fn held(&self) -> Vec<CertificateHash> {
        self.core.roots(RootUse::CentralSystem)
    }
}

#[test]
fn a_root_is_named_as_ocsp_names_it() {
    let mut bench = Bench::ready();
    let none = bench.asked(SecurityCall::GetInstalledCertificateIds { root: RootUse::CentralSystem });
    assert_eq!((none.verdict, none.certificates), (Some(Verdict::NotFound), vec![]), "M03.FR.02");
    assert_eq!(bench.install(KNOWN), Verdict::Accepted);
    let told = bench.asked(SecurityCall::GetInstalledCertificateIds { root: RootUse::CentralSystem });
    let hash = CertificateHash {
        algorithm: HashAlgorithm::Sha256,
        issuer_name: KNOWN_NAME.to_lowercase(),
        issuer_key: KNOWN_KEY.to_lowercase(),
        serial: "fff".into(),
    };
    assert_eq!((told.verdict, told.certificates), (Some(Verdict::Accepted), vec![hash.clone()]));
    let makers = bench.asked(SecurityCall::GetInstalledCertificateIds { root: RootUse::Manufacturer });
    assert_eq!(makers.verdict, Some(Verdict::NotFound));
    let shouted = CertificateHash { serial: "0FFF".into(), issuer_name: KNOWN_NAME.into(), ..hash };
    assert_eq!(bench.delete(&shouted), Verdict::Accepted);
}

#[test]
fn what_is_no_root_is_refused() {
    let mut bench = Bench::ready();
    let site = Authority::new("site");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (leaf, key) = site.issue("S1");
    let (below, ended) = (site.below("below"), Authority::until("ended", 2025));
    for bad in ["", "root", garbage, &leaf, &key, &below.pem, &ended.pem] {
        assert_eq!(bench.install(bad), Verdict::Rejected, "M05.FR.06: {bad}");
    }
    assert_eq!(bench.held(), []);
}

#[test]
fn a_full_store_takes_no_more_and_the_same_one_again() {
    let mut bench = Bench::ready();
    let roots: Vec<Authority> = ["1", "2", "3", "4", "5"].map(Authority::new).into();
    for root in &roots[..4] {
        assert_eq!(bench.install(&root.pem), Verdict::Accepted);
    }
    assert_eq!(bench.install(&roots[4].pem), Verdict::Rejected, "M05.FR.03");
    assert_eq!(bench.install(&roots[0].pem), Verdict::Accepted);
    assert_eq!(bench.held().len(), 4);
    let first = bench.held()[0].clone();
    assert_eq!(bench.delete(&first), Verdict::Accepted);
    assert_eq!(bench.delete(&first), Verdict::NotFound, "M04.FR.04");
    assert_eq!(bench.install(&roots[4].pem), Verdict::Accepted);
}

#[test]
fn roots_outlive_a_power_cut() {
    let mut bench = Bench::ready();
    bench.install(&Authority::new("site").pem);
    bench.core.cut_power(bench.now);
    bench.go();
    bench.core.restore_power(bench.now);
    bench.come();
    assert_eq!(bench.held().len(), 1);
}

#[test]
fn the_root_by_which_it_knows_its_csms_is_kept() {
    let mut bench = Bench::ready();
    let (site, other) = (Authority::new("site"), Authority::new("other"));
    bench.install(&other.pem);
    bench.install(&site.pem);
    let [others, sites] = &bench.held()[..] else { panic!() };
    bench.change("SecurityProfile", "2");
    bench.go();
    let server = pem_to_der(&site.issue("box").0);
    bench.core.shown(&[server]);
    bench.come();
    assert_eq!(bench.delete(sites), Verdict::Failed, "M04.FR.06");
    assert_eq!(bench.delete(others), Verdict::Accepted);
    assert_eq!(bench.delete(sites), Verdict::Failed);
    assert_eq!(bench.held().len(), 1);
}

#[test]
fn over_an_open_line_no_root_is_in_use() {
    let mut bench = Bench::ready();
    bench.install(&Authority::new("site").pem);
    let hash = bench.held()[0].clone();
    assert_eq!(bench.delete(&hash), Verdict::Accepted);
    assert_eq!(bench.change("SecurityProfile", "2"), Verdict::Rejected);
}

fn pem_to_der(pem: &str) -> Vec<u8> {
    x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1.contents
}
