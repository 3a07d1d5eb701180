//! The bill of an ended session: the same arithmetic as on the gateway, over the same facts and the same tariff version.
//!
//! The gateway's figure is what the driver saw at the charger, ours is what he pays. They are computed by one function, so a
//! difference is a fault in somebody's facts: it raises an alarm, and the bill stays as it is until a person decides.
//! Whatever comes later about a billed session does not change its bill.

use std::ops::Range;
use std::time::Instant;

use serde_json::json;
use shared::id::SessionId;
use shared::tariff::{Cost, Tariff, price_quantities};
use shared::units::{Timestamp, Wh};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::db::alarm::{self, Alarm};
use crate::db::bill::{self as rows, Ended};
use crate::db::record::Origin;

/// A bill that was made.
#[derive(Debug)]
pub struct Billed {
    /// What for.
    pub session: SessionId,
    /// When it was made.
    pub time: Range<Instant>,
}

/// Bills those of the sessions that have ended and are not billed yet, and compares with what the edge priced. To be called
/// in the transaction that wrote a start, a stop or an edge's price; their order does not matter. Returns the new bills.
///
/// # Errors
/// As any statement.
pub async fn settle(tx: &mut PgConnection, origin: Origin, sessions: &[Uuid]) -> sqlx::Result<Vec<Billed>> {
    let mut bills = Vec::new();
    for session in rows::ended(tx, sessions).await? {
        let alarm = settle_one(tx, &session, &mut bills).await?;
        if let Some(alarm) = alarm {
            tracing::warn!(kind = alarm.kind, session = alarm.subject, "a bill needs a look");
            alarm::raise(tx, Some(origin.gateway), Some(origin.site_id), &alarm).await?;
        }
    }
    Ok(bills)
}

async fn settle_one(
    tx: &mut PgConnection,
    session: &Ended,
    bills: &mut Vec<Billed>,
) -> sqlx::Result<Option<Alarm>> {
    let Some(tariff) = &session.tariff else { return Ok(Some(tariff_unknown(session))) };
    let total = match session.billed_micros {
        Some(total) => total,
        None => {
            let (began, cost) = (Instant::now(), cost(session, tariff));
            if rows::insert(tx, session, &cost).await? {
                metrics::counter!("bills_total").increment(1);
                bills.push(Billed { session: SessionId(session.id), time: began..Instant::now() });
            }
            cost.total.micros
        }
    };
    let Some(edge) = &session.edge_cost else { return Ok(None) };
    rows::set_edge_total(tx, session.id, edge.total.micros).await?;
    let difference = difference(session.id, total, tariff, edge);
    if difference.is_some() {
        metrics::counter!("price_differences_total").increment(1);
    }
    Ok(difference)
}

fn cost(session: &Ended, tariff: &Tariff) -> Cost {
    let (start, end) = (Timestamp::from_utc(session.started_at), Timestamp::from_utc(session.stopped_at));
    price_quantities(Wh(session.energy_wh), (end.millis_since(start) / 1000).max(0), tariff)
}

fn difference(session: Uuid, total: i64, tariff: &Tariff, edge: &Cost) -> Option<Alarm> {
    if total == edge.total.micros && tariff.currency == edge.total.currency {
        return None;
    }
    Some(Alarm {
        kind: "price_difference".into(),
        subject: session.to_string(),
        detail: json!({
            "billedMicros": total,
            "billedCurrency": tariff.currency.code(),
            "edgeMicros": edge.total.micros,
            "edgeCurrency": edge.total.currency.code(),
        }),
    })
}

/// The gateway priced by a tariff that we never published, or that a restored backup does not know.
fn tariff_unknown(session: &Ended) -> Alarm {
    Alarm {
        kind: "tariff_unknown".into(),
        subject: session.id.to_string(),
        detail: json!({ "tariff": session.tariff_id, "version": session.tariff_version }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::price_per_kwh;
    use shared::units::{Currency, Money};

    fn ended(tariff: &Tariff) -> Ended {
        Ended {
            id: Uuid::from_u128(1),
            user_id: None,
            started_at: Timestamp(1_000).to_utc().unwrap(),
            stopped_at: Timestamp(3_601_000).to_utc().unwrap(),
            energy_wh: 10_000,
            tariff_id: tariff.id.0,
            tariff_version: 1,
            tariff: None,
            edge_cost: None,
            billed_micros: None,
        }
    }

    #[test]
    fn the_bill_is_what_the_tariff_says() {
        let tariff = price_per_kwh("USD", "0.25".parse().unwrap()).unwrap();
        assert_eq!(
            cost(&ended(&tariff), &tariff).total,
            Money { currency: Currency::USD, micros: 2_500_000 }
        );
    }

    #[test]
    fn the_edge_must_agree_to_the_last_digit_and_in_the_currency() {
        let tariff = price_per_kwh("USD", "0.25".parse().unwrap()).unwrap();
        let mut edge = cost(&ended(&tariff), &tariff);
        assert_eq!(difference(Uuid::nil(), 2_500_000, &tariff, &edge), None);
        assert!(difference(Uuid::nil(), 2_500_001, &tariff, &edge).is_some());
        edge.total.currency = Currency::EUR;
        assert!(difference(Uuid::nil(), 2_500_000, &tariff, &edge).is_some());
    }
}
