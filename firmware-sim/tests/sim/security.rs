//! How a careful station takes what it is given: passwords, certificates, authorities and profiles.

mod access;
mod bench;
mod certificate;
mod reports;
mod roots;

use firmware_sim::station::{Core, Fact, Outcome, Ticket, Told};
use firmware_sim::tempo::Tempo;
use firmware_sim::{Registration, StationConfig};
use rcgen::{CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, KeyPair, date_time_ymd};
use shared::model::security::RootUse;
use shared::ocpp::v16::{Confirmation, CsmsCall, ExtendedTrigger, SecurityCall, Verdict};
use shared::units::Timestamp;

/// 2026-11-01.
const BEGAN: Timestamp = Timestamp(1_793_491_200_000);

struct Station {
    core: Core,
    now: u64,
}

impl Station {
    fn new() -> Self {
        let config = StationConfig::new("ws://gateway:9000/ocpp", "S1").with_password("0123456789abcdef");
        let tempo = Tempo { scale: 1, origin: BEGAN, since: 0 };
        let mut station = Station { core: Core::new(&config, tempo, 100), now: 1000 };
        station.comes();
        station
    }

    /// It is connected and accepted.
    fn comes(&mut self) {
        self.core.connected(self.now);
        let told = Told::Boot { registration: Registration::Accepted, interval: 300 };
        self.core.answered(self.now, Ticket::Boot, Outcome::Told(told));
        self.core.take();
    }

    fn asked(&mut self, call: SecurityCall) -> Confirmation {
        self.core.asked(self.now, &CsmsCall::Security(call))
    }

    fn verdict(&mut self, call: SecurityCall) -> Verdict {
        self.asked(call).verdict.unwrap()
    }

    fn write(&mut self, key: &str, value: &str) -> Verdict {
        let call = CsmsCall::ChangeConfiguration { key: key.into(), value: value.into() };
        self.core.asked(self.now, &call).verdict.unwrap()
    }

    /// The request that it sends when it is asked to make a key.
    fn request(&mut self) -> String {
        let message = ExtendedTrigger::SignChargePointCertificate;
        assert_eq!(
            self.verdict(SecurityCall::ExtendedTrigger { message, connector: None }),
            Verdict::Accepted
        );
        let sends = self.core.take().sends.into_iter();
        let mut request = sends.filter_map(|(_, fact)| match fact {
            Fact::SignCertificate { csr } => Some(csr),
            _ => None,
        });
        request.next_back().unwrap()
    }

    fn fails_to_connect(&mut self, times: u32) {
        for _ in 0..times {
            self.now += 1000;
            self.core.disconnected(self.now, "nobody there".into());
        }
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn signed(by: &CertifiedIssuer<'static, KeyPair>, csr: &str, year: i32) -> String {
    let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
    request.params.not_before = date_time_ymd(year, 1, 1);
    request.params.not_after = date_time_ymd(2030, 1, 1);
    request.signed_by(by).unwrap().pem()
}

fn install(by: &CertifiedIssuer<'static, KeyPair>) -> SecurityCall {
    SecurityCall::InstallCertificate { root: RootUse::CentralSystem, certificate: by.pem() }
}

#[test]
fn a_password_holds_from_the_next_connection_on_and_is_taken_back_when_that_fails() {
    let mut station = Station::new();
    assert_eq!(station.write("AuthorizationKey", "short"), Verdict::Rejected);
    assert_eq!(station.write("AuthorizationKey", "FEDCBA9876543210"), Verdict::Accepted);
    assert!(station.core.take().restart, "it goes, and comes with it");
    assert_eq!(station.core.access().password.as_deref(), Some("FEDCBA9876543210"));
    let told = station.core.asked(station.now, &CsmsCall::GetConfiguration { keys: vec![] });
    assert!(told.configuration.iter().all(|it| it.key != "AuthorizationKey"), "it is write-only");

    station.fails_to_connect(4);
    assert_eq!(station.core.access().password.as_deref(), Some("0123456789abcdef"));
}

#[test]
fn a_profile_needs_what_it_needs_and_never_falls_by_order() {
    let mut station = Station::new();
    let site = authority("site");
    assert_eq!(station.write("SecurityProfile", "1"), Verdict::Rejected, "A05.FR.01");
    assert_eq!(station.write("SecurityProfile", "2"), Verdict::Rejected, "no root: A05.FR.03");
    assert_eq!(station.verdict(install(&site)), Verdict::Accepted);
    assert_eq!(station.write("SecurityProfile", "3"), Verdict::Rejected, "no certificate: A05.FR.04");
    assert_eq!(station.write("CentralSystemURL", "wss://gateway:9443/ocpp"), Verdict::Accepted);
    assert_eq!(station.core.access().url, "ws://gateway:9000/ocpp", "not before it is needed");
    assert_eq!(station.write("SecurityProfile", "2"), Verdict::Accepted);
    let access = station.core.access();
    assert_eq!((access.profile, access.url.as_str()), (2, "wss://gateway:9443/ocpp"));
    station.core.disconnected(station.now, "as told".into());
    station.comes();
    assert_eq!(station.write("SecurityProfile", "1"), Verdict::Rejected);

    station.fails_to_connect(10);
    assert_eq!(station.core.access().profile, 2, "what has worked once is not taken back");
}

#[test]
fn only_a_certificate_for_its_own_key_by_an_authority_that_it_trusts_is_taken() {
    let mut station = Station::new();
    let (site, stranger) = (authority("site"), authority("stranger"));
    station.verdict(install(&site));
    let csr = station.request();
    let give = |chain: String| SecurityCall::CertificateSigned { chain };
    assert_eq!(station.verdict(give(signed(&stranger, &csr, 2025))), Verdict::Rejected);
    let others = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
    assert_eq!(station.verdict(give(signed(&site, &others.pem().unwrap(), 2025))), Verdict::Rejected);
    assert_eq!(station.verdict(give(signed(&site, &csr, 2027))), Verdict::Rejected, "it is not good yet");
    station.core.tick(station.now);
    let reports = station.core.take().sends;
    let invalid = |(_, fact): &(Ticket, Fact)| matches!(fact, Fact::SecurityEvent { kind, .. } if *kind == "InvalidChargePointCertificate");
    assert!(reports.iter().any(invalid), "A02.FR.07");

    assert_eq!(station.verdict(give(signed(&site, &csr, 2025))), Verdict::Accepted);
    let first = station.core.access().serial();
    let csr = station.request();
    assert_eq!(station.verdict(give(signed(&site, &csr, 2024))), Verdict::Accepted);
    assert_eq!(station.core.access().serial(), first, "the one that begins last is used: A02.FR.09");
    let csr = station.request();
    station.verdict(give(signed(&site, &csr, 2026)));
    assert_ne!(station.core.access().serial(), first);
}

#[test]
fn authorities_are_named_listed_and_deleted_but_for_the_one_in_use() {
    let mut station = Station::new();
    let list = || SecurityCall::GetInstalledCertificateIds { root: RootUse::CentralSystem };
    assert_eq!(station.verdict(list()), Verdict::NotFound);
    let site = authority("site");
    let nonsense =
        SecurityCall::InstallCertificate { root: RootUse::CentralSystem, certificate: "PEM".into() };
    assert_eq!(station.verdict(nonsense), Verdict::Rejected, "M05.FR.06");
    for _ in 0..2 {
        assert_eq!(station.verdict(install(&site)), Verdict::Accepted, "the same again is the same");
    }
    let held = station.asked(list()).certificates;
    assert_eq!(held.len(), 1);
    station.write("SecurityProfile", "2");
    assert_eq!(
        station.verdict(SecurityCall::DeleteCertificate(held[0].clone())),
        Verdict::Failed,
        "M04.FR.06"
    );
    for name in ["a", "b", "c"] {
        assert_eq!(station.verdict(install(&authority(name))), Verdict::Accepted);
    }
    assert_eq!(station.verdict(install(&authority("d"))), Verdict::Rejected, "it is full: M05.FR.03");
    assert_eq!(station.verdict(SecurityCall::DeleteCertificate(held[0].clone())), Verdict::Accepted);
    assert_eq!(station.verdict(SecurityCall::DeleteCertificate(held[0].clone())), Verdict::NotFound);
}

#[test]
fn a_report_waits_until_somebody_has_heard_it() {
    let mut station = Station::new();
    station.write("AuthorizationKey", "FEDCBA9876543210");
    station.core.disconnected(station.now, "as told".into());
    station.comes();
    station.core.tick(station.now);
    assert!(station.core.reported().is_empty());
    station.core.answered(station.now, Ticket::Report, Outcome::TimedOut);
    station.core.answered(station.now, Ticket::Report, Outcome::Told(Told::Nothing));
    assert_eq!(station.core.reported(), ["ReconfigurationOfSecurityParameters"]);
}
