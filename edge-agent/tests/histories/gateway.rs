//! The gateway without its sockets: text in, text out, and a crash whenever one is wanted.

use std::collections::HashMap;

use edge_agent::core::{CallId, Core, Input, LinkId, Send};
use edge_agent::ocpp::adapter::v16::{self, Meaning};
use edge_agent::ocpp::habits::Habits;
use shared::id::{EvseNo, StationId, TariffId};
use shared::model::Event;
use shared::model::document::{DocumentBody, TariffAssignment, TariffsDoc, TokensDoc};
use shared::model::token::{AuthStatus, TokenEntry};
use shared::ocpp::rpc::{Limits, Peer, Received, Reply};
use shared::ocpp::v16::{StationCall, TRANSACTION_ACTIONS};
use shared::sync::Document;
use shared::tariff::{Dimension, PriceComponent, Tariff};
use shared::units::{Currency, Timestamp};
use uuid::Uuid;

use super::memory::Memory;
use super::truth::{BEGIN, Truth};

/// What a kWh costs, in millionths.
pub(crate) const PRICE: i64 = 300_000;

/// When the gateway dies, if it does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    Never,
    BeforeTheCommit,
    BeforeTheAnswer,
}

pub(crate) struct Gateway {
    core: Core,
    memory: Memory,
    peers: HashMap<LinkId, Peer<()>>,
    links: u64,
}

impl Gateway {
    pub(crate) fn new(mut memory: Memory, truth: &Truth) -> Self {
        let core = Core::new(ids(0), memory.restored());
        let mut gateway = Gateway { core, memory, peers: HashMap::new(), links: 0 };
        for body in documents(truth) {
            gateway.input(BEGIN, Input::Document(Document { version: 1, body }));
        }
        gateway
    }

    /// A new connection of a station.
    pub(crate) fn connect(&mut self) -> LinkId {
        self.links += 1;
        let limits = Limits { mended: TRANSACTION_ACTIONS, ..Limits::default() };
        self.peers.insert(LinkId(self.links), Peer::new("h-", limits));
        LinkId(self.links)
    }

    /// Lost with everything that was connected, started again from what was committed.
    pub(crate) fn restart(&mut self) {
        self.peers.clear();
        self.core = Core::new(ids(self.links), self.memory.restored());
    }

    /// Is this connection still there?
    pub(crate) fn knows(&self, link: LinkId) -> bool {
        self.peers.contains_key(&link)
    }

    pub(crate) fn tick(&mut self, now: Timestamp) {
        if self.core.next_deadline().is_some_and(|due| due <= now) {
            self.input(now, Input::Tick);
        }
    }

    /// A text of a station, and the answer if it gets out.
    pub(crate) fn hear(
        &mut self,
        now: Timestamp,
        station: &StationId,
        link: LinkId,
        text: &str,
        crash: Crash,
    ) -> Option<String> {
        let (key, action, payload) = match self.peers.get_mut(&link)?.receive(text) {
            Received::Call { key, action, payload, .. } => (key, action, payload),
            Received::Replay(text) => return Some(text),
            other => panic!("{text} was taken for {other:?}"),
        };
        let call = StationCall::read(&action, &payload).unwrap().value;
        let (habits, mut findings) = (Habits::default(), Vec::new());
        let meaning = v16::meaning((station, &habits), call, now, &mut findings);
        let Meaning::Fact(fact) = meaning else { panic!("{text} is no fact") };
        if let Some(wanted) = self.core.recall_needed(station, &fact)
            && let Some(session) = self.memory.recall(wanted)
        {
            self.core.sessions.insert(session);
        }
        let input = Input::Station { station: station.clone(), link, call: Some(CallId(1)), fact };
        let effects = self.core.handle(now, input);
        if crash == Crash::BeforeTheCommit {
            self.restart();
            return None;
        }
        self.memory.commit(now, effects.writes);
        if crash == Crash::BeforeTheAnswer {
            self.restart();
            return None;
        }
        let reply = effects.sends.into_iter().find_map(|send| match send {
            Send::Reply { reply, .. } => Some(v16::answer(&reply, 300)),
            _ => None,
        });
        Some(self.peers.get_mut(&link)?.reply(key, &Reply::Result(reply.unwrap())))
    }

    /// Everything that was committed.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.memory.events()
    }

    fn input(&mut self, now: Timestamp, input: Input) {
        let effects = self.core.handle(now, input);
        self.memory.commit(now, effects.writes);
    }
}

/// Ids that no two lives of the gateway share.
fn ids(life: u64) -> edge_agent::core::IdSource {
    let mut next = u128::from(life) << 64;
    Box::new(move |_| {
        next += 1;
        Uuid::from_u128(next)
    })
}

fn documents(truth: &Truth) -> [DocumentBody; 2] {
    let energy = PriceComponent { dimension: Dimension::Energy, price_micros: PRICE, step: 1 };
    let tariff =
        Tariff { id: TariffId(Uuid::nil()), version: 1, currency: Currency::EUR, components: vec![energy] };
    let everywhere = (0..truth.stations).flat_map(|number| {
        [1, 2].map(|evse| TariffAssignment { station: Truth::name(number), evse: EvseNo(evse), tariff: 0 })
    });
    let card = |token: &str| TokenEntry {
        token: token.into(),
        status: AuthStatus::Accepted,
        expires_at: None,
        group: None,
    };
    [
        DocumentBody::Tokens(TokensDoc {
            unknown: AuthStatus::Invalid,
            on_stations: false,
            tokens: vec![card("card-a"), card("card-b")],
        }),
        DocumentBody::Tariffs(TariffsDoc { tariffs: vec![tariff], assigned: everywhere.collect() }),
    ]
}
