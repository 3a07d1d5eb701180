//! Stations' own lists of tokens, and orders that wait for their station.

use shared::model::command::{ConfigurationEntry, Told};
use shared::model::{LocalListState, StationInfo};

use super::*;
use crate::core::{HeldList, ListLine, StoredCommand, Write};

/// The site's tokens, and whether stations keep them.
fn tokens(version: u64, on_stations: bool, tokens: &[&str]) -> Input {
    let entry = |token: &&str| TokenEntry {
        token: (*token).into(),
        status: AuthStatus::Accepted,
        expires_at: None,
        group: None,
    };
    let tokens = tokens.iter().map(entry).collect();
    let body = DocumentBody::Tokens(TokensDoc { unknown: AuthStatus::Invalid, on_stations, tokens });
    Input::Document(Document { version, body })
}

fn fact(fact: StationFact) -> Input {
    Input::Station { station: station(), link: LINK, call: None, fact }
}

/// A station with a list, as far as the core can tell by what it asks.
struct Station {
    core: Core,
    now: Timestamp,
    enabled: &'static str,
    at_once: &'static str,
    version: i32,
    /// What it answers to each part that is sent, in order; accepted when there is nothing.
    answers: Vec<Outcome>,
    sent: Vec<(i32, bool, Vec<String>)>,
    told: Vec<(LocalListState, i32, u32)>,
    held: Option<HeldList>,
}

impl Station {
    fn new(restored: Restored) -> Self {
        Station {
            core: core_of(restored),
            now: NOW,
            enabled: "true",
            at_once: "2",
            version: 0,
            answers: vec![],
            sent: vec![],
            told: vec![],
            held: None,
        }
    }

    /// Boots, and is left alone until it has settled.
    fn boot(&mut self) {
        self.hear(fact(StationFact::Connected));
        let info = StationInfo { vendor: "V".into(), model: "M".into(), ..StationInfo::default() };
        self.hear(fact(StationFact::Booted(info)));
        self.now = self.now.plus_millis(6_000);
        self.hear(Input::Tick);
    }

    /// The core hears something, and the station answers whatever it is asked about it.
    fn hear(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let effects = self.core.handle(self.now, input);
            for write in &effects.writes {
                if let Write::LocalList(held) = write {
                    self.held = Some((**held).clone());
                }
            }
            for event in effects.events() {
                if let Event::LocalListChanged(list) = event {
                    self.told.push((list.state, list.version, list.entries));
                }
            }
            for send in effects.sends {
                if let Send::Ask { command, ask, .. } = send {
                    inputs.push(Input::Asked { command, end: self.answer(ask) });
                }
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> AskEnd {
        match ask {
            Ask::Command(CommandBody::GetConfiguration { .. }) => {
                let entry = |(key, value): (&str, &str)| ConfigurationEntry {
                    key: key.into(),
                    value: Some(value.into()),
                    readonly: true,
                };
                let entries =
                    [("LocalAuthListEnabled", self.enabled), ("SendLocalListMaxLength", self.at_once)];
                let entries = entries.into_iter().map(entry).collect();
                let told = Told::Configuration { entries, unknown_keys: vec![] };
                AskEnd { outcome: Outcome::Accepted, detail: String::new(), told }
            }
            Ask::Command(CommandBody::GetLocalListVersion) => {
                let told = Told::LocalListVersion(self.version);
                AskEnd { outcome: Outcome::Accepted, detail: String::new(), told }
            }
            Ask::SendLocalList { version, full, lines } => {
                let line = |line: &ListLine| {
                    format!("{}{}", if line.entry.is_some() { "" } else { "-" }, line.token)
                };
                self.sent.push((version, full, lines.iter().map(line).collect()));
                let outcome =
                    if self.answers.is_empty() { Outcome::Accepted } else { self.answers.remove(0) };
                if outcome == Outcome::Accepted {
                    self.version = version;
                }
                AskEnd::plain(outcome, "")
            }
            Ask::Command(_)
            | Ask::RemoteStop(_)
            | Ask::LimitSession { .. }
            | Ask::UpdateFirmware { .. }
            | Ask::RequestLog { .. }
            | Ask::DeliverCertificate { .. } => AskEnd::plain(Outcome::Accepted, ""),
        }
    }

    fn sent(&mut self) -> Vec<(i32, bool, Vec<String>)> {
        std::mem::take(&mut self.sent)
    }
}

fn part(version: i32, full: bool, lines: &[&str]) -> (i32, bool, Vec<String>) {
    (version, full, lines.iter().map(|&line| line.into()).collect())
}

#[test]
fn the_whole_list_goes_once_in_parts_and_then_only_what_changed() {
    let mut station = Station::new(Restored::default());
    station.hear(tokens(2, true, &["a", "b", "c"]));
    station.boot();
    assert_eq!(station.sent(), [part(1, true, &["a", "b"]), part(2, false, &["c"])]);
    assert_eq!(station.told, [(LocalListState::Current, 2, 3)]);
    station.hear(tokens(3, true, &["b", "c", "d"]));
    assert_eq!(station.sent(), [part(3, false, &["-a", "d"])]);
    station.hear(fact(StationFact::Disconnected));
    station.boot();
    assert_eq!(station.sent(), [], "it still holds version 3");
    station.version = 0;
    station.boot();
    assert_eq!(station.sent(), [part(4, true, &["b", "c"]), part(5, false, &["d"])], "it lost its list");
}

#[test]
fn a_refused_difference_is_followed_by_the_whole_list() {
    let mut station = Station::new(Restored::default());
    station.hear(tokens(2, true, &["a"]));
    station.boot();
    station.sent();
    station.answers = vec![Outcome::Rejected];
    station.hear(tokens(3, true, &["a", "b"]));
    assert_eq!(station.sent(), [part(2, false, &["b"]), part(3, true, &["a", "b"])]);
    station.answers = vec![Outcome::Failed, Outcome::Failed];
    station.hear(tokens(4, true, &["c"]));
    assert_eq!(station.sent().len(), 2, "and that is all");
    assert_eq!(station.told.last(), Some(&(LocalListState::Refused, 3, 2)));
}

#[test]
fn what_was_accepted_survives_a_restart_of_the_gateway() {
    let mut station = Station::new(Restored::default());
    station.hear(tokens(2, true, &["a"]));
    station.boot();
    let held = serde_json::to_string(&station.held).unwrap();
    let lists = serde_json::from_str(&format!("[{held}]")).unwrap();
    let mut after =
        Station { version: station.version, ..Station::new(Restored { lists, ..Restored::default() }) };
    after.hear(tokens(2, true, &["a"]));
    after.boot();
    assert_eq!(after.sent(), [], "the station has it already");
    after.hear(tokens(3, true, &["a", "b"]));
    assert_eq!(after.sent(), [part(2, false, &["b"])]);
}

#[test]
fn a_station_that_breaks_off_gets_the_whole_list_when_it_is_back() {
    let mut station = Station::new(Restored::default());
    station.hear(tokens(2, true, &["a", "b", "c"]));
    station.answers = vec![Outcome::Accepted, Outcome::TimedOut];
    station.boot();
    assert_eq!(station.sent().len(), 2);
    station.hear(fact(StationFact::Disconnected));
    station.boot();
    assert_eq!(station.sent(), [part(2, true, &["a", "b"]), part(3, false, &["c"])]);
}

#[test]
fn stations_without_lists_are_left_alone_and_said_so() {
    let mut station = Station::new(Restored::default());
    station.enabled = "false";
    station.hear(tokens(2, true, &["a"]));
    station.boot();
    assert_eq!((station.sent(), &station.told[..]), (vec![], &[(LocalListState::Unsupported, 0, 0)][..]));
}

#[test]
fn a_site_that_wants_no_lists_has_them_emptied() {
    let mut station = Station::new(Restored::default());
    station.hear(tokens(2, true, &["a"]));
    station.boot();
    station.sent();
    station.hear(tokens(3, false, &["a"]));
    assert_eq!(station.sent(), [part(2, false, &["-a"])]);
    assert_eq!(station.told.last(), Some(&(LocalListState::Off, 2, 0)));
    let mut never = Station::new(Restored::default());
    never.boot();
    assert_eq!((never.sent(), never.told.len()), (vec![], 0));
}

#[test]
fn the_list_can_be_ordered_and_the_order_ends() {
    let mut station = Station::new(Restored::default());
    station.hear(tokens(2, true, &["a"]));
    station.boot();
    station.sent();
    let order = Command { body: CommandBody::SendLocalList, ..remote_start(7, "") };
    let order = Command { expires_at: station.now.plus_millis(20_000), ..order };
    station.hear(Input::Command(order));
    assert_eq!(station.sent(), [part(2, true, &["a"])]);
    assert!(
        station.core.commands.values().all(
            |state| matches!(state, CommandState::Finished(result) if result.outcome == Outcome::Accepted)
        )
    );
}

// --- orders that wait

fn waiting(id: u128) -> Command {
    Command { body: CommandBody::Reset { hard: true }, waits: true, ..remote_start(id, "") }
}

fn asked(effects: &Effects) -> usize {
    effects
        .sends
        .iter()
        .filter(|send| matches!(send, Send::Ask { ask: Ask::Command(CommandBody::Reset { .. }), .. }))
        .count()
}

#[test]
fn an_order_waits_for_its_station_across_a_restart_and_is_put_once_it_has_booted() {
    let mut core = core();
    let taken = core.handle(NOW, Input::Command(waiting(1)));
    assert!(matches!(taken.writes[..], [Write::CommandWaits(_)]), "{taken:?}");
    let stored = StoredCommand { command: waiting(1), waiting: true, result: None };
    let mut core = core_of(Restored { commands: vec![stored], ..Restored::default() });
    assert_eq!(core.handle(NOW, Input::Restarted).writes, [], "nothing was interrupted");
    assert_eq!(asked(&core.handle(NOW, fact(StationFact::Connected))), 0, "it may be about to boot");
    let booted = core.handle(NOW, fact(StationFact::Booted(StationInfo::default())));
    assert_eq!(asked(&booted), 1);
    assert_eq!(asked(&core.handle(NOW, fact(StationFact::Booted(StationInfo::default())))), 0);
}

#[test]
fn an_order_whose_station_never_came_expires() {
    let mut core = core();
    core.handle(NOW, Input::Command(waiting(1)));
    let due = core.next_deadline().unwrap();
    let ended = core.handle(due, Input::Tick);
    let outcome = ended.events().find_map(|event| {
        if let Event::CommandFinished(result) = event { Some(result.outcome) } else { None }
    });
    assert_eq!(outcome, Some(Outcome::Expired));
}
