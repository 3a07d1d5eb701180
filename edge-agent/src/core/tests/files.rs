//! Errands: the place is made ready, the station asked, its words heard, silence and restarts survived.

use shared::id::FirmwareId;
use shared::model::StationInfo;
use shared::model::file::{
    FirmwareImage, FirmwareState, FirmwareUpdate, LogKind, LogRequest, LogState, ReceivedFile, Retries,
    Sha256,
};

use super::*;

const MINUTE: i64 = 60_000;
const RETRIES: Retries = Retries { count: None, interval_s: None };

fn update(command: u128) -> Command {
    let image = FirmwareImage {
        id: FirmwareId(Uuid::nil()),
        file_name: "f.bin".into(),
        version: "2.0".into(),
        size: 9,
        sha256: Sha256([0; 32]),
    };
    let update = FirmwareUpdate {
        image,
        signature: None,
        retrieve_at: None,
        install_at: None,
        retries: RETRIES,
        transfer: None,
    };
    Command {
        body: CommandBody::UpdateFirmware(Box::new(update)),
        expires_at: NOW.plus_millis(60 * MINUTE),
        ..remote_start(command, "")
    }
}

fn log(command: u128) -> Command {
    let log =
        LogRequest { kind: LogKind::Diagnostics, from: None, to: None, retries: RETRIES, transfer: None };
    Command { body: CommandBody::RequestLog(log), ..remote_start(command, "") }
}

fn id(command: u128) -> CommandId {
    CommandId(Uuid::from_u128(command))
}

fn slot() -> Slot {
    Slot { secret: "s".into(), location: "http://g/s".into(), until: NOW.plus_millis(60 * MINUTE) }
}

fn prepared(core: &mut Core, command: u128) -> Effects {
    core.handle(NOW, Input::Prepared { command: id(command), prepared: Ok(slot()) })
}

fn answered(core: &mut Core, command: u128, outcome: Outcome) -> Effects {
    core.handle(NOW, Input::Asked { command: id(command), end: AskEnd::plain(outcome, "") })
}

fn tells(core: &mut Core, at: Timestamp, state: FileState) -> Vec<Event> {
    say(core, at, StationFact::FileStatus { state, request: None }).1
}

fn firmware(state: FirmwareState) -> FileState {
    FileState::Firmware(state)
}

/// The news in these events: of which command, and what.
fn news(events: impl IntoIterator<Item = Event>) -> Vec<(Option<u128>, String)> {
    let mut news = Vec::new();
    for event in events {
        if let Event::FirmwareProgressed(it) = &event {
            news.push((it.update.map(|id| id.0.as_u128()), it.state.name()));
        } else if let Event::LogProgressed(it) = &event {
            news.push((it.log.map(|id| id.0.as_u128()), it.state.name()));
        }
    }
    news
}

fn of(effects: &Effects) -> Vec<(Option<u128>, String)> {
    news(effects.events().cloned())
}

/// A station that has agreed to an update.
fn updating() -> Core {
    let mut core = core();
    connect(&mut core);
    core.handle(NOW, Input::Command(update(1)));
    prepared(&mut core, 1);
    answered(&mut core, 1, Outcome::Accepted);
    core
}

#[test]
fn the_image_is_fetched_then_the_station_asked_then_its_words_are_news() {
    let mut core = core();
    connect(&mut core);
    let effects = core.handle(NOW, Input::Command(update(1)));
    assert!(matches!(&effects.sends[..], [Send::Prepare(_)]), "{effects:?}");
    assert_eq!(of(&effects), [(Some(1), "Fetching".into())]);
    let effects = prepared(&mut core, 1);
    let asked = |send: &Send| matches!(send, Send::Ask { ask: Ask::UpdateFirmware { location, .. }, .. } if location == "http://g/s");
    assert!(effects.sends.iter().any(asked), "{effects:?}");
    assert_eq!(of(&answered(&mut core, 1, Outcome::Accepted)), [(Some(1), "Accepted".into())]);
    let downloading = firmware(FirmwareState::Downloading);
    assert_eq!(news(tells(&mut core, NOW, downloading)), [(Some(1), "Downloading".into())]);
    assert!(news(tells(&mut core, NOW, downloading)).is_empty(), "the same again is no news");
    let booted = StationFact::Booted(StationInfo { firmware: Some("2.0".into()), ..StationInfo::default() });
    assert_eq!(news(say(&mut core, NOW, booted).1), [(Some(1), "Installed".into())]);
    assert!(news(tells(&mut core, NOW, firmware(FirmwareState::Installed))).is_empty());
    assert_eq!(
        news(tells(&mut core, NOW, downloading)),
        [(None, "Downloading".into())],
        "nobody here ordered that"
    );
}

#[test]
fn an_image_that_cannot_be_had_and_a_station_that_says_no_are_clear_ends() {
    let mut core = core();
    connect(&mut core);
    core.handle(NOW, Input::Command(update(1)));
    let effects = core.handle(NOW, Input::Prepared { command: id(1), prepared: Err("no room".into()) });
    assert_eq!(of(&effects), [(Some(1), "FetchFailed".into())]);
    assert!(effects.sends.contains(&Send::Close(id(1))));
    core.handle(NOW, Input::Command(update(2)));
    prepared(&mut core, 2);
    assert_eq!(of(&answered(&mut core, 2, Outcome::Rejected)), [(Some(2), "Refused".into())]);
}

#[test]
fn silence_is_given_up_and_a_late_word_still_counts() {
    let mut core = updating();
    core.set_patience_with_files(std::time::Duration::from_secs(600));
    tells(&mut core, NOW, firmware(FirmwareState::Downloading));
    assert_eq!(core.next_deadline(), Some(NOW.plus_millis(10 * MINUTE)));
    let later = NOW.plus_millis(10 * MINUTE);
    assert_eq!(of(&core.handle(later, Input::Tick)), [(Some(1), "Stalled".into())]);
    let installed = tells(&mut core, later, firmware(FirmwareState::Installed));
    assert_eq!(news(installed), [(Some(1), "Installed".into())]);
    let effects = core.handle(later.plus_millis(49 * 60 * MINUTE), Input::Tick);
    assert!(effects.writes.contains(&Write::ErrandGone(id(1))));
    assert!(core.errands().is_empty());
}

#[test]
fn a_word_before_the_answer_is_not_taken_back_by_it() {
    let mut core = core();
    connect(&mut core);
    core.handle(NOW, Input::Command(log(1)));
    prepared(&mut core, 1);
    let uploading = tells(&mut core, NOW, FileState::Log(LogState::Uploading));
    assert_eq!(news(uploading), [(Some(1), "Uploading".into())]);
    assert!(of(&answered(&mut core, 1, Outcome::Accepted)).is_empty());
    assert_eq!(core.errands()[0].state, Some(FileState::Log(LogState::Uploading)));
}

#[test]
fn a_station_without_get_diagnostics_is_asked_by_get_log() {
    let mut core = core();
    connect(&mut core);
    core.handle(NOW, Input::Command(log(1)));
    prepared(&mut core, 1);
    let effects = answered(&mut core, 1, Outcome::NotSupported);
    let otherwise =
        |send: &Send| matches!(send, Send::Ask { ask: Ask::RequestLog { by_get_log: true, .. }, .. });
    assert!(effects.sends.iter().any(otherwise), "{effects:?}");
    assert_eq!(of(&answered(&mut core, 1, Outcome::NotSupported)), [(Some(1), "Refused".into())]);
}

#[test]
fn a_newer_order_takes_the_place_of_an_older_one() {
    let mut core = updating();
    core.handle(NOW, Input::Command(update(2)));
    prepared(&mut core, 2);
    let news = of(&answered(&mut core, 2, Outcome::Accepted));
    assert_eq!(news, [(Some(1), "Superseded".into()), (Some(2), "Accepted".into())]);
}

#[test]
fn what_was_being_fetched_at_a_crash_goes_on_when_the_station_is_back() {
    let mut core = core();
    connect(&mut core);
    let command = update(1);
    core.handle(NOW, Input::Command(command.clone()));
    let text = serde_json::to_string(core.errands()).unwrap();
    let restored = Restored {
        errands: serde_json::from_str(&text).unwrap(),
        commands: vec![StoredCommand { command, waiting: false, result: None }],
        ..Restored::default()
    };
    let mut core = core_of(restored);
    let effects = core.handle(NOW, Input::Restarted);
    assert!(effects.events().next().is_none(), "nothing ended: {effects:?}");
    let connected = StationFact::Connected;
    let effects =
        core.handle(NOW, Input::Station { station: station(), link: LINK, call: None, fact: connected });
    assert!(effects.sends.iter().any(|send| matches!(send, Send::Prepare(_))), "{effects:?}");
}

#[test]
fn a_place_closes_when_the_log_is_here_and_the_station_says_so() {
    let mut core = core();
    connect(&mut core);
    core.handle(NOW, Input::Command(log(1)));
    prepared(&mut core, 1);
    answered(&mut core, 1, Outcome::Accepted);
    let file = ReceivedFile { name: "l".into(), size: 1, sha256: Sha256([1; 32]) };
    let received =
        |file: &ReceivedFile| Input::Received { log: id(1), station: station(), file: file.clone() };
    let effects = core.handle(NOW, received(&file));
    assert!(matches!(effects.events().collect::<Vec<_>>()[..], [Event::LogReceived(_)]));
    assert!(!effects.sends.contains(&Send::Close(id(1))), "it may be brought once more");
    assert!(core.handle(NOW, received(&file)).writes.is_empty(), "the same is told once");
    let fact = StationFact::FileStatus { state: FileState::Log(LogState::Uploaded), request: None };
    let effects = core.handle(NOW, Input::Station { station: station(), link: LINK, call: None, fact });
    assert!(effects.sends.contains(&Send::Close(id(1))));
}
