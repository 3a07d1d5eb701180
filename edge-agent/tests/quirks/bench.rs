//! A gateway and one charger without sockets between them.

use edge_agent::core::{AskEnd, CallId, Core, Effects, Input, LinkId, Odd, Restored, Send, StationFact};
use edge_agent::ocpp::adapter::v16::{self, Meaning};
use edge_agent::ocpp::habits::Habits;
use serde_json::{Value, json};
use shared::id::{CommandId, EvseNo, SessionId, StationId, TariffId};
use shared::model::command::{Command, CommandBody, CommandResult, Origin};
use shared::model::document::{
    DocumentBody, StationEntry, StationsDoc, TariffAssignment, TariffsDoc, TokensDoc,
};
use shared::model::finding::{Oddity, example};
use shared::model::quirks::{StationQuirks, Suggestion};
use shared::model::session::SessionFlag;
use shared::model::token::{AuthStatus, TokenEntry};
use shared::model::{Event, SessionStarted, SessionStopped};
use shared::ocpp::rpc::{Answer, Limits, Peer, Received, Reply};
use shared::ocpp::v16::{StationCall, TRANSACTION_ACTIONS};
use shared::sync::Document;
use shared::tariff::{Dimension, PriceComponent, Tariff};
use shared::units::{Currency, Timestamp, Wh};
use uuid::Uuid;

/// 2025-11-22, noon in UTC; the site is in Berlin.
pub(crate) const NOON: Timestamp = Timestamp(1_763_812_800_000);
pub(crate) const MINUTE: i64 = 60_000;

pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<Event>,
    /// What the charger was asked: the command, the action and the payload.
    pub(crate) asked: Vec<(CommandId, &'static str, Value)>,
    pub(crate) results: Vec<CommandResult>,
    peer: Peer<CommandId>,
    habits: Habits,
    messages: u32,
    calls: u64,
    link: u64,
    commands: u128,
}

pub(crate) fn station() -> StationId {
    StationId::new("CP1").unwrap()
}

impl Bench {
    /// A charger by the book that has booted and settled.
    pub(crate) fn new() -> Self {
        Self::with(StationQuirks::default())
    }

    /// One that is known to be peculiar.
    pub(crate) fn with(quirks: StationQuirks) -> Self {
        let mut bench = Self::cold(quirks);
        bench.boot();
        bench.pass(10_000);
        bench
    }

    /// One that has not come yet.
    pub(crate) fn cold(quirks: StationQuirks) -> Self {
        let mut next = 0_u128;
        let ids = move |_: Timestamp| {
            next += 1;
            Uuid::from_u128(next)
        };
        let mut bench = Bench {
            core: Core::new(Box::new(ids), Restored::default()),
            now: NOON.plus_millis(-30 * MINUTE),
            events: vec![],
            asked: vec![],
            results: vec![],
            peer: Peer::new("b-", Limits { mended: TRANSACTION_ACTIONS, ..Limits::default() }),
            habits: Habits::default(),
            messages: 0,
            calls: 0,
            link: 0,
            commands: 1 << 100,
        };
        for (version, body) in documents() {
            bench.input(Input::Document(Document { version, body }));
        }
        bench.know(1, quirks);
        bench
    }

    /// The cloud says what is peculiar about the charger.
    pub(crate) fn know(&mut self, version: u64, quirks: StationQuirks) {
        self.habits = Habits::at("Europe/Berlin", quirks.clone());
        let since = Some(NOON.plus_millis(-30 * 86_400_000));
        let entry = StationEntry { station: station(), credential: String::new(), quirks, since };
        let body =
            DocumentBody::Stations(StationsDoc { timezone: "Europe/Berlin".into(), stations: vec![entry] });
        self.input(Input::Document(Document { version, body }));
    }

    pub(crate) fn connect(&mut self) {
        self.link += 1;
        self.peer = Peer::new("b-", Limits { mended: TRANSACTION_ACTIONS, ..Limits::default() });
        self.fact(StationFact::Connected);
    }

    pub(crate) fn leave(&mut self) {
        self.fact(StationFact::Disconnected);
    }

    pub(crate) fn boot(&mut self) -> Value {
        self.connect();
        self.call("BootNotification", json!({ "chargePointVendor": "V", "chargePointModel": "M" }))
    }

    /// Lets time pass, with everything that is due.
    pub(crate) fn pass(&mut self, millis: i64) {
        let until = self.now.plus_millis(millis);
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
        }
        self.now = until;
    }

    /// A call with a message id of its own; the payload of its answer, which is never an error.
    pub(crate) fn call(&mut self, action: &str, payload: Value) -> Value {
        self.messages += 1;
        let text = json!([2, self.messages.to_string(), action, payload]).to_string();
        let answer = self.say(&text);
        assert_eq!(answer[0], 3, "{action} was answered {answer}");
        answer[2].clone()
    }

    /// Any text; what comes back, null if nothing does.
    pub(crate) fn say(&mut self, text: &str) -> Value {
        let answer = match self.peer.receive(text) {
            Received::Call { key, action, payload, mended } => {
                let mut read = StationCall::read_of(&self.habits.quirks, &action, &payload).unwrap();
                let mut findings = std::mem::take(&mut read.findings);
                let action = read.value.action();
                let meaning = v16::meaning((&station(), &self.habits), read.value, self.now, &mut findings);
                if mended || !findings.is_empty() {
                    let odd = Odd { action, findings, example: example(text) };
                    self.input(Input::Odd { station: station(), odd });
                }
                let payload = match meaning {
                    Meaning::Answer(payload) => payload,
                    Meaning::Fact(fact) => self.fact(fact).unwrap(),
                };
                Some(self.peer.reply(key, &Reply::Result(payload)))
            }
            Received::Replay(text) => Some(text),
            Received::Bad { reply, .. } => reply,
            other => panic!("{text} was taken for {other:?}"),
        };
        answer.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    fn fact(&mut self, fact: StationFact) -> Option<Box<serde_json::value::RawValue>> {
        self.calls += 1;
        let arrives = matches!(fact, StationFact::Connected | StationFact::Disconnected);
        let call = (!arrives).then_some(CallId(self.calls));
        let input = Input::Station { station: station(), link: LinkId(self.link), call, fact };
        let effects = self.input(input);
        effects.sends.into_iter().find_map(|send| match send {
            Send::Reply { reply, .. } => Some(v16::answer(&reply, 300)),
            _ => None,
        })
    }

    pub(crate) fn input(&mut self, input: Input) -> Effects {
        let effects = self.core.handle(self.now, input);
        self.events.extend(effects.events().cloned());
        for send in &effects.sends {
            match send {
                Send::Ask { command, ask, .. } => {
                    let (action, payload) = v16::request(ask, self.now).unwrap();
                    self.asked.push((*command, action, serde_json::from_str(payload.get()).unwrap()));
                }
                Send::Result(result) => self.results.push(result.clone()),
                _ => {}
            }
        }
        effects
    }

    // --- from the cloud

    pub(crate) fn order(&mut self, body: CommandBody) -> CommandId {
        self.commands += 1;
        let id = CommandId(Uuid::from_u128(self.commands));
        let expires_at = self.now.plus_millis(10 * MINUTE);
        let (origin, waits) = (Origin::Cloud, false);
        let command =
            Command { id, issued_at: self.now, expires_at, station: station(), body, origin, waits };
        self.input(Input::Command(command));
        id
    }

    /// The charger answers the last thing that it was asked; what it was.
    pub(crate) fn answers(&mut self, payload: Value) -> (&'static str, Value) {
        let (command, action, asked) = self.asked.pop().expect("something is asked");
        let raw = serde_json::value::RawValue::from_string(payload.to_string()).unwrap();
        let end: AskEnd = v16::ended(Answer::Result(raw));
        self.input(Input::Asked { command, end });
        (action, asked)
    }

    /// The charger says nothing to the last thing that it was asked.
    pub(crate) fn ignores(&mut self) -> &'static str {
        let (command, action, _) = self.asked.pop().expect("something is asked");
        self.input(Input::Asked { command, end: v16::ended(Answer::Timeout) });
        action
    }

    // --- what came of it

    pub(crate) fn start(&mut self, card: &str, meter: i64) -> i64 {
        let at = self.now.to_string();
        let begun = json!({ "connectorId": 1, "idTag": card, "meterStart": meter, "timestamp": at });
        let answer = self.call("StartTransaction", begun);
        answer["transactionId"].as_i64().unwrap()
    }

    pub(crate) fn stop(&mut self, transaction: i64, meter: i64) {
        let at = self.now.to_string();
        let ended = json!({ "transactionId": transaction, "meterStop": meter, "timestamp": at });
        self.call("StopTransaction", ended);
    }

    /// Readings of register and power, a minute apart.
    pub(crate) fn meter(&mut self, transaction: i64, readings: &[(i64, i64)]) {
        for (register, watts) in readings {
            self.pass(MINUTE);
            let at = self.now.to_string();
            let samples = json!([
                { "value": register.to_string() },
                { "value": watts.to_string(), "measurand": "Power.Active.Import", "unit": "W" },
            ]);
            let values = json!({ "connectorId": 1, "transactionId": transaction,
                "meterValue": [{ "timestamp": at, "sampledValue": samples }] });
            self.call("MeterValues", values);
        }
    }

    pub(crate) fn starts(&self) -> Vec<&SessionStarted> {
        let starts = self.events.iter().filter_map(|event| match event {
            Event::SessionStarted(start) => Some(start),
            _ => None,
        });
        starts.collect()
    }

    pub(crate) fn stops(&self) -> Vec<&SessionStopped> {
        let stops = self.events.iter().filter_map(|event| match event {
            Event::SessionStopped(stop) => Some(stop),
            _ => None,
        });
        stops.collect()
    }

    /// Energy and flags of the sessions that ended.
    pub(crate) fn ended(&self) -> Vec<(i64, Vec<SessionFlag>)> {
        self.stops().into_iter().map(|stop| (stop.energy.0, stop.flags.clone())).collect()
    }

    pub(crate) fn session(&self, id: SessionId) -> &shared::model::Session {
        &self.core.sessions.get(id).unwrap().session
    }

    pub(crate) fn found(&self, action: &str, oddity: Oddity) -> bool {
        self.events.iter().any(
            |event| matches!(event, Event::FindingNoted(it) if it.action == action && it.oddity == oddity),
        )
    }

    pub(crate) fn suggested(&self) -> Vec<Suggestion> {
        let suggested = self.events.iter().filter_map(|event| match event {
            Event::QuirkSuggested(it) => Some(it.suggestion.clone()),
            _ => None,
        });
        suggested.collect()
    }

    pub(crate) fn unmatched(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::StopUnmatched(_))).count()
    }

    /// An ordinary session goes through and is billed: the charger works, and the gateway does.
    pub(crate) fn works(&mut self) {
        self.pass(MINUTE);
        let transaction = self.start("CARD", 5_000);
        let session = self.starts().last().unwrap().session;
        self.pass(30 * MINUTE);
        self.stop(transaction, 15_000);
        let energies: Vec<Wh> =
            self.stops().iter().filter(|stop| stop.session == session).map(|stop| stop.energy).collect();
        assert_eq!(energies, [Wh(10_000)]);
        let priced = |event: &Event| matches!(event, Event::SessionPriced(it) if it.session == session);
        assert_eq!(self.events.iter().filter(|event| priced(event)).count(), 1);
    }
}

fn documents() -> [(u64, DocumentBody); 2] {
    let energy = PriceComponent { dimension: Dimension::Energy, price_micros: 300_000, step: 1 };
    let tariff =
        Tariff { id: TariffId(Uuid::nil()), version: 1, currency: Currency::EUR, components: vec![energy] };
    let assigned = [1, 2].map(|evse| TariffAssignment { station: station(), evse: EvseNo(evse), tariff: 0 });
    let card = |token: &str| TokenEntry {
        token: token.into(),
        status: AuthStatus::Accepted,
        expires_at: None,
        group: None,
    };
    let tokens = vec![card("card"), card("the owner")];
    [
        (1, DocumentBody::Tokens(TokensDoc { unknown: AuthStatus::Invalid, tokens, on_stations: false })),
        (1, DocumentBody::Tariffs(TariffsDoc { tariffs: vec![tariff], assigned: assigned.into() })),
    ]
}
