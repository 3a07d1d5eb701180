//! Passwords, certificates and profiles: what is new replaces what is old only when the station has come with it.

use std::net::{IpAddr, Ipv4Addr};

use shared::model::command::{ConfigurationEntry, Told};
use shared::model::document::{StationEntry, StationsDoc};
use shared::model::security::{
    CredentialRotated, ProfileRaise, SecurityReported, SecurityStep, SecurityWork, StationCertificate,
};

use super::*;

const DAY: i64 = 86_400_000;
const PEM: &str = "the authority's certificate";

fn list(core: &mut Core, version: u64, credential: &str) -> Effects {
    let entry = StationEntry {
        station: station(),
        credential: credential.into(),
        quirks: Default::default(),
        since: None,
    };
    let body = DocumentBody::Stations(StationsDoc { timezone: "UTC".into(), stations: vec![entry] });
    core.handle(NOW, Input::Document(Document { version, body }))
}

fn doors(core: &mut Core) {
    core.set_doors([(1, 9000), (2, 9443), (3, 9444)].into(), PEM.into());
}

/// A station that is listed with the password `old`, and is here.
fn here(profile: u8) -> Core {
    let mut core = core();
    doors(&mut core);
    list(&mut core, 1, "old");
    come(&mut core, NOW, profile, Some("old"), None);
    core
}

fn come(
    core: &mut Core,
    now: Timestamp,
    profile: u8,
    credential: Option<&str>,
    certificate: Option<StationCertificate>,
) -> Effects {
    let arrival = Arrival {
        profile,
        reached_at: IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7)),
        credential: credential.map(str::to_owned),
        certificate,
    };
    let mut all = core.handle(now, Input::Arrived { station: station(), arrival });
    for effects in [arrive(core, now), core.handle(now.plus_millis(60_000), Input::Tick)] {
        all.writes.extend(effects.writes);
        all.sends.extend(effects.sends);
    }
    all
}

fn leave(core: &mut Core) -> Effects {
    let fact = StationFact::Disconnected;
    core.handle(NOW, Input::Station { station: station(), link: LINK, call: None, fact })
}

fn order(core: &mut Core, body: CommandBody) -> Effects {
    let command = Command { body, expires_at: NOW.plus_millis(DAY), ..remote_start(1, "") };
    core.handle(NOW, Input::Command(command))
}

fn make(core: &mut Core, made: Made) -> Effects {
    core.handle(NOW, Input::Made { station: station(), made })
}

fn password(credential: &str) -> Made {
    Made::Password { secret: Secret("00FF".into()), credential: credential.into() }
}

fn certificate(serial: &str, days: i64) -> StationCertificate {
    StationCertificate { serial: serial.into(), not_before: NOW, not_after: NOW.plus_millis(days * DAY) }
}

/// Answers the last question in `effects`.
fn answer(core: &mut Core, effects: &Effects, outcome: Outcome) -> Effects {
    let question = effects
        .sends
        .iter()
        .rev()
        .find_map(|send| if let Send::Ask { command, .. } = send { Some(*command) } else { None });
    let end = AskEnd::plain(outcome, "so it said");
    core.handle(NOW, Input::Asked { command: question.unwrap(), end })
}

fn steps(effects: &Effects) -> Vec<(SecurityWork, SecurityStep)> {
    let step = |event: &Event| {
        if let Event::SecurityProgressed(it) = event { Some((it.work, it.step)) } else { None }
    };
    effects.events().filter_map(step).collect()
}

fn written(effects: &Effects) -> Vec<(String, String)> {
    let change = |body: CommandBody| {
        if let CommandBody::ChangeConfiguration { key, value } = body { Some((key, value)) } else { None }
    };
    asks(effects).into_iter().filter_map(change).collect()
}

fn pass(core: &Core) -> Pass {
    core.directory().stations.remove(0)
}

fn rotated(effects: &Effects) -> Option<CredentialRotated> {
    effects
        .events()
        .find_map(|event| if let Event::CredentialRotated(it) = event { Some(it.clone()) } else { None })
}

/// The memory as the database would hold it.
fn memory(effects: &Effects) -> Vec<(StationId, SecurityMemory)> {
    let kept = effects.writes.iter().rev().find_map(|write| {
        if let Write::SecurityMemory(station, memory) = write {
            Some((station.clone(), (**memory).clone()))
        } else {
            None
        }
    });
    kept.into_iter().collect()
}

const ROTATE: CommandBody = CommandBody::RotatePassword { over_plain: false };

fn raise(to: u8) -> CommandBody {
    let address_key = Some("CentralSystemURL".to_owned());
    CommandBody::RaiseProfile(Box::new(ProfileRaise { to, address_key, address: None, over_plain: true }))
}

#[test]
fn a_new_password_is_good_before_the_station_hears_it_and_the_old_one_until_it_has_worked() {
    let mut core = here(2);
    let begun = order(&mut core, ROTATE);
    assert!(begun.sends.contains(&Send::Make { station: station(), what: Making::Password }));

    let effects = make(&mut core, password("new"));
    assert_eq!(written(&effects), [("AuthorizationKey".into(), "00FF".into())]);
    let sends = |send: &Send| matches!(send, Send::Directory(_));
    let asked = effects.sends.iter().position(|send| matches!(send, Send::Ask { .. }));
    assert!(effects.sends.iter().position(sends) < asked, "the door knows it first");
    assert_eq!(
        (pass(&core).entry.credential.as_str(), &pass(&core).candidates[..]),
        ("old", &["new".to_owned()][..])
    );

    let effects = answer(&mut core, &effects, Outcome::Accepted);
    assert_eq!(steps(&effects), [(SecurityWork::Password, SecurityStep::AwaitingReturn)]);
    leave(&mut core);
    let effects = come(&mut core, NOW, 2, Some("old"), None);
    assert_eq!((rotated(&effects), outcome(&effects)), (None, None), "it has not taken it yet");
    leave(&mut core);

    let effects = come(&mut core, NOW, 2, Some("new"), None);
    let told = rotated(&effects).unwrap();
    assert_eq!((told.over.as_str(), told.credential.as_str()), ("old", "new"));
    assert_eq!(outcome(&effects), Some(Outcome::Accepted));
    assert!(steps(&effects).contains(&(SecurityWork::Password, SecurityStep::Done)));
    assert_eq!((pass(&core).entry.credential.as_str(), pass(&core).candidates.len()), ("new", 0));

    list(&mut core, 2, "old");
    assert_eq!(pass(&core).entry.credential, "new", "a list that has not heard of it yet undoes nothing");
    list(&mut core, 3, "new");
    assert_eq!(pass(&core).entry.credential, "new");
    list(&mut core, 4, "an operator's");
    assert_eq!(pass(&core).entry.credential, "an operator's", "whoever sets another one is right");
}

#[test]
fn a_station_that_says_no_keeps_its_password_and_one_that_says_nothing_may_come_with_either() {
    for (said, candidates, ended) in [
        (Outcome::Rejected, 0, Some(Outcome::Rejected)),
        (Outcome::NotSupported, 0, Some(Outcome::NotSupported)),
        (Outcome::TimedOut, 1, None),
        (Outcome::StationOffline, 1, None),
    ] {
        let mut core = here(2);
        order(&mut core, ROTATE);
        let effects = make(&mut core, password("new"));
        let effects = answer(&mut core, &effects, said);
        assert_eq!((pass(&core).candidates.len(), outcome(&effects)), (candidates, ended), "{said:?}");
        assert_eq!(pass(&core).entry.credential, "old");
    }
}

#[test]
fn a_restart_between_the_yes_and_the_return_changes_nothing() {
    let mut core = here(2);
    let mut writes = order(&mut core, ROTATE).writes.into_iter();
    let command = writes
        .find_map(|write| if let Write::Command { command, .. } = write { Some(command) } else { None });
    let effects = make(&mut core, password("new"));
    let security = memory(&effects);
    let stored = StoredCommand { command: command.unwrap(), waiting: false, result: None };
    let mut after = core_of(Restored { security, commands: vec![stored], ..Restored::default() });
    doors(&mut after);
    list(&mut after, 1, "old");
    assert_eq!(pass(&after).candidates, ["new"]);
    let effects = come(&mut after, NOW, 2, Some("new"), None);
    assert!(rotated(&effects).is_some());
    assert_eq!(outcome(&effects), Some(Outcome::Accepted), "the order that began it");
    let makes = effects.sends.iter().any(|send| matches!(send, Send::Make { .. }));
    assert!(!makes, "and it does not begin again");
}

#[test]
fn a_station_is_led_from_the_first_profile_to_the_third_and_never_comes_by_a_lower_one() {
    let mut core = here(1);
    let effects = order(&mut core, raise(3));
    let CommandBody::InstallCertificate { certificate: Some(pem), .. } = asks(&effects).remove(0) else {
        panic!("{effects:?}")
    };
    assert_eq!(pem, PEM);
    let effects = answer(&mut core, &effects, Outcome::Accepted);
    assert_eq!(asks(&effects), [CommandBody::RenewCertificate]);
    answer(&mut core, &effects, Outcome::Accepted);
    let effects = wants_certificate(&mut core, NOW);
    assert!(effects.sends.contains(&signing(true)));

    let signed = Made::Certificate { chain: "chain".into(), certificate: certificate("0a", 700) };
    let effects = make(&mut core, signed);
    assert!(
        matches!(&effects.sends[..], [Send::Ask { ask: Ask::DeliverCertificate { chain }, .. }] if chain == "chain")
    );
    let effects = answer(&mut core, &effects, Outcome::Accepted);
    assert_eq!(written(&effects), [("CentralSystemURL".into(), "wss://192.168.1.7:9444/ocpp".into())]);
    let effects = answer(&mut core, &effects, Outcome::Accepted);
    assert_eq!(written(&effects), [("SecurityProfile".into(), "3".into())]);
    let effects = answer(&mut core, &effects, Outcome::Accepted);
    assert_eq!((pass(&core).minimum, outcome(&effects)), (0, None), "it may fall back until it has come");

    leave(&mut core);
    let effects = come(&mut core, NOW, 3, None, Some(certificate("0a", 700)));
    assert_eq!((pass(&core).minimum, outcome(&effects)), (3, Some(Outcome::Accepted)));
    list(&mut core, 2, "an operator's");
    assert_eq!(
        pass(&core).minimum,
        0,
        "a new password in the list starts over: the way back for a new board"
    );
}

#[test]
fn a_password_that_could_be_read_is_replaced_once_the_line_is_encrypted() {
    let mut core = here(1);
    let mut effects = order(&mut core, raise(2));
    for _ in 0..3 {
        effects = answer(&mut core, &effects, Outcome::Accepted);
    }
    leave(&mut core);
    let effects = come(&mut core, NOW, 2, Some("old"), None);
    assert_eq!((pass(&core).minimum, outcome(&effects)), (2, Some(Outcome::Accepted)));
    assert!(effects.sends.contains(&Send::Make { station: station(), what: Making::Password }));
}

#[test]
fn a_station_that_falls_back_keeps_its_profile_and_the_order_ends() {
    let mut core = here(1);
    let mut effects = order(&mut core, raise(2));
    for _ in 0..3 {
        effects = answer(&mut core, &effects, Outcome::Accepted);
    }
    leave(&mut core);
    // Within a minute, not after all the patience that there is with one that restarts.
    let effects = come(&mut core, NOW, 1, Some("old"), None);
    assert_eq!(outcome(&effects), Some(Outcome::TimedOut));
    assert_eq!(pass(&core).minimum, 0);
    assert!(steps(&effects).contains(&(SecurityWork::Profile, SecurityStep::Failed)));
}

fn wants_certificate(core: &mut Core, now: Timestamp) -> Effects {
    let fact = StationFact::CertificateWanted { request: Ok("a request".into()) };
    core.handle(now, Input::Station { station: station(), link: LINK, call: Some(CallId(9)), fact })
}

fn signing(taken_on: bool) -> Send {
    Send::Reply { link: LINK, call: CallId(9), reply: Reply::Signing(taken_on) }
}

#[test]
fn certificates_are_signed_for_stations_that_come_by_tls_and_not_too_often() {
    let mut core = here(1);
    let effects = wants_certificate(&mut core, NOW);
    assert!(effects.sends.contains(&signing(false)), "libocpp 857: no certificates over a plain line");
    assert!(effects.events().any(|event| matches!(event, Event::SecurityNoticed(_))));

    let mut core = here(3);
    for n in 0..6_i64 {
        let effects = wants_certificate(&mut core, NOW.plus_millis(n));
        assert!(effects.sends.contains(&signing(n < 5)), "{n}");
        let signed = Made::Certificate { chain: "chain".into(), certificate: certificate("0a", 700) };
        let effects = make(&mut core, signed);
        if n < 5 {
            let effects = answer(&mut core, &effects, Outcome::Accepted);
            assert_eq!(steps(&effects), [(SecurityWork::Certificate, SecurityStep::Done)]);
        }
    }
}

#[test]
fn an_old_certificate_is_good_until_the_new_one_has_been_shown() {
    let mut core = here(3);
    come(&mut core, NOW, 3, None, Some(certificate("01", 700)));
    wants_certificate(&mut core, NOW);
    let signed = Made::Certificate { chain: "chain".into(), certificate: certificate("02", 700) };
    let effects = make(&mut core, signed);
    answer(&mut core, &effects, Outcome::Accepted);
    leave(&mut core);
    come(&mut core, NOW, 3, None, Some(certificate("01", 700)));
    assert!(pass(&core).superseded.is_empty());
    leave(&mut core);
    come(&mut core, NOW, 3, None, Some(certificate("02", 700)));
    assert!(pass(&core).superseded.contains("01") && !pass(&core).superseded.contains("02"));
}

#[test]
fn a_certificate_that_ends_soon_is_renewed_once_a_day() {
    let mut core = here(3);
    let effects = come(&mut core, NOW, 3, None, Some(certificate("01", 20)));
    assert!(asks(&effects).contains(&CommandBody::RenewCertificate));
    let noticed =
        |event: &Event| matches!(event, Event::SecurityNoticed(it) if it.what == "certificate_ends");
    assert!(effects.events().any(noticed));
    answer(&mut core, &effects, Outcome::Rejected);
    leave(&mut core);
    let effects = come(&mut core, NOW.plus_millis(DAY / 2), 3, None, Some(certificate("01", 20)));
    assert!(!asks(&effects).contains(&CommandBody::RenewCertificate));
    let effects = core.handle(NOW.plus_millis(DAY + 200_000), Input::Tick);
    assert!(asks(&effects).contains(&CommandBody::RenewCertificate));
}

#[test]
fn what_could_lock_a_station_out_or_give_it_away_is_refused_with_a_reason() {
    let change = |key: &str| CommandBody::ChangeConfiguration { key: key.into(), value: "2".into() };
    for (profile, body, word) in [
        (2, change("authorizationKey"), "RotatePassword"),
        (2, change("SecurityProfile"), "RaiseProfile"),
        (1, ROTATE, "overPlainLine"),
        (3, ROTATE, "certificate"),
        (1, CommandBody::RenewCertificate, "not encrypted"),
        (2, raise(2), "already"),
        (2, raise(1), "already"),
        (1, raise(4), "1, 2 and 3"),
    ] {
        let mut core = here(profile);
        let effects = order(&mut core, body.clone());
        let mut sends = effects.sends.iter();
        let result =
            sends.find_map(|send| if let Send::Result(result) = send { Some(result.clone()) } else { None });
        let result = result.unwrap_or_else(|| panic!("{body:?}"));
        assert_eq!(result.outcome, Outcome::Rejected, "{body:?}");
        assert!(result.detail.contains(word), "{body:?}: {}", result.detail);
        assert!(asks(&effects).is_empty());
    }
}

#[test]
fn reports_are_kept_and_the_same_notice_is_one_an_hour() {
    let mut core = here(2);
    let report = SecurityReported {
        station: station(),
        kind: "TamperDetectionActivated".into(),
        tech_info: None,
        at: NOW,
    };
    let (reply, events) = say(&mut core, NOW, StationFact::SecurityReported(report.clone()));
    assert_eq!((reply, events), (Some(Reply::Acknowledged), vec![Event::SecurityReported(report)]));

    let notice = |at| SecurityNoticed {
        station: Some(station()),
        what: "downgrade".into(),
        detail: String::new(),
        at,
    };
    let mut told = 0;
    for minute in 0..150 {
        let at = NOW.plus_millis(minute * 60_000);
        told += core.handle(at, Input::Noticed(notice(at))).events().count();
    }
    assert_eq!(told, 3);
}

#[test]
fn a_secret_is_in_no_record_of_an_order() {
    let mut core = here(2);
    let secret = CommandBody::ChangeConfiguration { key: "ModemPassword".into(), value: "s3cret".into() };
    let command = Command { body: secret, origin: Origin::Installer, ..remote_start(1, "") };
    let effects = core.handle(NOW, Input::Command(command));
    assert_eq!(written(&effects), [("ModemPassword".into(), "s3cret".into())], "the station hears it");
    let ended = answer(&mut core, &effects, Outcome::Accepted);
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");

    let read = Command { body: CommandBody::GetConfiguration { keys: vec![] }, ..remote_start(2, "") };
    let effects = core.handle(NOW, Input::Command(read));
    let Some(Send::Ask { command, .. }) = effects.sends.last() else { panic!("{effects:?}") };
    let entry =
        ConfigurationEntry { key: "AuthorizationKey".into(), value: Some("t0ld".into()), readonly: false };
    let told = Told::Configuration { entries: vec![entry], unknown_keys: vec![] };
    let end = AskEnd { told, ..AskEnd::plain(Outcome::Accepted, "") };
    let ended = core.handle(NOW, Input::Asked { command: *command, end });
    assert!(!format!("{ended:?}").contains("t0ld"), "{ended:?}");
}

#[test]
fn how_a_station_came_is_told_when_it_becomes_the_sites() {
    let mut core = core();
    let reached_at = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let arrival = Arrival { profile: 2, reached_at, credential: None, certificate: None };
    core.handle(NOW, Input::Arrived { station: station(), arrival });
    let credential = Some("shown".to_owned());
    let visitor = Visitor { from: "10.0.0.7".into(), security_profile: 2, credential };
    let fact = StationFact::ConnectedPending(visitor);
    core.handle(NOW, Input::Station { station: station(), link: LINK, call: None, fact });
    let effects = list(&mut core, 1, "shown");
    let told = |event: &Event| matches!(event, Event::StationSecured(it) if it.profile == 2);
    assert!(effects.events().any(told), "{effects:?}");
}
