//! What really happened at the connectors, before anybody told anything.

use shared::id::StationId;
use shared::units::Timestamp;

use super::dice::Dice;

/// 2025-11-22 12:00 UTC.
pub(crate) const BEGIN: Timestamp = Timestamp(1_763_812_800_000);
/// Cards by connector, a known one and one that is nobody's: one card does not charge at two connectors at a time.
const CARDS: [[&str; 2]; 2] = [["CARD-A", "NOBODY"], ["CARD-B", "NOBODY-ELSE"]];

pub(crate) struct Truth {
    pub(crate) stations: usize,
    /// By station.
    pub(crate) connectors: Vec<u16>,
    pub(crate) sessions: Vec<RealSession>,
}

/// A session as the meter saw it.
pub(crate) struct RealSession {
    pub(crate) station: usize,
    pub(crate) connector: u16,
    pub(crate) card: &'static str,
    pub(crate) begin: Timestamp,
    pub(crate) meter_start: i64,
    /// When, and what the register showed.
    pub(crate) readings: Vec<(Timestamp, i64)>,
    pub(crate) end: Timestamp,
    pub(crate) meter_stop: i64,
    /// Does the stop name the card?
    pub(crate) stop_names_card: bool,
}

impl Truth {
    pub(crate) fn of(dice: &mut Dice) -> Self {
        let stations = 1 + dice.pick(3);
        let connectors: Vec<u16> = (0..stations).map(|_| 1 + u16::from(dice.chance(50))).collect();
        let mut sessions = Vec::new();
        for (station, connectors) in connectors.iter().enumerate() {
            (1..=*connectors).for_each(|connector| one_connector(dice, (station, connector), &mut sessions));
        }
        Truth { stations, connectors, sessions }
    }

    pub(crate) fn name(station: usize) -> StationId {
        StationId::new(format!("CP{station}")).unwrap()
    }
}

/// One session after the other; a register is a connector's own and never goes back.
fn one_connector(dice: &mut Dice, (station, connector): (usize, u16), sessions: &mut Vec<RealSession>) {
    let mut at = BEGIN.plus_millis(1_000 * i64::from(dice.below(600)));
    let mut register = i64::from(dice.below(1_000_000));
    for _ in 0..dice.below(4) {
        let (begin, meter_start) = (at, register);
        let mut readings = Vec::new();
        for _ in 0..dice.below(5) {
            at = at.plus_millis(1_000 * i64::from(1 + dice.below(900)));
            register += i64::from(dice.below(4_000));
            readings.push((at, register));
        }
        let end = at.plus_millis(1_000 * i64::from(1 + dice.below(900)));
        register += i64::from(dice.below(4_000));
        let card = CARDS[usize::from(connector) - 1][usize::from(dice.chance(30))];
        let stop_names_card = dice.chance(70);
        sessions.push(RealSession {
            station,
            connector,
            card,
            begin,
            meter_start,
            readings,
            end,
            meter_stop: register,
            stop_names_card,
        });
        at = end.plus_millis(1_000 * i64::from(1 + dice.below(1_800)));
    }
}
