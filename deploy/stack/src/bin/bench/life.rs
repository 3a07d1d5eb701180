//! A session as a gateway tells it.

use anyhow::Result;
use shared::id::{EvseNo, SessionId, StationId, StationTxRef};
use shared::model::event::{SessionMetered, SessionPriced, StatusChanged};
use shared::model::session::{Session, SessionStarted, SessionStopped, StopReason};
use shared::model::token::{AuthStatus, AuthorisedBy, IdToken};
use shared::model::{ConnectorStatus, Event, MeterReading};
use shared::tariff::{Tariff, price};
use shared::units::{Timestamp, Watts, Wh};
use uuid::Uuid;

use crate::stage::{identity, now};

/// Two hours, read every five minutes.
pub(crate) const READINGS: i64 = 24;
const BETWEEN_MS: i64 = 300_000;

/// From plug to bill.
pub(crate) fn session(number: usize, tariff: &Tariff, card: &str, register: i64) -> Result<Vec<Event>> {
    let (id, begin) = (SessionId(Uuid::now_v7()), Timestamp(now().0 - READINGS * BETWEEN_MS));
    let (station, evse) = (StationId::new(identity(number))?, EvseNo(1));
    let at = |reading: i64| begin.plus_millis(reading * BETWEEN_MS);
    let status = |status, reading| {
        Event::StatusChanged(StatusChanged {
            station: station.clone(),
            evse: Some(evse),
            status,
            error: None,
            at: at(reading),
        })
    };
    let start = SessionStarted {
        session: id,
        station: station.clone(),
        evse,
        tx_ref: StationTxRef(id.to_string()),
        token: Some(IdToken::new(card)),
        auth: AuthStatus::Accepted,
        authorised_by: AuthorisedBy::SiteList,
        at: begin,
        meter_start: Wh(register),
        tariff: Some(tariff.reference()),
        caused_by: None,
        flags: Vec::new(),
    };
    let metered = |reading: i64| {
        let register = Wh(register + reading * 1_000);
        let reading =
            MeterReading { power: Some(Watts(11_000)), ..MeterReading::of_register(at(reading), register) };
        Event::SessionMetered(SessionMetered { session: id, reading })
    };
    let energy = Wh(READINGS * 1_000);
    let stop = SessionStopped {
        session: id,
        at: at(READINGS),
        meter_stop: Wh(register + energy.0),
        energy,
        reason: StopReason::Local,
        token: None,
        flags: Vec::new(),
    };
    let mut whole = Session::begin(start.clone());
    whole.energy = energy;
    whole.end =
        Some(shared::model::session::End { at: stop.at, meter_stop: stop.meter_stop, reason: stop.reason });
    let cost = price(&whole, tariff, stop.at);
    let mut events = vec![
        status(ConnectorStatus::Preparing, 0),
        Event::SessionStarted(start),
        status(ConnectorStatus::Charging, 0),
    ];
    events.extend((1..=READINGS).map(metered));
    events.extend([
        Event::SessionStopped(stop),
        Event::SessionPriced(SessionPriced { session: id, tariff: tariff.reference(), cost }),
        status(ConnectorStatus::Finishing, READINGS),
        status(ConnectorStatus::Available, READINGS),
    ]);
    Ok(events)
}
