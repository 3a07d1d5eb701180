//! A station that tells the truth in its own way: each message until it is answered, perhaps under another number, perhaps
//! once more much later, out of turn, over one connection after another; sometimes it gives one up.

use edge_agent::core::LinkId;
use serde_json::{Value, json};
use shared::units::Timestamp;

use super::dice::Dice;
use super::gateway::{Crash, Gateway};
use super::truth::{RealSession, Truth};

pub(crate) struct Station {
    number: usize,
    link: Option<LinkId>,
    /// Counts from one again at every boot, as real ones do.
    next_id: u64,
    queue: Vec<Waiting>,
    /// What was answered, and will be said once more all the same.
    echoes: Vec<Echo>,
    /// By session of the truth.
    pub(crate) told: Vec<Told>,
}

/// How much of a session got through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The transaction id, once the station heard it.
    pub(crate) transaction: Option<i64>,
    /// The transaction id that the gateway gave, also when nobody heard it.
    given: Option<i64>,
    /// The start was committed.
    pub(crate) start_kept: bool,
    /// The stop was committed.
    pub(crate) stop_kept: bool,
}

struct Waiting {
    at: Timestamp,
    session: usize,
    what: What,
    attempts: u32,
    /// Over which connection and under which number it was sent last.
    sent_as: Option<(LinkId, String)>,
}

struct Echo {
    at: Timestamp,
    session: usize,
    what: What,
    payload: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Start,
    Reading(usize),
    Stop,
}

impl What {
    fn action(self) -> &'static str {
        match self {
            What::Start => "StartTransaction",
            What::Reading(_) => "MeterValues",
            What::Stop => "StopTransaction",
        }
    }
}

impl Station {
    pub(crate) fn new(truth: &Truth, number: usize) -> Self {
        let mut queue = Vec::new();
        for (session, real) in truth.sessions.iter().enumerate().filter(|(_, real)| real.station == number) {
            let mut wait = |at, what| queue.push(Waiting { at, session, what, attempts: 0, sent_as: None });
            wait(real.begin, What::Start);
            real.readings.iter().enumerate().for_each(|(place, (at, _))| wait(*at, What::Reading(place)));
            wait(real.end, What::Stop);
        }
        queue.sort_by_key(|waiting| waiting.at);
        let told = vec![Told::default(); truth.sessions.len()];
        Station { number, link: None, next_id: 0, queue, echoes: Vec::new(), told }
    }

    /// When it has something to say again.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let echo = self.echoes.iter().map(|echo| echo.at).min();
        self.queue.first().map(|waiting| waiting.at).into_iter().chain(echo).min()
    }

    /// Says one thing.
    pub(crate) fn tell(&mut self, truth: &Truth, now: Timestamp, dice: &mut Dice, gateway: &mut Gateway) {
        let link = self.connection(truth, now, dice, gateway);
        if let Some(place) = self.echoes.iter().position(|echo| echo.at <= now) {
            let Echo { session, what, payload, .. } = self.echoes.remove(place);
            let id = self.fresh_id();
            self.say(now, (link, &id), (session, what, &payload), Crash::Never, gateway);
            return;
        }
        let place = self.next_message(now, dice);
        let Waiting { session, what, ref sent_as, .. } = self.queue[place];
        let same = sent_as.clone().filter(|(on, _)| *on == link && dice.chance(50));
        let id = same.map_or_else(|| self.fresh_id(), |(_, id)| id);
        if dice.chance(10) {
            // Lost on the way there.
            return self.not_answered(place, None, dice);
        }
        let payload = self.payload(&truth.sessions[session], session, what, dice);
        let crash = match dice.below(100) {
            0..3 => Crash::BeforeTheCommit,
            3..6 => Crash::BeforeTheAnswer,
            _ => Crash::Never,
        };
        let answer = self.say(now, (link, &id), (session, what, &payload), crash, gateway);
        let Some(answer) = answer.filter(|_| !dice.chance(8)) else {
            // Lost on the way back, or with the gateway.
            return self.not_answered(place, Some((link, id)), dice);
        };
        if what == What::Start {
            self.told[session].transaction = answer["transactionId"].as_i64();
        }
        self.queue.remove(place);
        if dice.chance(10) {
            let at = now.plus_millis(1_000 * i64::from(dice.below(20_000)));
            self.echoes.push(Echo { at, session, what, payload });
        }
    }

    /// The connection, a new one when the last is gone; then numbers may begin again, and every connector is reported.
    fn connection(
        &mut self,
        truth: &Truth,
        now: Timestamp,
        dice: &mut Dice,
        gateway: &mut Gateway,
    ) -> LinkId {
        if let Some(link) = self.link.filter(|link| gateway.knows(*link) && !dice.chance(5)) {
            return link;
        }
        if dice.chance(50) {
            self.next_id = 0;
        }
        let link = *self.link.insert(gateway.connect());
        for connector in 1..=truth.connectors[self.number] {
            let status = json!({ "connectorId": connector, "errorCode": "NoError", "status": "Charging" });
            let text = json!([2, self.fresh_id(), "StatusNotification", status]).to_string();
            gateway.hear(now, &Truth::name(self.number), link, &text, Crash::Never);
        }
        link
    }

    fn fresh_id(&mut self) -> String {
        self.next_id += 1;
        self.next_id.to_string()
    }

    /// The oldest message, now and then the one after it.
    fn next_message(&self, now: Timestamp, dice: &mut Dice) -> usize {
        let second = self.queue.get(1).filter(|second| {
            second.at <= now
                && (second.what == What::Start || self.told[second.session].transaction.is_some())
        });
        usize::from(second.is_some() && dice.chance(6))
    }

    /// Kept for later, or given up after a while.
    fn not_answered(&mut self, place: usize, sent_as: Option<(LinkId, String)>, dice: &mut Dice) {
        let waiting = &mut self.queue[place];
        waiting.attempts += 1;
        waiting.sent_as = sent_as.or(waiting.sent_as.take());
        if waiting.attempts >= 3 && dice.chance(40) {
            self.queue.remove(place);
        }
    }

    /// Sends it; the answer's payload if there is one. A transaction message is never answered with an error.
    fn say(
        &mut self,
        now: Timestamp,
        (link, id): (LinkId, &str),
        (session, what, payload): (usize, What, &Value),
        crash: Crash,
        gateway: &mut Gateway,
    ) -> Option<Value> {
        let text = json!([2, id, what.action(), payload]).to_string();
        let answer = gateway.hear(now, &Truth::name(self.number), link, &text, crash);
        let told = &mut self.told[session];
        if crash != Crash::BeforeTheCommit {
            told.start_kept |= what == What::Start;
            told.stop_kept |= what == What::Stop;
        }
        let answer: Value = serde_json::from_str(&answer?).unwrap();
        assert!(answer[0] == 3 && answer[1] == id, "{text} was answered with {answer}");
        if what == What::Start {
            let transaction = answer[2]["transactionId"].as_i64().filter(|id| *id > 0);
            assert!(
                transaction.is_some() && (told.given.is_none() || told.given == transaction),
                "{text}: {answer}"
            );
            told.given = transaction;
        }
        Some(answer[2].clone())
    }

    fn payload(&self, real: &RealSession, session: usize, what: What, dice: &mut Dice) -> Value {
        // Without an answer to its start, a station has no name for the session (errata 3.18; QUIRKS Q51, Q52).
        let transaction = self.told[session].transaction.unwrap_or(if dice.chance(50) { -1 } else { 0 });
        let connector = real.connector;
        match what {
            What::Start => json!({
                "connectorId": connector, "idTag": real.card, "meterStart": real.meter_start,
                "timestamp": real.begin.to_string(),
            }),
            What::Reading(place) => {
                let (at, register) = real.readings[place];
                let value = json!({ "value": register.to_string(), "unit": "Wh" });
                json!({ "connectorId": connector, "transactionId": transaction,
                        "meterValue": [{ "timestamp": at.to_string(), "sampledValue": [value] }] })
            }
            What::Stop => {
                let mut stop = json!({
                    "transactionId": transaction, "meterStop": real.meter_stop, "timestamp": real.end.to_string(),
                    "reason": "Local",
                });
                if real.stop_names_card {
                    stop["idTag"] = real.card.into();
                }
                stop
            }
        }
    }
}
