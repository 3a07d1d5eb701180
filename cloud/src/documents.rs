//! Desired state for gateways: who may connect and who may wait, who may charge (see [`crate::lists`]), what it costs, what
//! stations shall be set to.
//!
//! Built from the tables whenever one of them changes, stored per gateway with a version that rises only when the content's
//! hash does, and pushed until the gateway says that it works by it. A price that an operator typed at a connector becomes a
//! tariff whose id is made from its content: the same price is the same tariff everywhere and forever, so that a bill can
//! always be computed again.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use shared::id::{EvseNo, GatewayId, StationId, TariffId};
use shared::model::document::{DocumentBody, StationEntry, StationsDoc, TariffAssignment, TariffsDoc};
use shared::model::onboarding::AdmissionDoc;
use shared::sync::v1;
use shared::tariff::{Dimension, PriceComponent, Tariff};
use shared::units::{Currency, MICROS, Timestamp};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::db::document::{self as rows, ConnectorRow};
use crate::db::{pending_station, setting, station_life};

/// The channel on which replicas hear of changed documents; the payload is the gateway's id.
pub const CHANNEL: &str = "documents";

/// To be called in the transaction that changed a site's stations, prices, time zone, window or wanted settings. Cards need
/// no call.
///
/// # Errors
/// As any statement.
pub async fn refresh(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<()> {
    for gateway in rows::gateways_of(tx, site_id).await? {
        refresh_gateway(tx, gateway, site_id).await?;
    }
    Ok(())
}

/// Rebuilds one gateway's documents but for its lists of tokens, and has those pushed that became others.
///
/// # Errors
/// As any statement.
pub async fn refresh_gateway(tx: &mut PgConnection, gateway: GatewayId, site_id: i64) -> sqlx::Result<()> {
    let bodies = [
        DocumentBody::Stations(stations(tx, site_id).await?),
        DocumentBody::Tariffs(tariffs(tx, site_id).await?),
        DocumentBody::Admission(admission(tx, site_id).await?),
        DocumentBody::Settings(setting::document(tx, site_id).await?),
    ];
    let mut changed = false;
    for body in &bodies {
        changed |= rows::store(tx, gateway, body, &v1::hash(body)).await?;
    }
    if changed { announce(tx, &[gateway]).await } else { Ok(()) }
}

/// Tells the replicas, at commit, whose documents changed.
pub(crate) async fn announce(tx: &mut PgConnection, gateways: &[GatewayId]) -> sqlx::Result<()> {
    let ids: Vec<String> = gateways.iter().map(GatewayId::to_string).collect();
    sqlx::query("select pg_notify($1, id) from unnest($2::text[]) u (id)")
        .bind(CHANNEL)
        .bind(ids)
        .execute(tx)
        .await?;
    Ok(())
}

async fn stations(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<StationsDoc> {
    let stations = rows::stations(tx, site_id).await?;
    Ok(StationsDoc {
        timezone: rows::timezone(tx, site_id).await?,
        stations: stations
            .into_iter()
            .filter_map(|row| {
                Some(StationEntry {
                    station: StationId::new(row.station).ok()?,
                    credential: row.credential,
                    quirks: row.quirks.map(|Json(quirks)| quirks).unwrap_or_default(),
                    since: Some(Timestamp::from_utc(row.since)),
                })
            })
            .collect(),
    })
}

async fn admission(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<AdmissionDoc> {
    let window = pending_station::window(tx, site_id).await?;
    let (held, rejected) = station_life::held_and_rejected(tx, site_id).await?;
    let (opened, until) = (window.opened_at, window.open_until);
    let window = opened.zip(until).map(|(at, until)| (Timestamp::from_utc(at), Timestamp::from_utc(until)));
    Ok(AdmissionDoc { window, rejected, held })
}

async fn tariffs(tx: &mut PgConnection, site_id: i64) -> sqlx::Result<TariffsDoc> {
    let mut doc = TariffsDoc::default();
    for row in rows::connectors(tx, site_id).await? {
        let (Ok(station), Ok(evse)) = (StationId::new(row.station.clone()), u16::try_from(row.evse)) else {
            continue;
        };
        let Some(tariff) = tariff_of(tx, &row).await? else { continue };
        let place =
            doc.tariffs.iter().position(|known| known.reference() == tariff.reference()).unwrap_or_else(
                || {
                    doc.tariffs.push(tariff);
                    doc.tariffs.len() - 1
                },
            );
        let tariff = u32::try_from(place).expect("a site has fewer tariffs than connectors");
        doc.assigned.push(TariffAssignment { station, evse: EvseNo(evse), tariff });
    }
    Ok(doc)
}

/// The tariff chosen for the connector, else one of its price, else one of the site's default price.
async fn tariff_of(tx: &mut PgConnection, row: &ConnectorRow) -> sqlx::Result<Option<Tariff>> {
    if let Some(id) = row.tariff_id
        && let Some(tariff) = rows::newest_tariff(tx, id).await?
    {
        return Ok(Some(tariff));
    }
    let price = row.price.filter(|price| !price.is_zero()).or(row.default_price);
    let Some(tariff) = price.and_then(|price| price_per_kwh(&row.currency, price)) else { return Ok(None) };
    rows::keep_tariff(tx, &tariff).await?;
    Ok(Some(tariff))
}

/// A tariff that is nothing but a price per kWh. `None` when the figures are none that a bill could carry.
pub fn price_per_kwh(currency: &str, price: Decimal) -> Option<Tariff> {
    let currency = Currency::new(currency).ok()?;
    let price_micros = (price * Decimal::from(MICROS)).round().to_i64()?;
    let content = format!("evb tariff: {currency} {price_micros} per kWh");
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(content.as_bytes()).as_bytes()[..16]);
    let component = PriceComponent { dimension: Dimension::Energy, price_micros, step: 1 };
    let id = TariffId(uuid::Builder::from_custom_bytes(id).into_uuid());
    Some(Tariff { id, version: 1, currency, components: vec![component] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_price_is_the_same_tariff() {
        let tariff = |currency, price: &str| price_per_kwh(currency, price.parse().unwrap());
        assert_eq!(tariff("USD", "0.25"), tariff("USD", "0.250000"));
        assert_eq!(tariff("USD", "0.25").unwrap().components[0].price_micros, 250_000);
        assert_ne!(tariff("USD", "0.25").unwrap().id, tariff("EUR", "0.25").unwrap().id);
        assert_ne!(tariff("USD", "0.25").unwrap().id, tariff("USD", "0.26").unwrap().id);
        assert_eq!(tariff("usd", "0.25"), None);
    }
}
