//! A01 and A05: password, profile and address.

use firmware_sim::station::security::SecurityHabits;
use firmware_sim::{StationConfig, Tls};
use shared::ocpp::v16::Verdict;

use super::bench::{Bench, PASSWORD};
use crate::authority::Authority;

const NEW: &str = "a-new-one-of-twenty-";

#[test]
fn the_keys_of_the_extension_are_there_and_the_password_is_never_read() {
    let mut bench = Bench::ready();
    assert_eq!(bench.change("authorizationkey", NEW), Verdict::Accepted);
    assert!(!bench.setting("").contains(NEW) && !bench.setting("").contains(PASSWORD));
    assert_eq!(bench.setting("AuthorizationKey"), "");
    assert!(!format!("{:?}", bench.core.access()).contains(NEW));
    for (key, value) in [
        ("SecurityProfile", "1"),
        ("AdditionalRootCertificateCheck", "false"),
        ("CertificateSignedMaxChainSize", "10000"),
        ("CertificateStoreMaxLength", "4"),
        ("CentralSystemURL", "ws://box/ocpp"),
    ] {
        assert_eq!(bench.setting(key), value, "{key}");
    }
    for key in
        ["AdditionalRootCertificateCheck", "CertificateSignedMaxChainSize", "CertificateStoreMaxLength"]
    {
        assert_eq!(bench.change(key, "1"), Verdict::Rejected, "{key}");
    }
    assert_eq!(bench.change("CpoName", "My site"), Verdict::Accepted);
    assert!(bench.setting("SupportedFeatureProfiles").contains("Security"));
}

#[test]
fn a_password_of_sixteen_to_forty_characters_is_taken_and_used_at_once() {
    let mut bench = Bench::ready();
    for bad in ["fifteen-letters", &"x".repeat(41), "sixteen\ncharacters"] {
        assert_eq!(bench.change("AuthorizationKey", bad), Verdict::Rejected, "{bad:?}");
    }
    assert!(!bench.core.take().restart, "what is refused changes nothing");
    for (generation, good) in [(1, "x".repeat(16)), (2, "ü".repeat(40))] {
        assert_eq!(bench.change("AuthorizationKey", &good), Verdict::Accepted);
        assert!(bench.core.take().restart);
        let config = StationConfig::new("ws://ignored", "S1");
        assert_eq!(bench.core.dial_with(&config).password, Some(good));
        assert_eq!(bench.core.access().password_generation, generation);
        bench.go();
        bench.come();
    }
}

#[test]
fn a_station_that_forgets_says_yes_and_stays_as_it_is() {
    let mut bench = Bench::habits(SecurityHabits { forgets: true, ..SecurityHabits::default() });
    assert_eq!(bench.change("AuthorizationKey", NEW), Verdict::Accepted);
    assert!(!bench.core.take().restart);
    assert_eq!(bench.core.access().password.as_deref(), Some(PASSWORD));
}

#[test]
fn a_profile_goes_only_up_and_only_with_what_it_takes() {
    let mut bench = Bench::ready();
    for bad in ["1", "0", "4", "-1", "two", ""] {
        assert_eq!(bench.change("SecurityProfile", bad), Verdict::Rejected, "{bad:?} (A05.FR.01)");
    }
    assert_eq!(bench.change("SecurityProfile", "2"), Verdict::Rejected, "no root (A05.FR.03)");
    assert_eq!(bench.install(&Authority::new("site").pem), Verdict::Accepted);
    assert_eq!(bench.change("SecurityProfile", "3"), Verdict::Rejected, "no certificate (A05.FR.04)");
    assert!(!bench.core.take().restart);
    assert_eq!(bench.change("SecurityProfile", "2"), Verdict::Accepted);
    assert!(bench.core.take().restart, "it comes again (A05.FR.06)");
    assert_eq!((bench.core.access().profile, bench.core.access().url.as_str()), (2, "wss://box/ocpp"));
    assert_eq!(bench.setting("SecurityProfile"), "2");
}

#[test]
fn without_a_good_password_there_is_no_profile_1_or_2() {
    for password in [None, Some("short")] {
        let mut config = StationConfig::new("ws://box/ocpp", "S1");
        config.password = password.map(str::to_owned);
        config.security_profile = Some(0);
        let mut bench = Bench::with(config);
        assert_eq!(bench.install(&Authority::new("site").pem), Verdict::Accepted);
        for profile in ["1", "2"] {
            assert_eq!(
                bench.change("SecurityProfile", profile),
                Verdict::Rejected,
                "A05.FR.02: {password:?}"
            );
        }
        assert_eq!(bench.change("AuthorizationKey", NEW), Verdict::Accepted);
        assert_eq!(bench.change("SecurityProfile", "1"), Verdict::Accepted);
    }
}

#[test]
fn what_the_station_starts_with_makes_its_profile() {
    let site = Authority::new("site");
    let (chain, key) = site.issue("S1");
    let trusting = Tls::new(&site.pem, None).unwrap();
    let known = Tls::new(&site.pem, Some((&chain, &key))).unwrap();
    let profile = |url: &str, password: Option<&str>, tls: Option<&Tls>| {
        let mut config = StationConfig::new(url, "S1");
        (config.password, config.tls) = (password.map(str::to_owned), tls.cloned());
        Bench::with(config).core.access().profile
    };
    assert_eq!(profile("ws://box", None, None), 0);
    assert_eq!(profile("ws://box", Some(PASSWORD), None), 1);
    assert_eq!(profile("wss://box", Some(PASSWORD), Some(&trusting)), 2);
    assert_eq!(profile("wss://box", Some(PASSWORD), Some(&known)), 3);
}

#[test]
fn at_profile_3_no_password_is_shown_and_below_no_certificate() {
    let site = Authority::new("site");
    let (chain, key) = site.issue("S1");
    let mut config = StationConfig::new("wss://box/ocpp", "S1").with_password(PASSWORD);
    config.tls = Some(Tls::new(&site.pem, Some((&chain, &key))).unwrap());
    config.security_profile = Some(2);
    let mut bench = Bench::with(config.clone());
    assert_eq!(bench.core.dial_with(&config).password.as_deref(), Some(PASSWORD));
    assert!(!format!("{:?}", bench.core.dial_with(&config).tls).contains("true"), "no certificate");
    assert_eq!(bench.change("SecurityProfile", "3"), Verdict::Accepted);
    assert_eq!(bench.core.dial_with(&config).password, None);
    assert!(format!("{:?}", bench.core.dial_with(&config).tls).contains("true"));
}

#[test]
fn three_connections_that_fail_bring_everything_back() {
    let mut bench = Bench::ready();
    bench.install(&Authority::new("site").pem);
    assert_eq!(bench.change("CentralSystemURL", "wss://other/ocpp"), Verdict::Accepted);
    assert_eq!(bench.change("SecurityProfile", "2"), Verdict::Accepted);
    bench.change("AuthorizationKey", NEW);
    bench.go();
    for _ in 0..2 {
        bench.go();
    }
    let tried = bench.core.access().clone();
    assert_eq!((tried.profile, tried.url.as_str()), (2, "wss://other/ocpp"));
    assert_eq!(tried.password.as_deref(), Some(NEW));
    bench.go();
    let back = bench.core.access().clone();
    assert_eq!((back.profile, back.url.as_str(), back.password_generation), (1, "ws://box/ocpp", 0));
    assert_eq!(back.password.as_deref(), Some(PASSWORD), "A05.FR.08");
    bench.come();
    assert_eq!(bench.setting("SecurityProfile"), "1");
    assert_eq!(bench.setting("CentralSystemURL"), "ws://box/ocpp");
    let told = bench.reports();
    assert!(told.iter().any(|(_, info)| info == "profile 2 did not come about: back to 1"), "{told:?}");
    assert!(told.iter().all(|(kind, _)| *kind == "ReconfigurationOfSecurityParameters"));
}

#[test]
fn what_has_worked_once_is_kept_when_the_line_is_lost() {
    let mut bench = Bench::ready();
    bench.change("AuthorizationKey", NEW);
    bench.go();
    bench.go();
    bench.come();
    for _ in 0..9 {
        bench.go();
    }
    assert_eq!(bench.core.access().password.as_deref(), Some(NEW));
}

#[test]
fn an_address_holds_from_the_next_connection_on_and_is_taken_back() {
    let mut bench = Bench::ready();
    for bad in ["http://box", "", "box:9000"] {
        assert_eq!(bench.change("CentralSystemURL", bad), Verdict::Rejected, "{bad:?}");
    }
    assert_eq!(bench.change("CentralSystemURL", "ws://other/ocpp"), Verdict::Accepted);
    assert!(!bench.core.take().restart);
    assert_eq!(bench.core.access().url, "ws://box/ocpp");
    for _ in 0..3 {
        bench.go();
        assert_eq!(bench.core.access().url, "ws://other/ocpp");
    }
    bench.go();
    assert_eq!(bench.core.access().url, "ws://box/ocpp");
    bench.change("CentralSystemURL", "ws://third/ocpp");
    bench.change("AuthorizationKey", NEW);
    assert_eq!(bench.core.access().url, "ws://third/ocpp", "a new password comes with the new address");
}

#[test]
fn an_encrypted_line_is_never_opened_up() {
    let mut bench = Bench::ready();
    bench.install(&Authority::new("site").pem);
    bench.change("CentralSystemURL", "ws://other/ocpp");
    assert_eq!(bench.change("SecurityProfile", "2"), Verdict::Accepted);
    assert_eq!(bench.core.access().url, "wss://other/ocpp");
    assert_eq!(bench.change("CentralSystemURL", "ws://other/ocpp"), Verdict::Rejected);
}
