//! What a map shows: sites with free and total connectors, and one site's connectors by kind. Public, and live.
//!
//! All connectors of all sites are shown, as ever; `onlyPublic` leaves out those of charge points that are not for everybody.

mod input;
mod place;
mod room;

use async_graphql::{Context, Object, SimpleObject, Subscription, Value};
use futures_util::StreamExt as _;

use super::app;
use super::error::Result;
use super::live::{self, Live};
use super::request::Root;
use super::rows::{self, Flat, Rows, optional};
use super::scalar::Float;
use crate::App;
use crate::db::map::{self, ConnectorFilter, ConnectorGroup, Marker, MarkerFilter};
use crate::db::site_change::Cursor;
use input::{InputFilterMarkersDto, InputFilterSiteDto};
use place::Place;
pub(super) use room::Rooms;
use room::Told;

/// Is a subscription's answer the same state for whoever asks? Deltas are each one's own: they depend on what he has heard.
pub(super) fn is_same_for_all(root: &Root) -> bool {
    let own = |argument: &String| matches!(argument.as_str(), "delta" | "after");
    matches!(root.name.as_str(), "markerUpdated" | "siteUpdated") && !root.arguments.iter().any(own)
}

/// A site on the map.
#[derive(SimpleObject)]
#[graphql(rename_fields = "lowercase")]
pub(super) struct ConnectorsOnMarkerResponse {
    siteid: Float,
    /// GeoJSON.
    location: Place,
    /// Connectors that are Available or Preparing.
    available: Option<Float>,
    /// 0 in a delta: the site is not on this map any more.
    total: Option<Float>,
    name: Option<String>,
    address: Option<String>,
    /// Metres from `near`.
    distance: Option<Float>,
    /// On the last marker of an answer: give it to `markerUpdated(after:)` to hear of everything since.
    cursor: Option<String>,
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
            "location" => self.location.value(),
            "available" => optional(self.available),
            "total" => optional(self.total),
            "name" => optional(self.name.as_deref()),
            "address" => optional(self.address.as_deref()),
            "distance" => optional(self.distance),
            "cursor" => optional(self.cursor.as_deref()),
            _ => Value::Null,
        }
    }

    fn write(&self, field: &str, out: &mut Vec<u8>) {
        let number = |out: &mut Vec<u8>, number: Option<Float>| match number {
            Some(number) => number.write(out),
            None => out.extend_from_slice(b"null"),
        };
        match field {
            "siteid" => self.siteid.write(out),
            "location" => self.location.write(out),
            "available" => number(out, self.available),
            "total" => number(out, self.total),
            "distance" => number(out, self.distance),
            texts => rows::leaf(out, &self.value(texts)),
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
        let app = app(ctx);
        let filter = input.filter(&app.db).await?;
        let asked = |field| ctx.look_ahead().field(field).exists();
        let texts = asked("name") || asked("address");
        if let Some(told) = room::fresh(ctx.data_unchecked(), app, &filter).await? {
            return Ok(shown(told.markers.iter().map(AsRef::as_ref), &filter, texts, Some(told.cursor)));
        }
        // Before the markers: a cursor may be too old, never too new.
        let cursor = if asked("cursor") { Some(Cursor::now(&app.db).await?) } else { None };
        let markers = map::markers(&app.db, &filter, texts).await?;
        Ok(shown(markers.iter(), &filter, texts, cursor))
    }

    /// A site's connectors that pass the filter, by type, power and price.
    #[graphql(complexity = "5 + 2 * child_complexity")]
    async fn get_filtered_site(
        &self,
        ctx: &Context<'_>,
        input: InputFilterSiteDto,
    ) -> Result<Rows<SiteResponse>> {
        Ok(kinds(groups(app(ctx), input.site()?, &input.filter()?).await?))
    }
}

#[derive(Default)]
pub(super) struct MapSubscription;

#[Subscription]
impl MapSubscription {
    /// The markers as they are, then all of them again after each change; with `delta`, only those that changed (`total` is
    /// 0 when the site is not on this map any more). `after`, together with `delta`: go on behind this `cursor` of a marker
    /// instead of beginning with all.
    #[graphql(complexity = "10 + 5 * child_complexity")]
    async fn marker_updated(
        &self,
        ctx: &Context<'_>,
        input: InputFilterMarkersDto,
        #[graphql(default)] delta: bool,
        after: Option<String>,
    ) -> Result<Live<Rows<ConnectorsOnMarkerResponse>>> {
        let app = app(ctx);
        let filter = input.filter(&app.db).await?;
        let rooms = ctx.data_unchecked::<Rooms>();
        let shown_by = filter.clone();
        let told = if delta {
            room::deltas(rooms, app, filter, after.as_deref()).await?.boxed()
        } else {
            room::wholes(rooms, app, filter).await?.boxed()
        };
        let asked = |field| ctx.look_ahead().field(field).exists();
        let texts = asked("name") || asked("address");
        let rows = move |told: Told| {
            shown(told.markers.iter().map(AsRef::as_ref), &shown_by, texts, Some(told.cursor))
        };
        Ok(told.map(move |told| Ok(rows(told))).boxed())
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
        let states = live::states(
            app.live.sites(),
            move |change| site.is_some_and(|site| change.concerns(site)),
            move || {
                let (app, filter) = (app.clone(), filter.clone());
                async move { groups(&app, site, &filter).await }
            },
        );
        Ok(live::distinct(states).map(|groups| Ok(kinds(groups?))).boxed())
    }
}

/// Markers as rows, in the order that the filter asks for.
fn shown<'a>(
    markers: impl Iterator<Item = &'a Marker>,
    filter: &MarkerFilter,
    texts: bool,
    cursor: Option<Cursor>,
) -> Rows<ConnectorsOnMarkerResponse> {
    let row = |marker: &Marker| ConnectorsOnMarkerResponse {
        siteid: marker.site_id.into(),
        location: Place { lon: Float(marker.lon), lat: Float(marker.lat) },
        available: Some(marker.available.into()),
        total: Some(marker.total.into()),
        name: if texts { marker.name.clone() } else { None },
        address: if texts { marker.address.clone() } else { None },
        distance: filter.near.map(|near| Float(near.distance(marker.lon, marker.lat))),
        cursor: None,
    };
    let mut rows: Vec<_> = markers.map(row).collect();
    if filter.near.is_some() {
        let metres = |row: &ConnectorsOnMarkerResponse| row.distance.map_or(f64::MAX, |metres| metres.0);
        rows.sort_by(|one, other| metres(one).total_cmp(&metres(other)));
    }
    if let Some(last) = rows.last_mut() {
        last.cursor = cursor.map(|cursor| cursor.to_string());
    }
    Rows(rows)
}

async fn groups(app: &App, site: Option<i64>, filter: &ConnectorFilter) -> Result<Vec<ConnectorGroup>> {
    let Some(site) = site else { return Ok(Vec::new()) };
    Ok(map::groups(&app.db, site, filter).await?)
}

fn kinds(groups: Vec<ConnectorGroup>) -> Rows<SiteResponse> {
    let shown = groups.into_iter().map(|row| SiteResponse {
        connector_type: row.connector_type,
        power: row.power.map(Float),
        price: row.price.map(Float),
        site_name: row.site_name,
        site_address: row.site_address,
        available: Some(row.available.into()),
        available_ids: row.available_ids.map(|ids| ids.into_iter().map(Float::from).collect()),
        total: Some(row.total.into()),
    });
    Rows(shown.collect())
}
