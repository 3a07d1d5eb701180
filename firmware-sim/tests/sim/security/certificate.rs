//! A02 and A03: the station's own certificate.

use firmware_sim::StationConfig;
use firmware_sim::station::Fact;
use firmware_sim::station::security::SecurityHabits;
use shared::ocpp::v16::{ExtendedTrigger, SecurityCall, Verdict};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::bench::{Bench, PASSWORD};
use crate::authority::{Authority, Wanted};

const GOOD: Wanted<'_> = Wanted { name: "S1", from: 2021, to: 2050 };

impl Bench {
    /// Its request for a certificate, which it was asked to send.
    fn request(&mut self) -> String {
        let message = ExtendedTrigger::SignChargePointCertificate;
        let told = self.asked(SecurityCall::ExtendedTrigger { message, connector: None });
        assert_eq!(told.verdict, Some(Verdict::Accepted));
        self.requests().pop().unwrap()
    }

    fn requests(&mut self) -> Vec<String> {
        let csr = |fact| if let Fact::SignCertificate { csr } = fact { Some(csr) } else { None };
        self.facts().into_iter().filter_map(csr).collect()
    }

    fn give(&mut self, chain: &str) -> Verdict {
        self.asked(SecurityCall::CertificateSigned { chain: chain.into() }).verdict.unwrap()
    }

    fn refuses(&mut self, chain: &str, why: &str) {
        assert_eq!(self.give(chain), Verdict::Rejected, "{why}");
        assert_eq!(self.reports(), [("InvalidChargePointCertificate", why.to_owned())], "A02.FR.07");
    }
}

fn trusting(site: &Authority) -> Bench {
    let mut bench = Bench::ready();
    assert_eq!(bench.install(&site.pem), Verdict::Accepted);
    bench
}

/// A station at profile 3 whose certificate ends with a year.
fn known(site: &Authority, habits: SecurityHabits, to: i32) -> Bench {
    let mut bench = trusting(site);
    let csr = bench.request();
    assert_eq!(bench.give(&site.sign(&csr, &Wanted { to, ..GOOD })), Verdict::Accepted);
    assert_eq!(bench.change("SecurityProfile", "3"), Verdict::Accepted);
    bench.go();
    bench.come();
    bench.reports();
    bench.core.set_security_habits(habits);
    bench
}

/// Common name, organization and key of a request; its signature fits.
fn read(csr: &str) -> (String, String, Vec<u8>) {
    let pem = x509_parser::pem::parse_x509_pem(csr.as_bytes()).unwrap().1;
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).unwrap();
    request.verify_signature().unwrap();
    let info = &request.certification_request_info;
    let common = info.subject.iter_common_name().next().unwrap().as_str().unwrap();
    let organization = info.subject.iter_organization().next().unwrap().as_str().unwrap();
    (common.to_owned(), organization.to_owned(), info.subject_pki.subject_public_key.data.to_vec())
}

#[test]
fn a_request_has_a_new_key_the_stations_name_and_the_operators() {
    let mut bench = Bench::ready();
    bench.change("CpoName", "My site");
    let (common, organization, key) = read(&bench.request());
    assert_eq!((common.as_str(), organization.as_str()), ("S1", "My site"), "A02.FR.13");
    assert_eq!(key.len(), 65, "a point of P-256");
    assert_ne!(read(&bench.request()).2, key, "A02.FR.02");

    let mut config = StationConfig::new("ws://box", "S1").with_password(PASSWORD);
    config.hardware.serial = Some("SN-1".into());
    assert_eq!(read(&Bench::with(config).request()).0, "SN-1");
}

#[test]
fn a_certificate_that_is_not_its_own_or_not_good_is_refused_and_reported() {
    let site = Authority::new("site");
    let mut bench = trusting(&site);
    let (strange, _) = site.issue("S1");
    bench.refuses(&strange, "none was asked for");
    let before = bench.request();
    let csr = bench.request();
    bench.refuses("nothing", "no PEM");
    bench.refuses(&strange, "not for this station's key");
    bench.refuses(&site.sign(&before, &GOOD), "not for this station's key");
    bench.refuses(&site.sign(&csr, &Wanted { name: "S2", ..GOOD }), "not for this station's name");
    bench.refuses(&site.sign(&csr, &Wanted { to: 2025, ..GOOD }), "not good at this time");
    bench.refuses(&site.sign(&csr, &Wanted { from: 2030, ..GOOD }), "not good at this time");
    let stranger = Authority::new("site");
    bench.refuses(&stranger.sign(&csr, &GOOD), "by nobody whom this station trusts");
    let long = format!("{}{}", site.sign(&csr, &GOOD), " ".repeat(10_000));
    bench.refuses(&long, "longer than CertificateSignedMaxChainSize");
    assert_eq!(bench.core.access().serial(), None);
    assert_eq!(bench.give(&site.sign(&csr, &GOOD)), Verdict::Accepted, "the key still waits for its own");
    assert!(bench.core.access().serial().is_some());
    assert_eq!(bench.reports(), []);
}

#[test]
fn a_chain_over_another_authority_is_followed_to_the_root() {
    let site = Authority::new("site");
    let mut bench = trusting(&site);
    let below = site.below("below");
    let csr = bench.request();
    let leaf = below.sign(&csr, &GOOD);
    bench.refuses(&leaf, "by nobody whom this station trusts");
    let no_authority = format!("{leaf}{}", site.issue("below").0);
    bench.refuses(&no_authority, "by nobody whom this station trusts");
    assert_eq!(bench.give(&format!("{leaf}{}", below.pem)), Verdict::Accepted);
}

#[test]
fn the_one_that_begins_last_is_used() {
    let site = Authority::new("site");
    let mut bench = trusting(&site);
    let mut serials = Vec::new();
    for from in [2022, 2021, 2022, 2023] {
        let csr = bench.request();
        assert_eq!(bench.give(&site.sign(&csr, &Wanted { from, ..GOOD })), Verdict::Accepted);
        serials.push(bench.core.access().serial().unwrap());
    }
    assert_eq!(serials[0], serials[1], "A02.FR.09");
    assert!(serials[1] != serials[2] && serials[2] != serials[3]);
}

#[test]
fn the_one_before_is_the_way_back() {
    let site = Authority::new("site");
    let mut bench = known(&site, SecurityHabits::default(), 2050);
    let first = bench.core.access().serial();
    let csr = bench.request();
    assert_eq!(bench.give(&site.sign(&csr, &Wanted { from: 2022, ..GOOD })), Verdict::Accepted);
    assert_ne!(bench.core.access().serial(), first);
    for _ in 0..4 {
        bench.go();
    }
    assert_eq!(bench.core.access().serial(), first, "A02.FR.10");
    assert_eq!(bench.core.access().profile, 3);
    bench.come();
    assert_eq!(bench.reports().len(), 1);
}

#[test]
fn the_next_one_is_asked_for_a_month_before_the_end_and_once() {
    let site = Authority::new("site");
    let renews = SecurityHabits { renews: true, ..SecurityHabits::default() };
    let mut early = known(&site, renews, 2027);
    early.core.tick(early.now);
    assert_eq!(early.requests().len(), 0, "three months are left");
    // To the 5th of December 2026.
    early.now += 75 * 86_400_000;
    early.core.tick(early.now);
    let csr = early.requests().pop().unwrap();
    early.core.tick(early.now);
    assert_eq!(early.requests().len(), 0, "once");
    let short = Wanted { from: 2022, to: 2027, ..GOOD };
    assert_eq!(early.give(&site.sign(&csr, &short)), Verdict::Accepted);
    early.core.tick(early.now);
    assert_eq!(early.requests().len(), 0, "one that ends as soon is no reason to ask at once");

    let mut never = known(&site, SecurityHabits::default(), 2027);
    never.now += 75 * 86_400_000;
    never.core.tick(never.now);
    assert_eq!(never.requests().len(), 0);
}

#[test]
fn who_did_not_answer_is_asked_again_after_the_next_start() {
    let site = Authority::new("site");
    let renews = SecurityHabits { renews: true, ..SecurityHabits::default() };
    let mut bench = known(&site, renews, 2027);
    bench.now += 75 * 86_400_000;
    bench.core.tick(bench.now);
    assert_eq!(bench.requests().len(), 1);
    bench.core.cut_power(bench.now);
    bench.go();
    bench.core.restore_power(bench.now);
    bench.come();
    assert_eq!(bench.requests().len(), 1);
}
