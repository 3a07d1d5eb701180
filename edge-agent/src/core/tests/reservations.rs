//! An EVSE kept for a driver: asked for, kept by the station or by the site, used, cancelled, over.

use shared::id::ReservationId;
use shared::model::event::StatusChanged;
use shared::model::reservation::{Reservation, ReservationEnd};
use shared::model::{ConnectorStatus, StationInfo};

use super::*;

const HOUR: i64 = 3_600_000;

fn reserve(command: u128, id: i32, until: Timestamp) -> Command {
    let reservation = Reservation {
        id: ReservationId(id),
        evse: EvseNo(1),
        token: IdToken::new("OWNER"),
        group: Some("g".into()),
        until,
    };
    Command { body: CommandBody::Reserve(reservation), ..remote_start(command, "") }
}

fn cancel(command: u128, id: i32) -> Command {
    let body = CommandBody::CancelReservation { reservation: ReservationId(id) };
    Command { body, ..remote_start(command, "") }
}

fn answered(core: &mut Core, command: u128, outcome: Outcome) -> Effects {
    let command = CommandId(Uuid::from_u128(command));
    core.handle(NOW, Input::Asked { command, end: AskEnd::plain(outcome, "") })
}

fn report(core: &mut Core, status: ConnectorStatus) -> Vec<Event> {
    let (station, evse) = (station(), Some(EvseNo(1)));
    say(core, NOW, StationFact::Status(StatusChanged { station, evse, status, error: None, at: NOW })).1
}

/// A core whose station, free, has answered a reservation of an hour with this.
fn reserved(outcome: Outcome) -> (Core, Effects) {
    let mut core = core();
    connect(&mut core);
    report(&mut core, ConnectorStatus::Available);
    core.handle(NOW, Input::Command(reserve(1, 7, NOW.plus_millis(HOUR))));
    let effects = answered(&mut core, 1, outcome);
    (core, effects)
}

fn status_of_start(core: &mut Core, token: &str, at: Timestamp) -> AuthStatus {
    started(core, 1, token, at, 0).1
}

fn ended(events: &[Event]) -> Option<ReservationEnd> {
    events.iter().find_map(|event| if let Event::ReservationEnded(it) = event { Some(it.end) } else { None })
}

#[test]
fn the_station_is_asked_and_its_word_is_the_outcome() {
    for said in
        [Outcome::Accepted, Outcome::Occupied, Outcome::Faulted, Outcome::Unavailable, Outcome::Failed]
    {
        let (mut core, effects) = reserved(said);
        assert_eq!(outcome(&effects), Some(said));
        let expected = if said == Outcome::Accepted { AuthStatus::Blocked } else { AuthStatus::Accepted };
        assert_eq!(status_of_start(&mut core, "card", NOW), expected, "{said:?}");
    }
}

#[test]
fn a_station_that_keeps_none_leaves_it_to_the_site() {
    for said in [Outcome::NotSupported, Outcome::Rejected] {
        let (mut core, effects) = reserved(said);
        assert_eq!(outcome(&effects), Some(Outcome::BySite));
        assert_eq!(authorized(&mut core, "card"), AuthStatus::Blocked, "the only connector is not his");
        assert_eq!(authorized(&mut core, "OWNER"), AuthStatus::Accepted, "in no list, but reserved for");
        let (reply, events) = say(&mut core, NOW, start(1, "card", NOW, 0));
        let Some(Reply::Started { status, expires_at, .. }) = reply else { panic!("{reply:?}") };
        assert_eq!((status, expires_at), (AuthStatus::Blocked, Some(NOW.plus_millis(HOUR))));
        let Some(Event::SessionStarted(session)) = events.last() else { panic!("{events:?}") };
        assert_eq!(session.authorised_by, AuthorisedBy::Reservation, "it is told and kept all the same");
        assert_eq!(session.flags, [SessionFlag::NotAuthorised]);
    }
}

#[test]
fn the_site_keeps_nothing_that_is_in_use() {
    for (status, expected) in [
        (ConnectorStatus::Preparing, Outcome::Occupied),
        (ConnectorStatus::Faulted, Outcome::Faulted),
        (ConnectorStatus::Unavailable, Outcome::Unavailable),
    ] {
        let mut core = core();
        connect(&mut core);
        report(&mut core, status);
        core.handle(NOW, Input::Command(reserve(1, 7, NOW.plus_millis(HOUR))));
        assert_eq!(outcome(&answered(&mut core, 1, Outcome::NotSupported)), Some(expected));
        assert_eq!(core.next_deadline(), None, "nothing is left of it");
    }
}

#[test]
fn a_card_is_checked_where_the_station_keeps_the_reservation() {
    let (mut core, _) = reserved(Outcome::Accepted);
    assert_eq!(authorized(&mut core, "card"), AuthStatus::Accepted, "the station asks for its group only");
}

#[test]
fn its_driver_uses_it_up() {
    for said in [Outcome::Accepted, Outcome::NotSupported] {
        let (mut core, _) = reserved(said);
        let (_, events) = say(&mut core, NOW, start(1, "owner", NOW, 0));
        assert!(matches!(ended(&events), Some(ReservationEnd::Used(_))), "{events:?}");
        assert_eq!(status_of_start(&mut core, "card", NOW.plus_millis(1)), AuthStatus::Accepted);
    }
}

#[test]
fn so_does_a_card_of_his_group_and_a_start_that_names_it() {
    let (mut core, _) = reserved(Outcome::Accepted);
    core.handle(NOW, public(1, 0, vec![entry("van", AuthStatus::Accepted, Some("g"))]));
    assert!(ended(&say(&mut core, NOW, start(1, "VAN", NOW, 0)).1).is_some());

    let (mut core, _) = reserved(Outcome::Accepted);
    let elsewhere = |token: &str, at: Timestamp| {
        let StationFact::Start(start) = start(2, token, at, 0) else { unreachable!() };
        StationFact::Start(StartFact { reservation: Some(ReservationId(7)), ..start })
    };
    assert_eq!(ended(&say(&mut core, NOW, elsewhere("card", NOW)).1), None, "it is not his to name");
    assert!(ended(&say(&mut core, NOW, elsewhere("OWNER", NOW.plus_millis(1))).1).is_some());
}

#[test]
fn what_began_before_it_was_made_is_none_of_its_business() {
    let (mut core, _) = reserved(Outcome::Accepted);
    assert_eq!(status_of_start(&mut core, "card", NOW.plus_millis(-HOUR)), AuthStatus::Accepted);
}

#[test]
fn a_remote_start_is_for_its_driver_only() {
    let (mut core, _) = reserved(Outcome::NotSupported);
    let refused = core.handle(NOW, Input::Command(remote_start(2, "card")));
    assert_eq!(outcome(&refused), Some(Outcome::Rejected));
    let asked = core.handle(NOW, Input::Command(remote_start(3, "OWNER")));
    assert!(matches!(asked.sends[..], [Send::Ask { .. }]));
}

#[test]
fn one_at_a_time_and_the_same_again_moves_its_end() {
    let (mut core, _) = reserved(Outcome::Accepted);
    let second = core.handle(NOW, Input::Command(reserve(2, 8, NOW.plus_millis(HOUR))));
    assert_eq!(outcome(&second), Some(Outcome::Occupied));
    core.handle(NOW, Input::Command(reserve(3, 7, NOW.plus_millis(2 * HOUR))));
    answered(&mut core, 3, Outcome::Accepted);
    assert_eq!(core.next_deadline(), Some(NOW.plus_millis(2 * HOUR)));
    core.handle(NOW, Input::Command(reserve(4, 7, NOW.plus_millis(3 * HOUR))));
    answered(&mut core, 4, Outcome::Failed);
    assert_eq!(core.next_deadline(), Some(NOW.plus_millis(2 * HOUR)), "as it was");
}

#[test]
fn it_ends_at_its_hour_and_with_the_connectors_service() {
    let (mut core, _) = reserved(Outcome::Accepted);
    let end = core.next_deadline().unwrap();
    let effects = core.handle(end, Input::Tick);
    assert_eq!(effects.writes, [Write::ReservationGone(ReservationId(7))]);
    assert_eq!((core.next_deadline(), status_of_start(&mut core, "card", end)), (None, AuthStatus::Accepted));
    let late =
        core.handle(end, Input::Command(Command { expires_at: end.plus_millis(1), ..reserve(2, 9, end) }));
    assert_eq!(outcome(&late), Some(Outcome::Expired));

    let (mut core, _) = reserved(Outcome::Accepted);
    assert_eq!(ended(&report(&mut core, ConnectorStatus::Reserved)), None);
    assert_eq!(ended(&report(&mut core, ConnectorStatus::Faulted)), Some(ReservationEnd::Dropped));
    assert_eq!(core.next_deadline(), None);
}

#[test]
fn it_is_cancelled_with_its_station_or_without() {
    let (mut core, _) = reserved(Outcome::NotSupported);
    assert_eq!(outcome(&core.handle(NOW, Input::Command(cancel(2, 7)))), Some(Outcome::Accepted));

    let (mut core, _) = reserved(Outcome::Accepted);
    let effects = core.handle(NOW, Input::Command(cancel(2, 7)));
    assert_eq!(asks(&effects), [cancel(2, 7).body]);
    assert_eq!(status_of_start(&mut core, "card", NOW), AuthStatus::Accepted, "from now on");
    assert_eq!(outcome(&answered(&mut core, 2, Outcome::Rejected)), Some(Outcome::Accepted), "it has none");
    assert_eq!(core.next_deadline(), None);

    let (mut core, _) = reserved(Outcome::Accepted);
    let fact = StationFact::Disconnected;
    core.handle(NOW, Input::Station { station: station(), link: LINK, call: None, fact });
    assert_eq!(outcome(&core.handle(NOW, Input::Command(cancel(2, 7)))), Some(Outcome::Accepted));
    let back = arrive(&mut core, NOW);
    assert_eq!(asks(&back), [cancel(2, 7).body], "told as soon as it is back");
}

#[test]
fn a_station_that_was_silent_is_told_that_nobody_counts_on_it() {
    let mut core = core();
    connect(&mut core);
    core.handle(NOW, Input::Command(reserve(1, 7, NOW.plus_millis(HOUR))));
    let effects = core.handle(NOW.plus_millis(30_000), Input::Tick);
    assert_eq!(outcome(&effects), Some(Outcome::TimedOut));
    assert_eq!(asks(&effects), [cancel(2, 7).body]);
    assert_eq!(status_of_start(&mut core, "card", NOW.plus_millis(30_000)), AuthStatus::Accepted);
}

#[test]
fn it_survives_a_restart_and_a_station_that_restarts_is_reminded() {
    let (mut core, effects) = reserved(Outcome::Accepted);
    let held = effects.writes.iter().find_map(|write| match write {
        Write::Reservation(held) => Some((**held).clone()),
        Write::Event(_)
        | Write::Session(_)
        | Write::Command { .. }
        | Write::Document(_)
        | Write::TxRefFloor(_)
        | Write::ReservationGone(_)
        | Write::Errand(_)
        | Write::ErrandGone(_)
        | Write::DecidedHere(_)
        | Write::Settings(_)
        | Write::SettingsMemory(..)
        | Write::SecurityMemory(..)
        | Write::Known(..)
        | Write::CommandWaits(_)
        | Write::LocalList(_)
        | Write::Finding(_)
        | Write::Suggested(_) => None,
    });
    let mut after = core_of(Restored { reservations: vec![held.unwrap()], ..Restored::default() });
    assert_eq!(status_of_start(&mut after, "card", NOW), AuthStatus::Blocked);

    let fact = StationFact::Booted(StationInfo::default());
    let boot =
        core.handle(NOW, Input::Station { station: station(), link: LINK, call: Some(CallId(1)), fact });
    assert!(matches!(boot.sends[..], [Send::Reply { .. }, Send::Ask { .. }]), "after the answer: {boot:?}");
}
