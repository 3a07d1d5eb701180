//! A04 and §8: security events, and the messages that can be asked for.

use firmware_sim::StationConfig;
use firmware_sim::station::security::SecurityHabits;
use firmware_sim::station::{Fact, Outcome, Ticket, Told};
use shared::model::file::{FirmwareSignature, LogKind, Retries};
use shared::ocpp::v16::{CsmsCall, ExtendedTrigger, FileCall, SecurityCall, Topic, Verdict};

use super::bench::{Bench, TODAY};
use crate::authority::Authority;

/// The reports that are on their way now, not answered.
fn sent(bench: &mut Bench) -> Vec<&'static str> {
    let kind = |fact| if let Fact::SecurityEvent { kind, .. } = fact { Some(kind) } else { None };
    bench.facts().into_iter().filter_map(kind).collect()
}

fn refuse(bench: &mut Bench, error: &str) {
    bench.core.answered(bench.now, Ticket::Report, Outcome::Refused(error.into()));
}

const RETRIES: Retries = Retries { count: None, interval_s: None };
const DISTRUST: &str = "InvalidCentralSystemCertificate";

#[test]
fn a_start_is_reported_by_those_who_do() {
    let mut quiet = Bench::ready();
    assert_eq!(sent(&mut quiet), [""; 0]);
    let reports_startup = SecurityHabits { reports_startup: true, ..SecurityHabits::default() };
    quiet.core.set_security_habits(reports_startup);
    for _ in 0..2 {
        quiet.core.cut_power(quiet.now);
        quiet.go();
        quiet.core.restore_power(quiet.now);
        quiet.come();
        assert_eq!(quiet.reports(), [("StartupOfTheDevice", String::new())]);
    }
    assert_eq!(quiet.core.reported(), ["StartupOfTheDevice"; 2]);
}

#[test]
fn what_happens_offline_waits_and_each_is_told_until_it_is_heard() {
    let mut bench = Bench::ready();
    bench.change("AuthorizationKey", "a-new-one-of-twenty-");
    bench.change("AuthorizationKey", "another-of-twenty---");
    bench.go();
    bench.core.take();
    bench.core.distrusts(bench.now, "by nobody".into());
    bench.core.distrusts(bench.now, "by nobody".into());
    bench.core.tick(bench.now);
    assert_eq!(sent(&mut bench), [""; 0]);
    bench.come();
    assert_eq!(sent(&mut bench), ["ReconfigurationOfSecurityParameters"], "one at a time");
    bench.go();
    bench.come();
    assert_eq!(sent(&mut bench).len(), 1, "its answer was lost with the line");
    bench.core.answered(bench.now, Ticket::Report, Outcome::TimedOut);
    assert_eq!(sent(&mut bench), [""; 0], "not at once");
    assert_eq!(bench.core.next_deadline(), Some(bench.now + 10_000));
    bench.now += 10_000;
    bench.core.tick(bench.now);
    assert_eq!(sent(&mut bench).len(), 1);
    bench.answer(Ticket::Report, Told::Nothing);
    let kinds: Vec<_> = bench.reports().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["ReconfigurationOfSecurityParameters", DISTRUST], "each, but one distrust once");
    assert_eq!(bench.core.reported().len(), 3);
}

#[test]
fn who_breaks_hears_it_again_and_who_does_not_know_it_does_not() {
    let mut bench = Bench::ready();
    bench.core.distrusts(bench.now, "by nobody".into());
    bench.core.tick(bench.now);
    assert_eq!(sent(&mut bench), [DISTRUST]);
    refuse(&mut bench, "InternalError: try later");
    bench.now += 10_000;
    bench.core.tick(bench.now);
    assert_eq!(sent(&mut bench), [DISTRUST]);
    refuse(&mut bench, "NotImplemented: what is that?");
    bench.now += 10_000;
    bench.core.tick(bench.now);
    assert_eq!(sent(&mut bench), [""; 0]);
}

#[test]
fn a_hundred_and_more_wait_without_loss() {
    let mut bench = Bench::ready();
    for _ in 0..150 {
        bench.change("AuthorizationKey", "a-new-one-of-twenty-");
    }
    assert_eq!(sent(&mut bench), [""; 0], "it is on its way out");
    bench.go();
    bench.come();
    assert_eq!(bench.reports().len(), 150);
}

#[test]
fn an_image_that_is_not_signed_as_told_is_reported() {
    let mut bench = Bench::ready();
    let signature = FirmwareSignature { certificate: Authority::new("maker").pem, signature: "AAAA".into() };
    let call = FileCall::SignedUpdateFirmware {
        request: 7,
        location: "http://box/image".into(),
        signature,
        retrieve_at: TODAY,
        install_at: None,
        retries: RETRIES,
    };
    let told = bench.core.asked(bench.now, &CsmsCall::File(call));
    assert_eq!(told.verdict, Some(Verdict::Accepted));
    let load = bench.core.take().loads.pop().unwrap();
    bench.core.carried(bench.now, load.number, Ok(b"FIRMWARE 2\n".to_vec()));
    assert_eq!(bench.reports(), [("InvalidFirmwareSignature", "http://box/image".to_owned())]);
}

#[test]
fn events_stand_in_the_security_log_and_the_password_does_not() {
    let mut bench = Bench::ready();
    bench.change("AuthorizationKey", "a-new-one-of-twenty-");
    let (from, to) = (None, None);
    let location = "http://box/log".into();
    let kind = LogKind::Security;
    let call = FileCall::GetLog { request: 1, kind, location, from, to, retries: RETRIES };
    bench.core.asked(bench.now, &CsmsCall::File(call));
    let log = String::from_utf8_lossy(bench.core.last_log().unwrap()).into_owned();
    assert!(log.contains("ReconfigurationOfSecurityParameters"), "A04.FR.04, A01.FR.11: {log}");
    assert!(!log.contains("a-new-one-of-twenty-"), "A01.FR.12");
}

#[test]
fn each_of_the_seven_messages_can_be_asked_for() {
    use ExtendedTrigger as Ask;
    let topic = |topic| Fact::File { topic, word: "Idle", request: None };
    for message in Ask::ALL {
        let mut bench = Bench::with(StationConfig::new("ws://box", "S1"));
        let call = SecurityCall::ExtendedTrigger { message: *message, connector: None };
        assert_eq!(bench.asked(call).verdict, Some(Verdict::Accepted), "{message:?}");
        let facts = bench.facts();
        let told = facts.iter().any(|fact| match (message, fact) {
            (Ask::BootNotification, Fact::Boot) | (Ask::Heartbeat, Fact::Heartbeat) => true,
            (Ask::LogStatus, fact) => *fact == topic(Topic::Log),
            (Ask::FirmwareStatus, fact) => *fact == topic(Topic::SignedFirmware),
            (Ask::MeterValues, Fact::Readings { .. }) => true,
            (Ask::SignChargePointCertificate, Fact::SignCertificate { .. }) => true,
            (Ask::StatusNotification, Fact::Status { .. }) => true,
            _ => false,
        });
        assert!(told, "{message:?}: {facts:?}");
    }
    let message = Ask::MeterValues;
    let nowhere = SecurityCall::ExtendedTrigger { message, connector: Some(9) };
    assert_eq!(Bench::ready().asked(nowhere).verdict, Some(Verdict::Rejected));
}

#[test]
fn what_is_asked_of_a_running_upload_names_its_request() {
    let mut bench = Bench::ready();
    let location = "http://box/log".into();
    let kind = LogKind::Diagnostics;
    let call = FileCall::GetLog { request: 7, kind, location, from: None, to: None, retries: RETRIES };
    bench.core.asked(bench.now, &CsmsCall::File(call));
    bench.core.take();
    bench.asked(SecurityCall::ExtendedTrigger { message: ExtendedTrigger::LogStatus, connector: None });
    assert_eq!(bench.facts(), [Fact::File { topic: Topic::Log, word: "Uploading", request: Some(7) }]);
}
