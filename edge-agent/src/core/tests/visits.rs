//! When a station may be asked what: QUIRKS Q8, Q14 to Q18.

use shared::model::command::TriggeredMessage;
use shared::model::event::StatusChanged;
use shared::model::{ConnectorStatus, StationInfo};

use super::*;

fn trigger(message: TriggeredMessage) -> CommandBody {
    CommandBody::Trigger { message, evse: None }
}

fn link_up(core: &mut Core, now: Timestamp) -> Effects {
    let fact = StationFact::Connected;
    core.handle(now, Input::Station { station: station(), link: LINK, call: None, fact })
}

fn reports(core: &mut Core, now: Timestamp, evse: Option<u16>) {
    let (station, evse, status) = (station(), evse.map(EvseNo), ConnectorStatus::Available);
    say(core, now, StationFact::Status(StatusChanged { station, evse, status, error: None, at: now }));
}

fn tick(core: &mut Core) -> (Timestamp, Effects) {
    let due = core.next_deadline().expect("something is due");
    (due, core.handle(due, Input::Tick))
}

#[test]
fn q16_nothing_is_asked_before_a_station_has_booted() {
    let mut core = core();
    link_up(&mut core, NOW);
    let reset = Command { body: CommandBody::Reset { hard: false }, ..remote_start(1, "") };
    let effects = core.handle(NOW, Input::Command(reset.clone()));
    assert!(effects.sends.is_empty() && outcome(&effects).is_none(), "it waits: {effects:?}");
    let fact = StationFact::Booted(StationInfo::default());
    let boot =
        core.handle(NOW, Input::Station { station: station(), link: LINK, call: Some(CallId(1)), fact });
    assert_eq!(asks(&boot), [reset.body]);
    assert!(matches!(boot.sends[0], Send::Reply { .. }), "the answer first");
}

#[test]
fn q14_q15_q17_a_station_that_never_boots_is_asked_to_once_in_ten_minutes() {
    let mut core = core();
    link_up(&mut core, NOW);
    say(&mut core, NOW, StationFact::Authorize { token: IdToken::new("card") });
    let (at, effects) = tick(&mut core);
    assert_eq!(at, NOW.plus_millis(30_000), "it is left alone for a while");
    assert_eq!(asks(&effects), [trigger(TriggeredMessage::BootNotification)]);
    for minute in 1..9 {
        let now = NOW.plus_millis(minute * 60_000);
        link_up(&mut core, now);
        let effects = core.handle(now.plus_millis(30_000), Input::Tick);
        assert!(!asks(&effects).contains(&trigger(TriggeredMessage::BootNotification)), "minute {minute}");
    }
}

#[test]
fn a_station_that_talks_on_after_its_line_broke_has_not_restarted() {
    let mut core = core();
    connect(&mut core);
    link_up(&mut core, NOW);
    let reset = Command { body: CommandBody::Reset { hard: false }, ..remote_start(1, "") };
    core.handle(NOW, Input::Command(reset.clone()));
    let fact = StationFact::Authorize { token: IdToken::new("card") };
    let call = Some(CallId(1));
    let effects = core.handle(NOW, Input::Station { station: station(), link: LINK, call, fact });
    assert_eq!(asks(&effects), [reset.body]);
}

#[test]
fn a_station_that_talks_on_after_the_gateway_restarted_has_not_restarted_either() {
    let mut before = core();
    let boot = arrive(&mut before, NOW);
    let stations = boot.writes.iter().filter_map(|write| {
        if let Write::Known(station, info) = write { Some((station.clone(), (**info).clone())) } else { None }
    });
    let mut core = core_of(Restored { stations: stations.collect(), ..Restored::default() });
    link_up(&mut core, NOW);
    let reset = Command { body: CommandBody::Reset { hard: false }, ..remote_start(1, "") };
    core.handle(NOW, Input::Command(reset.clone()));
    let fact = StationFact::Authorize { token: IdToken::new("card") };
    let call = Some(CallId(1));
    let effects = core.handle(NOW, Input::Station { station: station(), link: LINK, call, fact });
    assert_eq!(asks(&effects), [reset.body]);
    let again = core.handle(
        NOW,
        Input::Station {
            station: station(),
            link: LINK,
            call: Some(CallId(2)),
            fact: StationFact::Booted(StationInfo::default()),
        },
    );
    assert!(!again.writes.iter().any(|write| matches!(write, Write::Known(..))), "it is known");
}

#[test]
fn what_was_held_back_beyond_its_time_is_not_asked() {
    let mut core = core();
    link_up(&mut core, NOW);
    let expires_at = NOW.plus_millis(20_000);
    let reset = Command { body: CommandBody::Reset { hard: false }, expires_at, ..remote_start(1, "") };
    core.handle(NOW, Input::Command(reset.clone()));
    let expired = core.handle(expires_at, Input::Tick);
    assert_eq!(outcome(&expired), Some(Outcome::TimedOut));
    let (_, effects) = tick(&mut core);
    assert_eq!(asks(&effects), [trigger(TriggeredMessage::BootNotification)]);
}

#[test]
fn what_waits_at_the_line_beyond_its_time_is_withdrawn() {
    let mut core = core();
    connect(&mut core);
    let command = remote_start(1, "card");
    core.handle(NOW, Input::Command(command.clone()));
    let expired = core.handle(command.expires_at, Input::Tick);
    assert!(expired.sends.contains(&Send::Withdraw { link: LINK, command: command.id }), "{expired:?}");
}

#[test]
fn statuses_that_are_owed_are_asked_for_by_one_trigger_when_the_burst_is_over() {
    let mut core = core();
    for n in 0..3 {
        arrive(&mut core, NOW.plus_millis(n * 1000));
    }
    reports(&mut core, NOW.plus_millis(2_500), Some(1));
    let (at, effects) = tick(&mut core);
    assert_eq!(at, NOW.plus_millis(7_000), "counted from the last boot");
    let wanted = trigger(TriggeredMessage::StatusNotification);
    assert_eq!(asks(&effects).iter().filter(|ask| **ask == wanted).count(), 1, "connector 0 is missing");
    assert_eq!(core.next_deadline(), None);

    arrive(&mut core, NOW.plus_millis(10_000));
    reports(&mut core, NOW.plus_millis(10_000), None);
    reports(&mut core, NOW.plus_millis(10_000), Some(1));
    let (_, effects) = tick(&mut core);
    assert!(!asks(&effects).contains(&wanted), "it told all");
    assert!(core.stations[&station()].whole.is_some(), "connector 0 is the station as a whole");
}
