//! The way of a session's register. Some fall on the way, at a restart of the station or because they count from zero in
//! each session: the energy is then the sum of what they rose (QUIRKS Q62), never negative (Q63). The power that was measured
//! meanwhile says whether a register counts what it says it counts (Q64).

use serde::{Deserialize, Serialize};
use shared::model::MeterReading;
use shared::model::quirks::EnergyScale;
use shared::units::{Timestamp, Watts, Wh};

/// A fall by less is a meter that trembles, unless it leads below where the count began.
const TREMOR: Wh = Wh(100);
/// No session begins with so much: what a missing start leaves is the whole life of the meter (Q61).
const A_LIFE: Wh = Wh(500_000);
/// Readings farther apart say nothing about the power between them.
const APART_MS: i64 = 20 * 60_000;
/// So much must have flowed by the measured power before it is held against a register.
const ENOUGH: Wh = Wh(500);
/// No vehicle takes more.
const MOST_WATTS: i64 = 1_000_000;
const MS_PER_HOUR: i64 = 3_600_000;

/// How a session's register went so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// What it rose before its last fall.
    banked: Wh,
    /// Where it has counted from since then; from the session's start when absent.
    base: Option<Wh>,
    /// The highest since then.
    last: Option<Wh>,
    /// Did it fall?
    fell: bool,
    /// The newest reading that had register and power.
    measured: Option<(Timestamp, Wh, Watts)>,
    /// What the power adds up to, in watt-milliseconds, and what the register rose in the same time.
    by_power: i64,
    by_register: Wh,
}

impl Trail {
    /// Takes the next reading of a session that began at `start`.
    pub(super) fn take(&mut self, start: Wh, reading: &MeterReading) {
        let Some(register) = reading.register else { return };
        self.measure(reading.taken_at, register, reading.power);
        let base = self.base.unwrap_or(start);
        let last = self.last.unwrap_or(base);
        if self.last.is_none() && self.base.is_none() && start == Wh::ZERO && register >= A_LIFE {
            self.rebase(Wh::ZERO, register);
        } else if falls(base, last, register) {
            self.rebase(rise(base, last), register);
        } else {
            self.last = Some(last.max(register));
        }
    }

    fn rebase(&mut self, rose: Wh, register: Wh) {
        self.banked = sum(self.banked, rose);
        (self.base, self.last, self.fell) = (Some(register), Some(register), true);
    }

    fn measure(&mut self, at: Timestamp, register: Wh, power: Option<Watts>) {
        let Some(power) = power else { return };
        let before = self.measured.replace((at, register, power));
        let Some((then, was, had)) = before else { return };
        let elapsed = at.millis_since(then);
        if (1..=APART_MS).contains(&elapsed) && register >= was && (0..=MOST_WATTS).contains(&power.0) {
            let mean = (had.0.clamp(0, MOST_WATTS) + power.0) / 2;
            self.by_power = self.by_power.saturating_add(mean * elapsed);
            self.by_register = sum(self.by_register, rise(was, register));
        }
    }

    /// Did the register fall on the way?
    pub(super) fn fell(&self) -> bool {
        self.fell
    }

    /// The energy so far.
    pub(super) fn energy(&self, start: Wh) -> Wh {
        let base = self.base.unwrap_or(start);
        sum(self.banked, rise(base, self.last.unwrap_or(base)))
    }

    /// The energy of the whole session given the register at its end, and whether that lies below where it should.
    pub(super) fn total(&self, start: Wh, stop: Wh) -> (Wh, bool) {
        let base = self.base.unwrap_or(start);
        let last = self.last.unwrap_or(base);
        if self.last.is_none() && self.base.is_none() && start == Wh::ZERO && stop >= A_LIFE {
            return (Wh::ZERO, true);
        }
        if falls(base, last, stop) {
            return (self.energy(start), true);
        }
        (sum(self.banked, rise(base, stop)), false)
    }

    /// Does the register contradict the measured power by more than half or double? Then what it seems to count.
    pub(super) fn contradiction(&self) -> Option<EnergyScale> {
        let expected = Wh(self.by_power / MS_PER_HOUR);
        let counted = self.by_register;
        if expected < ENOUGH || agrees(counted, expected, 1) {
            return None;
        }
        Some(if agrees(Wh(counted.0.saturating_mul(1000)), expected, 1) {
            EnergyScale::KilowattHours
        } else if agrees(counted, expected, 1000) {
            EnergyScale::WattHours
        } else {
            EnergyScale::AsTold
        })
    }

    /// What the measured power adds up to, and what the register rose in the same time.
    pub(super) fn measured(&self) -> (Wh, Wh) {
        (Wh(self.by_power / MS_PER_HOUR), self.by_register)
    }
}

fn falls(base: Wh, last: Wh, register: Wh) -> bool {
    register < base || register.0 < last.0 / 2 && rise(register, last) > TREMOR
}

fn rise(from: Wh, to: Wh) -> Wh {
    Wh(to.0.saturating_sub(from.0).max(0))
}

fn sum(a: Wh, b: Wh) -> Wh {
    Wh(a.0.saturating_add(b.0))
}

/// Within half and double of so many times what is expected?
fn agrees(counted: Wh, expected: Wh, times: i64) -> bool {
    let expected = expected.0.saturating_mul(times);
    counted.0 >= expected / 2 && counted.0 <= expected.saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trail(start: i64, registers: &[i64]) -> Trail {
        let mut trail = Trail::default();
        for (minute, register) in (0..).zip(registers) {
            trail.take(Wh(start), &MeterReading::of_register(Timestamp(minute * 60_000), Wh(*register)));
        }
        trail
    }

    #[test]
    fn what_a_register_rose_counts_however_often_it_fell() {
        assert_eq!(trail(1000, &[1500, 3000]).total(Wh(1000), Wh(4000)), (Wh(3000), false));
        assert_eq!(trail(1000, &[3000, 0, 500]).total(Wh(1000), Wh(700)), (Wh(2700), false));
        assert_eq!(trail(0, &[9000, 50, 80]).total(Wh(0), Wh(100)), (Wh(9050), false), "from zero to zero");
        assert_eq!(trail(500, &[900, 880, 950]).total(Wh(500), Wh(940)), (Wh(440), false), "a tremor");
        assert_eq!(trail(1000, &[1700]).total(Wh(1000), Wh(200)), (Wh(700), true), "the end itself fell");
    }

    #[test]
    fn the_life_of_a_meter_is_nobodys_session() {
        assert_eq!(trail(0, &[7_000_000, 7_004_000]).total(Wh(0), Wh(7_009_000)), (Wh(9000), false));
        assert_eq!(trail(0, &[]).total(Wh(0), Wh(7_009_000)), (Wh(0), true));
    }

    #[test]
    fn power_tells_what_a_register_counts() {
        let of = |per_minute: i64| {
            let mut trail = Trail::default();
            for minute in 0..60 {
                let mut reading =
                    MeterReading::of_register(Timestamp(minute * 60_000), Wh(minute * per_minute / 100));
                reading.power = Some(Watts(11_000));
                trail.take(Wh(0), &reading);
            }
            trail.contradiction()
        };
        assert_eq!(of(18_333), None);
        assert_eq!(of(18), Some(EnergyScale::KilowattHours));
        assert_eq!(of(18_333_000), Some(EnergyScale::WattHours));
        assert_eq!(of(4_000), Some(EnergyScale::AsTold));
    }

    proptest! {
        #[test]
        fn energy_is_never_negative_and_never_falls(start: i64, registers: Vec<i64>, stop: i64) {
            let mut seen = Wh::ZERO;
            for end in 0..registers.len() {
                let energy = trail(start, &registers[..end]).energy(Wh(start));
                prop_assert!(energy >= seen);
                seen = energy;
            }
            prop_assert!(trail(start, &registers).total(Wh(start), Wh(stop)).0 >= Wh::ZERO);
        }
    }
}
