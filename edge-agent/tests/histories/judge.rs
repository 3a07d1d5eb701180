//! Compares what the gateway would tell the cloud with what really happened.

use std::collections::BTreeMap;

use shared::id::SessionId;
use shared::model::event::{SessionPriced, StopUnmatched};
use shared::model::session::{SessionStarted, SessionStopped, StopReason};
use shared::model::{Event, IdToken};

use super::gateway::PRICE;
use super::station::{Station, Told};
use super::truth::{RealSession, Truth};

#[derive(Default)]
struct Facts {
    started: Vec<SessionStarted>,
    stopped: BTreeMap<SessionId, SessionStopped>,
    priced: BTreeMap<SessionId, SessionPriced>,
    unmatched: Vec<StopUnmatched>,
}

pub(crate) fn judge(truth: &Truth, stations: &[Station], events: &[Event]) {
    let facts = Facts::of(events);
    let mut kept = 0;
    for (number, real) in truth.sessions.iter().enumerate() {
        let told = &stations[real.station].told[number];
        let mine: Vec<&SessionStarted> =
            facts.started.iter().filter(|start| is_start_of(start, real)).collect();
        assert_eq!(mine.len(), usize::from(told.start_kept), "session {number}: {mine:?}");
        kept += mine.len();
        let stop = mine.first().and_then(|start| facts.stopped.get(&start.session));
        judge_stop(&facts, real, told, stop);
    }
    assert_eq!(facts.started.len(), kept, "sessions that never were: {:?}", facts.started);
}

/// A stop that was kept has ended its own session, exactly, or an operator hears of it; nobody else's stop has.
fn judge_stop(facts: &Facts, real: &RealSession, told: &Told, stop: Option<&SessionStopped>) {
    let own = stop.is_some_and(|stop| {
        (stop.at, stop.meter_stop.0, stop.energy.0)
            == (real.end, real.meter_stop, real.meter_stop - real.meter_start)
    });
    let given_up = stop.is_some_and(|stop| stop.reason == StopReason::PowerLoss);
    assert!(stop.is_none() || own || given_up, "ended by another stop than its own: {stop:?}, {told:?}");
    let reported = facts.unmatched.iter().any(|it| {
        (it.station == Truth::name(real.station)) && (it.at, it.meter_stop.0) == (real.end, real.meter_stop)
    });
    assert!(!told.stop_kept || own || reported, "a stop got lost: {stop:?}, {told:?}");
}

fn is_start_of(start: &SessionStarted, real: &RealSession) -> bool {
    start.station == Truth::name(real.station)
        && start.evse.0 == real.connector
        && (start.at, start.meter_start.0) == (real.begin, real.meter_start)
        && start.token == Some(IdToken::new(real.card))
}

impl Facts {
    /// Sorted; a session that ends twice, has two prices, or a price that is not its energy's, is a failure.
    fn of(events: &[Event]) -> Self {
        let mut facts = Facts::default();
        for event in events.iter().cloned() {
            match event {
                Event::SessionStarted(start) => facts.started.push(start),
                Event::SessionStopped(stop) => {
                    let again = facts.stopped.insert(stop.session, stop);
                    assert!(again.is_none(), "ended twice: {again:?}");
                }
                Event::SessionPriced(price) => {
                    let again = facts.priced.insert(price.session, price);
                    assert!(again.is_none(), "priced twice: {again:?}");
                }
                Event::StopUnmatched(stop) => facts.unmatched.push(stop),
                _ => {}
            }
        }
        assert!(
            facts.stopped.keys().eq(facts.priced.keys()),
            "every ended session has a price, no other has"
        );
        for (stop, price) in facts.stopped.values().zip(facts.priced.values()) {
            let whole_cents = (stop.energy.0 * PRICE / 1_000 + 5_000) / 10_000 * 10_000;
            assert_eq!(price.cost.total.micros, whole_cents, "{stop:?}");
        }
        facts
    }
}
