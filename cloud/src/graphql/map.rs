//! What a map shows: sites with free and total connectors, and one site's connectors by kind. Public, and live.

use std::sync::LazyLock;

use async_graphql::indexmap::IndexMap;
use async_graphql::{
    Context, InputObject, Json, MaybeUndefined, Name, Object, SimpleObject, Subscription, Value,
};

use super::app;
use super::error::{Fault, Result};
use super::live::{self, Live};
use super::rows::{Flat, Rows, optional};
use super::scalar::{Float, JsonValue};
use crate::App;
use crate::db::map::{self, ConnectorFilter};

/// Subscriptions whose answer is the same for whoever asks.
pub(super) const LIVE_FOR_ALL: [&str; 2] = ["markerUpdated", "siteUpdated"];

/// Upper bounds where none is asked for.
const MARKERS_MAX: f64 = 1000.0;
const SITE_MAX: f64 = 300.0;

/// Which sites to show. A bound that is left out is wide, a bound that is null matches nothing.
#[derive(InputObject)]
pub(super) struct InputFilterMarkersDto {
    /// A list of connector types, such as ["Type 2", "CCS2"].
    connector_types_selected: Json<serde_json::Value>,
    /// kW, 0 when left out.
    min_power: MaybeUndefined<f64>,
    /// kW, 1000 when left out.
    max_power: MaybeUndefined<f64>,
    /// Per kWh, 0 when left out.
    min_price: MaybeUndefined<f64>,
    /// Per kWh, 1000 when left out.
    max_price: MaybeUndefined<f64>,
}

/// Which connectors of a site to show. A bound that is left out is wide, a bound that is null matches nothing.
#[derive(InputObject)]
pub(super) struct InputFilterSiteDto {
    /// The site; nothing is shown without.
    site_id: Option<f64>,
    /// A list of connector types, such as ["Type 2", "CCS2"].
    connector_types_selected: Json<serde_json::Value>,
    /// kW, 0 when left out.
    min_power: MaybeUndefined<f64>,
    /// kW, 300 when left out.
    max_power: MaybeUndefined<f64>,
    /// Per kWh, 0 when left out.
    min_price: MaybeUndefined<f64>,
    /// Per kWh, 300 when left out.
    max_price: MaybeUndefined<f64>,
}

/// A site on the map.
#[derive(SimpleObject)]
#[graphql(rename_fields = "lowercase")]
pub(super) struct ConnectorsOnMarkerResponse {
    siteid: Float,
    /// GeoJSON.
    location: JsonValue,
    /// Connectors that are Available or Preparing.
    available: Option<Float>,
    total: Option<Float>,
}

/// Connectors of a site that are alike.
#[derive(SimpleObject)]
#[graphql(rename_fields = "snake_case")]
pub(super) struct SiteResponse {
    connector_type: Option<String>,
    power: Option<Float>,
    price: Option<Float>,
    site_name: Option<String>,
    site_address: Option<String>,
    /// Connectors that are Available or Preparing.
    available: Option<Float>,
    /// Their ids; null when there are none.
    available_ids: Option<Vec<Float>>,
    total: Option<Float>,
}

impl Flat for ConnectorsOnMarkerResponse {
    fn value(&self, field: &str) -> Value {
        match field {
            "siteid" => self.siteid.into(),
            "location" => self.location.0.clone(),
            "available" => optional(self.available),
            "total" => optional(self.total),
            _ => Value::Null,
        }
    }
}

impl Flat for SiteResponse {
    fn value(&self, field: &str) -> Value {
        match field {
            "connector_type" => optional(self.connector_type.clone()),
            "power" => optional(self.power),
            "price" => optional(self.price),
            "site_name" => optional(self.site_name.clone()),
            "site_address" => optional(self.site_address.clone()),
            "available" => optional(self.available),
            "available_ids" => optional(self.available_ids.clone()),
            "total" => optional(self.total),
            _ => Value::Null,
        }
    }
}

#[derive(Default)]
pub(super) struct MapQuery;

#[Object]
impl MapQuery {
    /// Every site with a connector that passes the filter.
    #[graphql(complexity = "10 + 5 * child_complexity")]
    async fn get_filtered_markers(
        &self,
        ctx: &Context<'_>,
        input: InputFilterMarkersDto,
    ) -> Result<Rows<ConnectorsOnMarkerResponse>> {
        markers(app(ctx), &input.filter()?).await
    }

    /// A site's connectors that pass the filter, by type, power and price.
    #[graphql(complexity = "5 + 2 * child_complexity")]
    async fn get_filtered_site(
        &self,
        ctx: &Context<'_>,
        input: InputFilterSiteDto,
    ) -> Result<Rows<SiteResponse>> {
        groups(app(ctx), input.site()?, &input.filter()?).await
    }
}

#[derive(Default)]
pub(super) struct MapSubscription;

#[Subscription]
impl MapSubscription {
    /// The markers as they are, then again after each change.
    #[graphql(complexity = "10 + 5 * child_complexity")]
    #[expect(clippy::unused_async, reason = "resolvers are async by contract")]
    async fn marker_updated(
        &self,
        ctx: &Context<'_>,
        input: InputFilterMarkersDto,
    ) -> Result<Live<Rows<ConnectorsOnMarkerResponse>>> {
        let (app, filter) = (app(ctx).clone(), input.filter()?);
        Ok(live::states(
            app.live.connectors(),
            |_| true,
            move || {
                let (app, filter) = (app.clone(), filter.clone());
                async move { markers(&app, &filter).await }
            },
        ))
    }

    /// The site's connectors as they are, then again after each change there.
    #[graphql(complexity = "5 + 2 * child_complexity")]
    #[expect(clippy::unused_async, reason = "resolvers are async by contract")]
    async fn site_updated(
        &self,
        ctx: &Context<'_>,
        input: InputFilterSiteDto,
    ) -> Result<Live<Rows<SiteResponse>>> {
        let (app, site, filter) = (app(ctx).clone(), input.site()?, input.filter()?);
        Ok(live::states(
            app.live.connectors(),
            move |change| Some(change.site_id) == site,
            move || {
                let (app, filter) = (app.clone(), filter.clone());
                async move { groups(&app, site, &filter).await }
            },
        ))
    }
}

async fn markers(app: &App, filter: &ConnectorFilter) -> Result<Rows<ConnectorsOnMarkerResponse>> {
    let rows = map::markers(&app.db, filter).await?;
    let shown = rows.into_iter().map(|row| ConnectorsOnMarkerResponse {
        siteid: row.site_id.into(),
        location: point(row.lon, row.lat),
        available: Some(row.available.into()),
        total: Some(row.total.into()),
    });
    Ok(Rows(shown.collect()))
}

async fn groups(app: &App, site: Option<i64>, filter: &ConnectorFilter) -> Result<Rows<SiteResponse>> {
    let Some(site) = site else { return Ok(Rows(Vec::new())) };
    let rows = map::groups(&app.db, site, filter).await?;
    let shown = rows.into_iter().map(|row| SiteResponse {
        connector_type: row.connector_type,
        power: row.power.map(Float),
        price: row.price.map(Float),
        site_name: row.site_name,
        site_address: row.site_address,
        available: Some(row.available.into()),
        available_ids: row.available_ids.map(|ids| ids.into_iter().map(Float::from).collect()),
        total: Some(row.total.into()),
    });
    Ok(Rows(shown.collect()))
}

impl InputFilterMarkersDto {
    fn filter(&self) -> Result<ConnectorFilter> {
        Ok(ConnectorFilter {
            types: types(&self.connector_types_selected.0)?,
            min_power: bound(&self.min_power, 0.0),
            max_power: bound(&self.max_power, MARKERS_MAX),
            min_price: bound(&self.min_price, 0.0),
            max_price: bound(&self.max_price, MARKERS_MAX),
        })
    }
}

impl InputFilterSiteDto {
    fn filter(&self) -> Result<ConnectorFilter> {
        Ok(ConnectorFilter {
            types: types(&self.connector_types_selected.0)?,
            min_power: bound(&self.min_power, 0.0),
            max_power: bound(&self.max_power, SITE_MAX),
            min_price: bound(&self.min_price, 0.0),
            max_price: bound(&self.max_price, SITE_MAX),
        })
    }

    fn site(&self) -> Result<Option<i64>> {
        self.site_id.map(|id| super::row_id(id, "siteId")).transpose()
    }
}

/// A site's place as GeoJSON.
fn point(lon: f64, lat: f64) -> JsonValue {
    let coordinates = Value::List(vec![Float(lon).into(), Float(lat).into()]);
    JsonValue(Value::Object(IndexMap::from([
        (TYPE.clone(), Value::from("Point")),
        (COORDINATES.clone(), coordinates),
    ])))
}

static TYPE: LazyLock<Name> = LazyLock::new(|| Name::new("type"));
static COORDINATES: LazyLock<Name> = LazyLock::new(|| Name::new("coordinates"));

fn bound(asked: &MaybeUndefined<f64>, default: f64) -> Option<f64> {
    match asked {
        MaybeUndefined::Undefined => Some(default),
        MaybeUndefined::Null => None,
        MaybeUndefined::Value(value) => Some(*value),
    }
}

fn types(json: &serde_json::Value) -> Result<Vec<String>> {
    let texts =
        json.as_array().and_then(|list| list.iter().map(|it| it.as_str().map(String::from)).collect());
    texts.ok_or_else(|| {
        Fault::BadInput(
            "connectorTypesSelected must be a list of texts, such as [\"Type 2\", \"CCS2\"].".into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn markers(types: serde_json::Value, min_power: MaybeUndefined<f64>) -> Result<ConnectorFilter> {
        let undefined = MaybeUndefined::Undefined;
        let input = InputFilterMarkersDto {
            connector_types_selected: Json(types),
            min_power,
            max_power: undefined,
            min_price: undefined,
            max_price: undefined,
        };
        input.filter()
    }

    #[test]
    fn a_bound_left_out_is_wide_and_a_null_bound_matches_nothing() {
        let open = markers(json!(["CCS2"]), MaybeUndefined::Undefined).unwrap();
        assert_eq!((open.min_power, open.max_power, open.max_price), (Some(0.0), Some(1000.0), Some(1000.0)));
        assert_eq!(markers(json!([]), MaybeUndefined::Null).unwrap().min_power, None);
        assert_eq!(markers(json!([]), MaybeUndefined::Value(7.0)).unwrap().min_power, Some(7.0));
    }

    #[test]
    fn types_are_a_list_of_texts() {
        for bad in [json!("CCS2"), json!({"a": 1}), json!([1]), json!(null)] {
            assert!(matches!(markers(bad, MaybeUndefined::Undefined), Err(Fault::BadInput(_))));
        }
    }

    #[test]
    fn a_sites_bounds_end_at_300_and_its_id_is_whole() {
        let undefined = MaybeUndefined::Undefined;
        let input = |site_id| InputFilterSiteDto {
            site_id,
            connector_types_selected: Json(json!([])),
            min_power: undefined,
            max_power: undefined,
            min_price: undefined,
            max_price: undefined,
        };
        assert_eq!(input(None).filter().unwrap().max_power, Some(300.0));
        assert_eq!(input(None).site().unwrap(), None);
        assert_eq!(input(Some(2.0)).site().unwrap(), Some(2));
        assert!(input(Some(2.5)).site().is_err());
    }
}
