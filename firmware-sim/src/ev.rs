//! The vehicle and the meter, in integers: what the meter shows is exactly what flowed, floored to whole watt-hours.

use shared::units::{Percent, Timestamp, Watts, Wh};

/// Watt-milliseconds in a watt-hour.
const WH: i64 = 3_600_000;

/// What kind of vehicle comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vehicle {
    /// What its battery holds.
    pub capacity: Wh,
    /// How full it arrives.
    pub soc: Percent,
    /// What it takes at most.
    pub max_power: Watts,
}

impl Default for Vehicle {
    fn default() -> Self {
        Vehicle { capacity: Wh(60_000), soc: Percent(20), max_power: Watts(11_000) }
    }
}

/// A vehicle at the plug.
#[derive(Clone, Debug)]
pub struct Ev {
    vehicle: Vehicle,
    stored: i64,
}

impl Ev {
    /// A vehicle that just arrived.
    pub fn new(vehicle: Vehicle) -> Self {
        let stored = vehicle.capacity.0 * WH / 100 * i64::from(vehicle.soc.0.min(100));
        Ev { vehicle, stored }
    }

    /// How full it is.
    pub fn soc(&self) -> Percent {
        let percent = i128::from(self.stored) * 100 / i128::from(self.full().max(1));
        Percent(u8::try_from(percent).unwrap_or(100))
    }

    /// What it takes now: full power up to 80 %, then less and less, down to a tenth just before it is full.
    pub fn appetite(&self) -> Watts {
        let max = self.vehicle.max_power.0;
        let permille = i128::from(self.stored) * 1000 / i128::from(self.full().max(1));
        match i64::try_from(permille).unwrap_or(1000) {
            1000.. => Watts(0),
            tapering @ 801.. => Watts((max * (1000 - tapering) * 9 / 2000 + max / 10).max(1)),
            _ => Watts(max),
        }
    }

    fn full(&self) -> i64 {
        self.vehicle.capacity.0 * WH
    }
}

/// A meter with a vehicle behind it, or nothing.
#[derive(Clone, Debug)]
pub struct Meter {
    total: i64,
    at: Timestamp,
    power: Watts,
}

impl Meter {
    /// A meter that shows `register`.
    pub fn new(register: Wh, at: Timestamp) -> Self {
        Meter { total: register.0 * WH, at, power: Watts(0) }
    }

    /// What it shows.
    pub fn register(&self) -> Wh {
        Wh(self.total.div_euclid(WH))
    }

    /// What flows.
    pub fn power(&self) -> Watts {
        self.power
    }

    /// Lets time pass until `now`. The power is decided anew at every full second of simulated time, so that the same
    /// charge gives the same energy however often somebody looks.
    pub fn advance(&mut self, now: Timestamp, ev: Option<&mut Ev>, limit: Watts) {
        let Some(ev) = ev.filter(|_| limit.0 > 0) else {
            self.power = Watts(0);
            self.at = self.at.max(now);
            return;
        };
        if self.power.0 == 0 {
            self.power = ev.appetite().min(limit);
        }
        while self.at < now {
            let next_second = Timestamp((self.at.0.div_euclid(1000) + 1) * 1000);
            let until = next_second.min(now);
            let flow = (self.power.0 * until.millis_since(self.at)).min(ev.full() - ev.stored);
            ev.stored += flow;
            self.total += flow;
            self.at = until;
            if until == next_second {
                self.power = ev.appetite().min(limit);
                if self.power.0 == 0 {
                    self.at = now;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Watts = Watts(22_000);

    fn charge(steps: &[i64], vehicle: Vehicle) -> (Wh, Percent, Watts) {
        let (mut meter, mut ev) = (Meter::new(Wh(500), Timestamp(0)), Ev::new(vehicle));
        for &at in steps {
            meter.advance(Timestamp(at), Some(&mut ev), LIMIT);
        }
        (meter.register(), ev.soc(), meter.power())
    }

    #[test]
    fn an_hour_at_full_power_is_exact() {
        let (register, soc, power) = charge(&[3_600_000], Vehicle::default());
        assert_eq!((register, soc, power), (Wh(11_500), Percent(38), Watts(11_000)));
    }

    #[test]
    fn looking_more_often_changes_nothing() {
        let nearly_full = Vehicle { soc: Percent(70), ..Vehicle::default() };
        let often: Vec<i64> = (1..=7200).map(|n| n * 997).chain([7_200_000]).collect();
        assert_eq!(charge(&often, nearly_full), charge(&[7_200_000], nearly_full));
    }

    #[test]
    fn it_tapers_and_stops_when_full() {
        let vehicle = Vehicle { capacity: Wh(10_000), soc: Percent(90), max_power: Watts(10_000) };
        let (register, soc, power) = charge(&[36_000_000], vehicle);
        assert_eq!((register, soc, power), (Wh(1500), Percent(100), Watts(0)));
        let (_, soc, power) = charge(&[60_000], vehicle);
        assert!(soc.0 >= 90 && power.0 < 5600 && power.0 > 1000, "{soc:?} {power:?}");
    }

    #[test]
    fn the_station_limits_the_vehicle() {
        let (mut meter, mut ev) = (Meter::new(Wh(0), Timestamp(0)), Ev::new(Vehicle::default()));
        meter.advance(Timestamp(3_600_000), Some(&mut ev), Watts(3_600));
        assert_eq!(meter.register(), Wh(3600));
        meter.advance(Timestamp(7_200_000), Some(&mut ev), Watts(0));
        assert_eq!(meter.register(), Wh(3600));
    }
}
