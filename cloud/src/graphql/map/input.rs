//! What a map is asked with. The first API's filters mean what they meant; what came later is optional.

use async_graphql::{InputObject, Json, MaybeUndefined};
use sqlx::PgPool;

use crate::db::map::{self, BoundingBox, ConnectorFilter, MarkerFilter, Near};
use crate::graphql::error::{Fault, Result};
use crate::graphql::row_id;

/// Characters of a search: an address has fewer.
const SEARCH_MAX: usize = 100;

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
    /// Only sites in this part of the map.
    bounding_box: Option<InputBoundingBoxDto>,
    /// The nearest first.
    near: Option<InputNearDto>,
    /// Words that are all in a site's name or address, whatever their accents and case; parts of words do.
    search: Option<String>,
    /// Only connectors of charge points that are for everybody.
    only_public: Option<bool>,
    /// Only sites with a free connector.
    only_available: Option<bool>,
    /// At most so many sites: the nearest ones with `near`, any without.
    limit: Option<i32>,
}

/// A part of the map in degrees, edges included. The antimeridian runs through it when west is greater than east.
#[derive(InputObject)]
pub(super) struct InputBoundingBoxDto {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

/// A place in degrees.
#[derive(InputObject)]
pub(super) struct InputNearDto {
    latitude: f64,
    longitude: f64,
    /// Metres; sites farther away are left out.
    max_distance: Option<f64>,
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

impl InputFilterMarkersDto {
    /// The filter it stands for; words are folded by Postgres, as the sites' are.
    pub(super) async fn filter(&self, db: &PgPool) -> Result<MarkerFilter> {
        Ok(MarkerFilter {
            connectors: self.connectors()?,
            only_available: self.only_available.unwrap_or_default(),
            within: self.bounding_box.as_ref().map(InputBoundingBoxDto::checked).transpose()?,
            near: self.near.as_ref().map(InputNearDto::checked).transpose()?,
            words: words(self.search.as_deref().unwrap_or_default(), db).await?,
            limit: self.limit.map(limit).transpose()?,
        })
    }

    fn connectors(&self) -> Result<ConnectorFilter> {
        Ok(ConnectorFilter {
            types: types(&self.connector_types_selected.0)?,
            min_power: bound(&self.min_power, 0.0),
            max_power: bound(&self.max_power, MARKERS_MAX),
            min_price: bound(&self.min_price, 0.0),
            max_price: bound(&self.max_price, MARKERS_MAX),
            only_public: self.only_public.unwrap_or_default(),
        })
    }
}

impl InputBoundingBoxDto {
    fn checked(&self) -> Result<BoundingBox> {
        let Self { west, south, east, north } = *self;
        longitude(west, "boundingBox.west")?;
        longitude(east, "boundingBox.east")?;
        latitude(south, "boundingBox.south")?;
        latitude(north, "boundingBox.north")?;
        if south > north {
            return Err(Fault::BadInput("boundingBox.south must not be greater than north.".into()));
        }
        Ok(BoundingBox { west, south, east, north })
    }
}

impl InputNearDto {
    fn checked(&self) -> Result<Near> {
        latitude(self.latitude, "near.latitude")?;
        longitude(self.longitude, "near.longitude")?;
        if self.max_distance.is_some_and(|metres| metres < 0.0) {
            return Err(Fault::BadInput("near.maxDistance must be metres, 0 or more.".into()));
        }
        Ok(Near { latitude: self.latitude, longitude: self.longitude, max_distance: self.max_distance })
    }
}

impl InputFilterSiteDto {
    pub(super) fn filter(&self) -> Result<ConnectorFilter> {
        Ok(ConnectorFilter {
            types: types(&self.connector_types_selected.0)?,
            min_power: bound(&self.min_power, 0.0),
            max_power: bound(&self.max_power, SITE_MAX),
            min_price: bound(&self.min_price, 0.0),
            max_price: bound(&self.max_price, SITE_MAX),
            only_public: false,
        })
    }

    pub(super) fn site(&self) -> Result<Option<i64>> {
        self.site_id.map(|id| row_id(id, "siteId")).transpose()
    }
}

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

async fn words(search: &str, db: &PgPool) -> Result<Vec<String>> {
    if search.trim().is_empty() {
        return Ok(Vec::new());
    }
    if search.chars().count() > SEARCH_MAX {
        return Err(Fault::BadInput(format!("search must be at most {SEARCH_MAX} characters long.")));
    }
    let mut words: Vec<_> = map::folded(db, search).await?.split_whitespace().map(String::from).collect();
    words.sort_unstable();
    words.dedup();
    Ok(words)
}

fn limit(asked: i32) -> Result<i64> {
    if asked < 1 {
        return Err(Fault::BadInput("limit must be 1 or more; leave it out for all sites.".into()));
    }
    Ok(asked.into())
}

fn longitude(degrees: f64, field: &str) -> Result<()> {
    if degrees.abs() <= 180.0 {
        return Ok(());
    }
    Err(Fault::BadInput(format!("{field} must be degrees from -180 to 180.")))
}

fn latitude(degrees: f64, field: &str) -> Result<()> {
    if degrees.abs() <= 90.0 {
        return Ok(());
    }
    Err(Fault::BadInput(format!("{field} must be degrees from -90 to 90.")))
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
            bounding_box: None,
            near: None,
            search: None,
            only_public: None,
            only_available: None,
            limit: None,
        };
        input.connectors()
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

    #[test]
    fn places_are_on_the_globe() {
        let edges =
            |west, south, east, north| InputBoundingBoxDto { west, south, east, north }.checked().is_ok();
        assert!(edges(170.0, -20.0, -170.0, 20.0), "across the antimeridian");
        assert!(
            !edges(-181.0, 0.0, 0.0, 1.0) && !edges(0.0, 1.0, 1.0, 0.0) && !edges(0.0, f64::NAN, 1.0, 1.0)
        );
        let near = |latitude, longitude, max_distance| {
            InputNearDto { latitude, longitude, max_distance }.checked().is_ok()
        };
        assert!(near(90.0, 180.0, None) && near(0.0, 0.0, Some(0.0)));
        assert!(!near(91.0, 0.0, None) && !near(0.0, 0.0, Some(-1.0)));
        assert!(limit(0).is_err() && limit(1).is_ok());
    }
}
