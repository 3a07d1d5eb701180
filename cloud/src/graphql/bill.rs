//! What a session costs, line by line. Amounts are decimal texts, so that no float rounds them.

use async_graphql::SimpleObject;
use shared::tariff::CostLine;
use shared::units::{Currency, Money};

use super::scalar::Float;

/// What a session costs. Amounts are decimal texts, never rounded by a float.
#[derive(SimpleObject)]
pub(super) struct Bill {
    /// ISO 4217.
    currency: String,
    total: String,
    /// The total is their sum.
    lines: Vec<BillLine>,
}

/// One reason to pay.
#[derive(SimpleObject)]
pub(super) struct BillLine {
    /// energy, time or flat.
    kind: String,
    quantity: Float,
    /// Of the quantity: Wh, s or session.
    unit: String,
    /// Price of a kWh, an hour or a session.
    price: String,
    amount: String,
}

impl BillLine {
    fn of(line: &CostLine, currency: Currency) -> Self {
        Self {
            kind: line.dimension.name().into(),
            quantity: line.quantity.into(),
            unit: line.dimension.unit().into(),
            price: decimal(currency, line.price_micros),
            amount: decimal(currency, line.amount_micros),
        }
    }
}

fn decimal(currency: Currency, micros: i64) -> String {
    let text = Money { currency, micros }.to_string();
    text.split_once(' ').map_or_else(|| text.clone(), |(amount, _)| amount.to_owned())
}

impl Bill {
    /// `None` when the currency is none.
    pub(super) fn of(currency: &str, total_micros: i64, lines: &[CostLine]) -> Option<Self> {
        let currency = Currency::new(currency).ok()?;
        Some(Self {
            currency: currency.code().into(),
            total: decimal(currency, total_micros),
            lines: lines.iter().map(|line| BillLine::of(line, currency)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_texts() {
        assert_eq!(decimal(Currency::USD, 2_500_000), "2.50");
        assert_eq!(decimal(Currency::USD, 250_000), "0.25");
        assert_eq!(decimal(Currency::EUR, 123_456), "0.123456");
    }
}
