//! Unknown stations: seen, let in to wait, adopted, turned away; and known ones that are held.

use shared::model::document::{StationEntry, StationsDoc};
use shared::model::onboarding::AdmissionDoc;
use shared::model::session::SessionFlag;

use super::*;

const SHOWN: &str = "$argon2id$shown";

fn let_in(core: &mut Core) -> Effects {
    let credential = Some(SHOWN.to_owned());
    let fact =
        StationFact::ConnectedPending(Visitor { from: "10.0.0.7".into(), security_profile: 1, credential });
    core.handle(NOW, Input::Station { station: station(), link: LINK, call: None, fact })
}

fn boot(core: &mut Core, now: Timestamp) -> (Standing, Effects) {
    let fact = StationFact::Booted(StationInfo { vendor: "V".into(), ..StationInfo::default() });
    let effects =
        core.handle(now, Input::Station { station: station(), link: LINK, call: Some(CallId(1)), fact });
    let [Send::Reply { reply: Reply::Booted { standing, .. }, .. }, ..] = effects.sends[..] else {
        panic!("{effects:?}")
    };
    (standing, effects)
}

fn listed(credential: &str) -> Input {
    let entry = StationEntry {
        station: station(),
        credential: credential.into(),
        quirks: Default::default(),
        since: None,
    };
    let body = DocumentBody::Stations(StationsDoc { timezone: "UTC".into(), stations: vec![entry] });
    Input::Document(Document { version: 1, body })
}

fn wanted(version: u64, doc: AdmissionDoc) -> Input {
    Input::Document(Document { version, body: DocumentBody::Admission(doc) })
}

fn demands_boot(effects: &Effects) -> bool {
    asks(effects).iter().any(|ask| matches!(ask, CommandBody::Trigger { .. }))
}

#[test]
fn a_pending_station_tells_who_it_is_and_charges_nobody() {
    let mut core = core();
    assert!(matches!(let_in(&mut core).events().collect::<Vec<_>>()[..], [Event::StationPending(_)]));
    let (standing, effects) = boot(&mut core, NOW);
    assert_eq!(standing, Standing::Pending);
    let Some(Event::StationPending(told)) = effects.events().next() else { panic!("{effects:?}") };
    assert_eq!((told.info.as_ref().unwrap().vendor.as_str(), told.credential.as_deref()), ("V", Some(SHOWN)));

    assert_eq!(authorized(&mut core, "card"), AuthStatus::Invalid);
    let (reply, events) = say(&mut core, NOW, start(1, "card", NOW, 0));
    assert!(matches!(reply, Some(Reply::Started { status: AuthStatus::Invalid, .. })), "answered validly");
    let [Event::SessionStarted(started)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&started.token, started.tariff), (&None, None), "billed to nobody");
    assert_eq!(started.flags, [SessionFlag::NotAuthorised, SessionFlag::StationPending]);

    let refused = core.handle(NOW, Input::Command(remote_start(7, "card")));
    assert_eq!(outcome(&refused), Some(Outcome::Rejected));
    let read = Command { body: CommandBody::GetConfiguration { keys: vec![] }, ..remote_start(8, "") };
    assert_eq!(
        asks(&core.handle(NOW, Input::Command(read.clone()))),
        [read.body],
        "its settings can be read"
    );
}

#[test]
fn adopted_with_what_it_showed_it_goes_on_where_it_is() {
    let mut core = core();
    let_in(&mut core);
    boot(&mut core, NOW);
    let effects = core.handle(NOW, listed(SHOWN));
    assert!(demands_boot(&effects), "it is asked to boot again: {effects:?}");
    assert_eq!(boot(&mut core, NOW).0, Standing::Accepted);
    assert_eq!(authorized(&mut core, "card"), AuthStatus::Accepted);
    assert_eq!(core.pending().count(), 0);
}

#[test]
fn adopted_with_another_password_it_has_to_come_anew() {
    let mut core = core();
    let_in(&mut core);
    boot(&mut core, NOW);
    let effects = core.handle(NOW, listed("sha256$another"));
    assert!(effects.sends.iter().any(|send| matches!(send, Send::HangUp { link: LINK, .. })), "{effects:?}");
    assert_eq!(authorized(&mut core, "card"), AuthStatus::Invalid, "not before it has shown the new one");
}

#[test]
fn the_installer_opens_adopts_and_rejects_and_it_survives_a_restart() {
    let mut core = core();
    let act = |core: &mut Core, act| core.handle(NOW, Input::Installer(act));
    assert!(core.objection(&InstallerAct::OpenWindow { minutes: 24 * 60 + 1 }).is_some());
    act(&mut core, InstallerAct::OpenWindow { minutes: 30 });
    assert_eq!(core.gate().open_until, Some(NOW.plus_millis(30 * 60_000)));
    act(&mut core, InstallerAct::CloseWindow);
    assert_eq!(core.gate().open_until, None);
    core.handle(
        NOW,
        wanted(1, AdmissionDoc { window: Some((NOW, NOW.plus_millis(9))), ..Default::default() }),
    );
    assert_eq!(core.gate().open_until, None, "one that was opened before stays closed");

    let adopt = InstallerAct::Adopt { station: station(), credential: None, connectors: None };
    assert!(core.objection(&adopt).unwrap().contains("shown no password"));
    let_in(&mut core);
    let effects = act(&mut core, adopt);
    assert!(
        effects.events().any(|event| matches!(event, Event::StationAdopted(it) if it.credential == SHOWN))
    );
    let kept = effects.writes.iter().find_map(|write| {
        if let Write::DecidedHere(decided) = write { Some((**decided).clone()) } else { None }
    });
    let mut after = core_of(Restored { decided_here: kept.unwrap(), ..Restored::default() });
    assert_eq!(after.directory().stations.len(), 1);
    after.handle(NOW, listed("from the cloud"));
    assert_eq!(
        after.directory().stations[0].entry.credential,
        "from the cloud",
        "the cloud's list has it now"
    );
    assert!(after.objection(&InstallerAct::Reject { station: station() }).is_some());
}

#[test]
fn a_rejected_station_is_told_so_and_let_go() {
    let mut core = core();
    let_in(&mut core);
    boot(&mut core, NOW);
    let effects =
        core.handle(NOW, wanted(1, AdmissionDoc { rejected: vec![station()], ..Default::default() }));
    assert!(demands_boot(&effects) && core.gate().rejected.contains(&station()));
    let (standing, effects) = boot(&mut core, NOW);
    assert_eq!(standing, Standing::Rejected);
    assert!(matches!(effects.sends.last(), Some(Send::HangUp { .. })), "after the answer: {effects:?}");
}

#[test]
fn a_held_station_waits_and_goes_on_when_it_is_released() {
    let mut core = core();
    connect(&mut core);
    let held = AdmissionDoc { held: vec![station()], ..Default::default() };
    assert!(demands_boot(&core.handle(NOW, wanted(1, held))));
    assert_eq!(boot(&mut core, NOW).0, Standing::Held);
    assert_eq!(authorized(&mut core, "card"), AuthStatus::Invalid);
    assert_eq!(outcome(&core.handle(NOW, Input::Command(remote_start(7, "card")))), Some(Outcome::Rejected));
    assert!(!demands_boot(&core.handle(NOW, wanted(2, AdmissionDoc::default()))), "not again so soon");
    let due = core.next_deadline().unwrap();
    assert_eq!(due, NOW.plus_millis(600_000));
    assert!(demands_boot(&core.handle(due, Input::Tick)));
    assert_eq!(boot(&mut core, due).0, Standing::Accepted);
}
