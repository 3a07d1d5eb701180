//! The site's rules, by table and by property. Time and ids enter as values, so days run in microseconds.

mod admission;
mod files;
mod local_list;
mod reservations;
mod security;
mod settings;
mod visits;

use proptest::prelude::*;
use shared::id::{CommandId, EvseNo, StationId, StationTxRef, TariffId};
use shared::model::command::{Command, CommandBody, Origin, Outcome};
use shared::model::document::{DocumentBody, PublicTokensDoc, TariffAssignment, TariffsDoc, TokensDoc};
use shared::model::event::{Event, SecurityNoticed};
use shared::model::session::{SessionFlag, StopReason};
use shared::model::token::{AuthorisedBy, TokenEntry};
use shared::model::{AuthStatus, IdToken, MeterReading, StationInfo};
use shared::sync::Document;
use shared::tariff::{Dimension, PriceComponent, Tariff};
use shared::units::{Currency, Timestamp, Wh};
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp(1_763_812_800_000);
const LINK: LinkId = LinkId(1);

fn station() -> StationId {
    StationId::new("CP1").unwrap()
}

fn core_of(restored: Restored) -> Core {
    // Beyond the numbers that the tests give to commands.
    let mut next = 1_000_u128;
    let ids = move |_: Timestamp| {
        next += 1;
        Uuid::from_u128(next)
    };
    let mut core = Core::new(Box::new(ids), restored);
    let entry =
        |token: &str, status| TokenEntry { token: token.into(), status, expires_at: None, group: None };
    let tokens = vec![entry("card", AuthStatus::Accepted), entry("stolen", AuthStatus::Blocked)];
    let tokens = DocumentBody::Tokens(TokensDoc { unknown: AuthStatus::Invalid, on_stations: false, tokens });
    core.handle(NOW, Input::Document(Document { version: 1, body: tokens }));
    core.handle(NOW, Input::Document(Document { version: 1, body: DocumentBody::Tariffs(tariffs()) }));
    core
}

fn tariffs() -> TariffsDoc {
    let energy = PriceComponent { dimension: Dimension::Energy, price_micros: 250_000, step: 1 };
    let tariff =
        Tariff { id: TariffId(Uuid::nil()), version: 3, currency: Currency::USD, components: vec![energy] };
    let assigned = [1, 2].map(|evse| TariffAssignment { station: station(), evse: EvseNo(evse), tariff: 0 });
    TariffsDoc { tariffs: vec![tariff], assigned: assigned.into() }
}

fn core() -> Core {
    core_of(Restored::default())
}

fn say(core: &mut Core, now: Timestamp, fact: StationFact) -> (Option<Reply>, Vec<Event>) {
    let effects =
        core.handle(now, Input::Station { station: station(), link: LINK, call: Some(CallId(1)), fact });
    let reply = effects.sends.iter().find_map(|send| match send {
        Send::Reply { reply, .. } => Some(reply.clone()),
        Send::Ask { .. }
        | Send::Withdraw { .. }
        | Send::Result(_)
        | Send::Directory(_)
        | Send::Prepare(_)
        | Send::Serve(_)
        | Send::Close(_)
        | Send::Gate(_)
        | Send::Make { .. }
        | Send::HangUp { .. } => None,
    });
    let counted = |event: &&Event| !matches!(event, Event::FindingNoted(_));
    let events = effects.events().filter(counted).cloned().collect();
    (reply, events)
}

fn start(evse: u16, token: &str, at: Timestamp, meter: i64) -> StationFact {
    let token = IdToken::new(token);
    StationFact::Start(StartFact {
        evse: EvseNo(evse),
        token,
        meter_start: Some(Wh(meter)),
        at: Some(at),
        zone_assumed: false,
        reservation: None,
    })
}

fn stop(tx_ref: &str, at: Timestamp, meter: i64) -> StationFact {
    StationFact::Stop(StopFact {
        tx_ref: Some(StationTxRef(tx_ref.into())),
        token: None,
        at: Some(at),
        zone_assumed: false,
        meter_stop: Some(Wh(meter)),
        reason: StopReason::Local,
        readings: vec![],
    })
}

fn started(core: &mut Core, evse: u16, token: &str, at: Timestamp, meter: i64) -> (String, AuthStatus) {
    match say(core, at, start(evse, token, at, meter)).0 {
        Some(Reply::Started { tx_ref, status, .. }) => (tx_ref.0, status),
        other => panic!("{other:?}"),
    }
}

fn stops(events: &[Event]) -> Vec<(Wh, Vec<SessionFlag>)> {
    let mut ended = Vec::new();
    for event in events {
        if let Event::SessionStopped(stopped) = event {
            ended.push((stopped.energy, stopped.flags.clone()));
        }
    }
    ended
}

#[test]
fn a_session_is_started_metered_stopped_and_priced() {
    let mut core = core();
    let (tx_ref, status) = started(&mut core, 1, "CARD ", NOW, 1000);
    assert_eq!(status, AuthStatus::Accepted, "tokens compare without case and space");
    let later = NOW.plus_millis(60_000);
    let reading = MeterReading::of_register(later, Wh(6000));
    let tx = Some(StationTxRef(tx_ref.clone()));
    let readings = StationFact::Readings { evse: EvseNo(1), tx_ref: tx, readings: vec![reading] };
    let (_, events) = say(&mut core, later, readings.clone());
    assert!(matches!(&events[..], [Event::SessionMetered(_)]));
    assert!(say(&mut core, later, readings).1.is_empty(), "the same reading again is no news");
    let (reply, events) = say(&mut core, later, stop(&tx_ref, later, 11_000));
    assert_eq!(reply, Some(Reply::Stopped(None)));
    assert_eq!(stops(&events), [(Wh(10_000), vec![])]);
    let Some(Event::SessionPriced(priced)) = events.last() else { panic!("{events:?}") };
    assert_eq!(priced.cost.total.to_string(), "2.50 USD");
}

#[test]
fn repeats_get_the_same_answer_and_make_no_fact() {
    let mut core = core();
    let first = say(&mut core, NOW, start(1, "card", NOW, 0));
    let again = say(&mut core, NOW.plus_millis(9), start(1, "Card", NOW, 0));
    assert_eq!(first.0, again.0);
    assert!(again.1.is_empty(), "{:?}", again.1);
    let Some(Reply::Started { tx_ref, .. }) = first.0 else { panic!() };
    say(&mut core, NOW, stop(&tx_ref.0, NOW, 5));
    assert!(say(&mut core, NOW, stop(&tx_ref.0, NOW, 5)).1.is_empty());
    let (_, events) = say(&mut core, NOW, stop(&tx_ref.0, NOW, 7));
    assert!(
        matches!(&events[..], [Event::StopUnmatched(_)]),
        "another stop is shown to an operator: {events:?}"
    );
    assert!(say(&mut core, NOW, stop(&tx_ref.0, NOW, 7)).1.is_empty(), "once");
}

#[test]
fn repeats_are_known_after_a_restart() {
    let mut core = core();
    let (tx_ref, _) = started(&mut core, 1, "card", NOW, 0);
    let session = core.sessions.open().next().unwrap().clone();
    let mut after = core_of(Restored { sessions: vec![session], tx_ref_floor: 0, ..Restored::default() });
    assert_eq!(started(&mut after, 1, "card", NOW, 0).0, tx_ref);
    assert_eq!(stops(&say(&mut after, NOW, stop(&tx_ref, NOW, 3)).1), [(Wh(3), vec![])]);
}

#[test]
fn a_refused_token_still_gets_a_reference_and_is_flagged() {
    let mut core = core();
    for (token, status) in [("stolen", AuthStatus::Blocked), ("nobody", AuthStatus::Invalid)] {
        let (reply, events) = say(&mut core, NOW, start(1, token, NOW, 0));
        assert!(matches!(reply, Some(Reply::Started { status: told, .. }) if told == status));
        let Some(Event::SessionStarted(started)) = events.last() else { panic!("{events:?}") };
        assert_eq!(started.flags, [SessionFlag::NotAuthorised]);
    }
}

#[test]
fn a_stop_without_our_reference_ends_the_only_session_it_can_mean() {
    for tx_ref in ["0", "-1"] {
        let mut core = core();
        started(&mut core, 1, "card", NOW, 100);
        let (_, events) = say(&mut core, NOW, stop(tx_ref, NOW, 150));
        assert_eq!(stops(&events), [(Wh(50), vec![SessionFlag::UnknownTxRef])]);
    }
    let mut core = core();
    started(&mut core, 1, "card", NOW, 100);
    started(&mut core, 2, "card", NOW, 100);
    let (_, events) = say(&mut core, NOW, stop("0", NOW, 150));
    assert!(matches!(&events[..], [Event::StopUnmatched(_)]), "never guessed among several: {events:?}");
}

#[test]
fn one_station_cannot_stop_anothers_session() {
    let mut core = core();
    let (tx_ref, _) = started(&mut core, 1, "card", NOW, 100);
    let thief = StationId::new("CP2").unwrap();
    let fact = stop(&tx_ref, NOW, 100);
    let effects =
        core.handle(NOW, Input::Station { station: thief, link: LinkId(2), call: Some(CallId(1)), fact });
    let tells = |event: &Event| matches!(event, Event::StopUnmatched(_) | Event::FindingNoted(_));
    assert!(effects.events().all(tells));
    assert_eq!(core.sessions.open().count(), 1);
}

#[test]
fn a_register_that_went_back_bills_what_was_seen() {
    let mut core = core();
    let (tx_ref, _) = started(&mut core, 1, "card", NOW, 1000);
    let reading = MeterReading::of_register(NOW.plus_millis(1), Wh(1700));
    let tx = Some(StationTxRef(tx_ref.clone()));
    say(&mut core, NOW, StationFact::Readings { evse: EvseNo(1), tx_ref: tx, readings: vec![reading] });
    let (_, events) = say(&mut core, NOW, stop(&tx_ref, NOW.plus_millis(2), 3));
    assert_eq!(stops(&events), [(Wh(700), vec![SessionFlag::RegisterWentBack])]);
}

#[test]
fn a_session_whose_stop_never_came_is_closed_when_another_has_long_begun() {
    let mut core = core();
    started(&mut core, 1, "card", NOW, 0);
    let reading = MeterReading::of_register(NOW.plus_millis(5), Wh(42));
    say(&mut core, NOW, StationFact::Readings { evse: EvseNo(1), tx_ref: None, readings: vec![reading] });
    started(&mut core, 1, "card", NOW.plus_millis(1000), 50);
    let due = core.next_deadline().expect("the orphan has a deadline");
    assert!(core.handle(due.plus_millis(-1), Input::Tick).events().next().is_none());
    let events: Vec<Event> = core.handle(due, Input::Tick).events().cloned().collect();
    assert_eq!(stops(&events), [(Wh(42), vec![SessionFlag::UnknownTxRef])]);
    assert_eq!(core.next_deadline(), None);
    assert_eq!(core.sessions.open().count(), 1);
}

// --- commands

fn remote_start(id: u128, token: &str) -> Command {
    let body = CommandBody::RemoteStart { evse: Some(EvseNo(1)), token: IdToken::new(token) };
    let expires_at = NOW.plus_millis(30_000);
    Command {
        id: CommandId(Uuid::from_u128(id)),
        issued_at: NOW,
        expires_at,
        station: station(),
        body,
        waits: false,
        origin: Origin::Cloud,
    }
}

/// Connects, boots and settles.
fn connect(core: &mut Core) {
    let before = NOW.plus_millis(-60_000);
    arrive(core, before);
    core.handle(before.plus_millis(5_000), Input::Tick);
}

/// Connects and boots.
fn arrive(core: &mut Core, now: Timestamp) -> Effects {
    let mut all = Effects::default();
    for fact in [StationFact::Connected, StationFact::Booted(StationInfo::default())] {
        let call = matches!(fact, StationFact::Booted(_)).then_some(CallId(1));
        let effects = core.handle(now, Input::Station { station: station(), link: LINK, call, fact });
        all.writes.extend(effects.writes);
        all.sends.extend(effects.sends);
    }
    all
}

/// What stations are asked for.
fn asks(effects: &Effects) -> Vec<CommandBody> {
    let mut asks = Vec::new();
    for send in &effects.sends {
        if let Send::Ask { ask: Ask::Command(body), .. } = send {
            asks.push(body.clone());
        }
    }
    asks
}

fn outcome(effects: &Effects) -> Option<Outcome> {
    effects.events().find_map(|event| {
        let Event::CommandFinished(result) = event else { return None };
        Some(result.outcome)
    })
}

#[test]
fn a_remote_start_is_asked_once_and_names_the_session_it_caused() {
    let mut core = core();
    connect(&mut core);
    let command = remote_start(7, "APPTOKEN");
    let effects = core.handle(NOW, Input::Command(command.clone()));
    assert!(
        matches!(effects.writes[..], [Write::Command { result: None, .. }]),
        "the intent is committed first"
    );
    assert!(matches!(effects.sends[..], [Send::Ask { .. }]));
    assert_eq!(
        core.handle(NOW, Input::Command(command.clone())),
        Effects::default(),
        "a repeat asks nothing"
    );
    let end = AskEnd::plain(Outcome::Accepted, "Accepted");
    assert_eq!(
        outcome(&core.handle(NOW, Input::Asked { command: command.id, end })),
        Some(Outcome::Accepted)
    );
    let repeat = core.handle(NOW, Input::Command(command.clone()));
    assert!(matches!(repeat.sends[..], [Send::Result(_)]), "a repeat of an ended one gets its result");
    let (_, events) = say(&mut core, NOW, start(1, "APPTOKEN", NOW, 0));
    let Some(Event::SessionStarted(started)) = events.first() else { panic!("{events:?}") };
    assert_eq!((started.auth, started.authorised_by), (AuthStatus::Accepted, AuthorisedBy::Remote));
    assert_eq!(started.caused_by, Some(command.id));
    let (reply, _) = say(&mut core, NOW, start(2, "APPTOKEN", NOW, 0));
    assert!(
        matches!(reply, Some(Reply::Started { status: AuthStatus::Invalid, .. })),
        "one start, one session"
    );
}

#[test]
fn every_command_ends() {
    let mut core = core();
    let offline = core.handle(NOW, Input::Command(remote_start(1, "A")));
    assert_eq!(outcome(&offline), Some(Outcome::StationOffline));
    connect(&mut core);
    let late = core.handle(NOW.plus_millis(30_000), Input::Command(remote_start(2, "A")));
    assert_eq!(outcome(&late), Some(Outcome::Expired));
    core.handle(NOW, Input::Command(remote_start(3, "A")));
    let due = core.next_deadline().unwrap();
    assert_eq!(outcome(&core.handle(due, Input::Tick)), Some(Outcome::TimedOut));
    let end = AskEnd::plain(Outcome::Accepted, "");
    let too_late = core.handle(due, Input::Asked { command: CommandId(Uuid::from_u128(3)), end });
    assert_eq!(too_late, Effects::default(), "it has ended already");
    let session = shared::id::SessionId(Uuid::from_u128(99));
    let stop = Command { body: CommandBody::RemoteStop { session }, ..remote_start(4, "A") };
    assert_eq!(outcome(&core.handle(NOW, Input::Command(stop))), Some(Outcome::Rejected));
}

#[test]
fn a_crash_in_the_middle_never_repeats_what_must_not_run_twice() {
    let reset = Command { body: CommandBody::Reset { hard: false }, ..remote_start(1, "") };
    let read = Command { body: CommandBody::GetConfiguration { keys: vec![] }, ..remote_start(2, "") };
    let stored = |command: &Command| StoredCommand { command: command.clone(), waiting: false, result: None };
    let mut core = core_of(Restored { commands: vec![stored(&reset), stored(&read)], ..Restored::default() });
    let effects = core.handle(NOW, Input::Restarted);
    assert_eq!(outcome(&effects), Some(Outcome::Unknown));
    assert_eq!(asks(&arrive(&mut core, NOW)), [read.body]);
}

#[test]
fn an_older_document_is_never_applied() {
    let mut core = core();
    let none =
        DocumentBody::Tokens(TokensDoc { unknown: AuthStatus::Accepted, on_stations: false, tokens: vec![] });
    assert_eq!(
        core.handle(NOW, Input::Document(Document { version: 1, body: none.clone() })),
        Effects::default()
    );
    assert!(!core.handle(NOW, Input::Document(Document { version: 2, body: none })).writes.is_empty());
}

// --- cards

fn entry(token: &str, status: AuthStatus, group: Option<&str>) -> TokenEntry {
    TokenEntry { token: token.into(), status, expires_at: None, group: group.map(str::to_owned) }
}

fn public(version: u64, part: u16, tokens: Vec<TokenEntry>) -> Input {
    Input::Document(Document { version, body: DocumentBody::PublicTokens(PublicTokensDoc { part, tokens }) })
}

fn authorized(core: &mut Core, token: &str) -> AuthStatus {
    match say(core, NOW, StationFact::Authorize { token: IdToken::new(token) }).0 {
        Some(Reply::Authorized { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_public_list_comes_in_parts_and_the_sites_own_goes_before() {
    let mut core = core();
    assert_eq!(authorized(&mut core, "guest"), AuthStatus::Invalid);
    core.handle(NOW, public(1, 0, vec![entry("guest", AuthStatus::Accepted, None)]));
    core.handle(NOW, public(1, 1, vec![entry("stolen", AuthStatus::Accepted, None)]));
    assert_eq!(authorized(&mut core, "Guest"), AuthStatus::Accepted);
    assert_eq!(authorized(&mut core, "stolen"), AuthStatus::Blocked, "the own list has barred it");
    core.handle(NOW, public(2, 0, vec![]));
    assert_eq!(authorized(&mut core, "guest"), AuthStatus::Invalid, "gone from its part");
    assert_eq!(core.documents().len(), 4, "each part has its own version");
}

#[test]
fn a_group_is_told_when_a_session_begins() {
    let mut core = core();
    core.handle(NOW, public(1, 0, vec![entry("van", AuthStatus::Accepted, Some("group-7"))]));
    let (reply, _) = say(&mut core, NOW, start(1, "VAN", NOW, 0));
    let Some(Reply::Started { group, .. }) = reply else { panic!("{reply:?}") };
    assert_eq!(group.as_deref(), Some("group-7"));
}

#[test]
fn an_unknown_card_is_told_of_and_a_known_one_is_a_decision() {
    let mut core = core();
    let authorize = |token: &str| StationFact::Authorize { token: IdToken::new(token) };
    let (_, events) = say(&mut core, NOW, authorize("04A2B3C4"));
    let [Event::UnknownCardSeen(seen)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((seen.evse, seen.token.as_str()), (None, "04A2B3C4"));
    assert!(say(&mut core, NOW, authorize("04A2B3C4")).1.is_empty(), "held on, it is the same fact");
    assert!(matches!(say(&mut core, NOW, authorize("stolen")).1[..], [Event::AuthorisationDecided(_)]));
    let (_, events) = say(&mut core, NOW, start(2, "04FFFFFF", NOW, 0));
    let seen = events
        .iter()
        .find_map(|event| if let Event::UnknownCardSeen(it) = event { Some(it.evse) } else { None });
    assert_eq!(seen, Some(Some(EvseNo(2))), "a station may start without asking: {events:?}");
    assert!(
        events.iter().any(|event| matches!(event, Event::SessionStarted(_))),
        "and its start is kept as ever"
    );
}

proptest! {
    /// However a station repeats and interleaves its starts and stops: one session per start, one end per session, the
    /// energy that its meter saw.
    #[test]
    fn repeats_in_any_order_make_one_session_each(
        meters in prop::collection::vec(1_i64..50_000, 1..6),
        repeats in prop::collection::vec((0_usize..6, any::<bool>()), 0..40),
    ) {
        let mut core = core();
        let (mut register, mut known) = (0, Vec::new());
        let (mut begun, mut ended) = (0, Vec::new());
        let mut hear = |core: &mut Core, fact: StationFact| {
            let (reply, events) = say(core, NOW.plus_millis(86_000_000), fact);
            begun += events.iter().filter(|event| matches!(event, Event::SessionStarted(_))).count();
            ended.extend(stops(&events));
            reply
        };
        for (place, energy) in meters.iter().enumerate() {
            let at = NOW.plus_millis(i64::try_from(place).unwrap() * 60_000);
            let started = start(1, "card", at, register);
            let Some(Reply::Started { tx_ref, .. }) = hear(&mut core, started.clone()) else { panic!() };
            register += energy;
            let stopped = stop(&tx_ref.0, at.plus_millis(30_000), register);
            hear(&mut core, stopped.clone());
            known.push((started, tx_ref, stopped));
            for (which, is_start) in &repeats {
                let (started, tx_ref, stopped) = &known[which % known.len()];
                match hear(&mut core, if *is_start { started.clone() } else { stopped.clone() }) {
                    Some(Reply::Started { tx_ref: again, .. }) => prop_assert_eq!(&again, tx_ref),
                    other => prop_assert_eq!(other, Some(Reply::Stopped(None))),
                }
            }
        }
        prop_assert_eq!(begun, meters.len());
        prop_assert_eq!(ended, meters.iter().map(|energy| (Wh(*energy), vec![])).collect::<Vec<_>>());
    }
}
