//! What a session costs: the same function on the gateway's screen, on the driver's phone and on the bill.
//!
//! Shaped after OCPI 2.2.1 tariffs (price components with a step size). Quantities and prices are integers; each line is
//! rounded once, half away from zero, to the smallest amount of the currency, because a line is what the driver sees, and
//! the total is the sum of the lines.

use serde::{Deserialize, Serialize};

use crate::id::TariffId;
use crate::model::Session;
use crate::model::session::TariffRef;
use crate::units::{Currency, Money, Timestamp, Wh};

/// A published tariff. A change is a new version; a version never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// Which tariff.
    pub id: TariffId,
    /// Its version.
    pub version: u32,
    /// What its prices are in.
    pub currency: Currency,
    /// What is charged for. Empty means free.
    pub components: Vec<PriceComponent>,
}

impl Tariff {
    /// The reference that sessions and bills carry.
    pub fn reference(&self) -> TariffRef {
        TariffRef { id: self.id, version: self.version }
    }
}

/// One thing that is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceComponent {
    /// What.
    pub dimension: Dimension,
    /// Price of one unit, in millionths of the currency's unit: per kWh, per hour, or per session.
    pub price_micros: i64,
    /// Quantities are rounded up to whole multiples of this: Wh or seconds. 0 and 1 charge exactly.
    pub step: u32,
}

/// What a price is for (OCPI TariffDimensionType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dimension {
    /// Per kWh of energy.
    Energy,
    /// Per hour of the session.
    Time,
    /// Once per session.
    Flat,
}

impl Dimension {
    /// The unit in which a line's quantity is counted.
    pub fn unit(self) -> &'static str {
        match self {
            Dimension::Energy => "Wh",
            Dimension::Time => "s",
            Dimension::Flat => "session",
        }
    }

    /// The name as apps see it.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Energy => "energy",
            Dimension::Time => "time",
            Dimension::Flat => "flat",
        }
    }

    /// How many quantities the price is for: a price per kWh is for 1000 Wh.
    fn per(self) -> i128 {
        match self {
            Dimension::Energy => 1000,
            Dimension::Time => 3600,
            Dimension::Flat => 1,
        }
    }
}

/// A price, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// One line per component of the tariff, in its order.
    pub lines: Vec<CostLine>,
    /// The sum of the lines.
    pub total: Money,
}

/// One line of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostLine {
    /// For what.
    pub dimension: Dimension,
    /// How much was charged for, after the step: Wh, seconds or sessions.
    pub quantity: i64,
    /// The component's price, see [`PriceComponent::price_micros`].
    pub price_micros: i64,
    /// The line's amount in millionths of the currency's unit, rounded to its smallest amount.
    pub amount_micros: i64,
}

/// Prices a session by a tariff as of `now`; what has ended no longer grows.
pub fn price(session: &Session, tariff: &Tariff, now: Timestamp) -> Cost {
    price_quantities(session.energy, session.seconds(now), tariff)
}

/// Prices an amount of energy and a time. Negative quantities cost nothing.
pub fn price_quantities(energy: Wh, seconds: i64, tariff: &Tariff) -> Cost {
    let minor = Money::minor_unit(tariff.currency);
    let lines: Vec<CostLine> = tariff
        .components
        .iter()
        .map(|component| {
            let metered = match component.dimension {
                Dimension::Energy => energy.0,
                Dimension::Time => seconds,
                Dimension::Flat => 1,
            };
            let quantity = step_up(metered.max(0), component.step);
            CostLine {
                dimension: component.dimension,
                quantity,
                price_micros: component.price_micros,
                amount_micros: amount(quantity, component.price_micros, component.dimension.per(), minor),
            }
        })
        .collect();
    let total = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.amount_micros));
    Cost { lines, total: Money { currency: tariff.currency, micros: total } }
}

fn step_up(quantity: i64, step: u32) -> i64 {
    let step = i64::from(step.max(1));
    quantity.saturating_add(step - 1) / step * step
}

/// `quantity × price / per`, rounded half away from zero to a multiple of `minor`; held at the ends of the range.
fn amount(quantity: i64, price: i64, per: i128, minor: i64) -> i64 {
    let divisor = per * i128::from(minor);
    let exact = i128::from(quantity) * i128::from(price);
    let half = if exact < 0 { -divisor / 2 } else { divisor / 2 };
    let rounded = (exact + half) / divisor * i128::from(minor);
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tariff(currency: Currency, components: &[(Dimension, i64, u32)]) -> Tariff {
        let components = components
            .iter()
            .map(|&(dimension, price_micros, step)| PriceComponent { dimension, price_micros, step })
            .collect();
        Tariff { id: TariffId(Uuid::nil()), version: 1, currency, components }
    }

    #[test]
    fn each_component_is_a_line_rounded_once() {
        use Dimension::{Energy, Flat, Time};
        let jpy = Currency::new("JPY").unwrap();
        type Case<'a> = (Currency, &'a [(Dimension, i64, u32)], i64, i64, &'a [i64], i64);
        let table: &[Case<'_>] = &[
            (Currency::USD, &[(Energy, 250_000, 1)], 10_000, 0, &[2_500_000], 2_500_000),
            (Currency::USD, &[(Energy, 250_000, 1)], 20, 0, &[10_000], 10_000), // half a cent, up
            (Currency::USD, &[(Energy, 250_000, 1)], 19, 0, &[0], 0),
            (Currency::USD, &[(Energy, 250_000, 1000)], 1, 0, &[250_000], 250_000), // a begun kWh
            (Currency::USD, &[(Time, 3_000_000, 60)], 0, 61, &[100_000], 100_000),  // begun minutes
            (
                Currency::USD,
                &[(Flat, 500_000, 0), (Energy, 450_000, 1)],
                12_345,
                9,
                &[500_000, 5_560_000],
                6_060_000,
            ),
            (jpy, &[(Energy, 33_000_000, 1)], 1_500, 0, &[50_000_000], 50_000_000), // 49.5 yen
            (Currency::USD, &[], 10_000, 100, &[], 0),
            (Currency::USD, &[(Energy, 250_000, 1)], -5, -5, &[0], 0),
        ];
        for (currency, components, energy, seconds, lines, total) in table {
            let cost = price_quantities(Wh(*energy), *seconds, &tariff(*currency, components));
            assert_eq!(cost.lines.iter().map(|l| l.amount_micros).collect::<Vec<_>>(), *lines);
            assert_eq!(cost.total.micros, *total);
        }
    }

    #[test]
    fn absurd_quantities_do_not_overflow() {
        let cost =
            price_quantities(Wh(i64::MAX), 0, &tariff(Currency::USD, &[(Dimension::Energy, i64::MAX, 1000)]));
        assert_eq!(cost.total.micros, i64::MAX);
    }
}
