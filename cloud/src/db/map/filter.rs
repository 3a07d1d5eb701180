//! Which connectors count and which sites pass: as values, for Postgres and for what changes afterwards.
//!
//! `marker` says of one site what the statement says of all; a live map is the statement once and `marker` from then on.

use sqlx::PgPool;

use super::Marker;
use crate::live;

/// The earth's mean radius in metres.
const EARTH: f64 = 6_371_008.8;

/// Which connectors count. A bound that is `None` matches nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorFilter {
    /// Names of connector types.
    pub types: Vec<String>,
    /// Smallest power.
    pub min_power: Option<f64>,
    /// Largest power.
    pub max_power: Option<f64>,
    /// Smallest price.
    pub min_price: Option<f64>,
    /// Largest price.
    pub max_price: Option<f64>,
    /// Only those of charge points that are for everybody.
    pub only_public: bool,
}

/// Which sites pass.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerFilter {
    /// Of what connectors one is needed.
    pub connectors: ConnectorFilter,
    /// A free one among them is needed.
    pub only_available: bool,
    /// Inside of this.
    pub within: Option<BoundingBox>,
    /// Around here, the nearest first.
    pub near: Option<Near>,
    /// All of these are in name and address; folded.
    pub words: Vec<String>,
    /// So many and no more.
    pub limit: Option<i64>,
}

/// A part of the map, edges included. East of the antimeridian when `west` is greater than `east`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Degrees.
    pub west: f64,
    /// Degrees.
    pub south: f64,
    /// Degrees.
    pub east: f64,
    /// Degrees.
    pub north: f64,
}

/// A place, and how far around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Metres; `None`: the whole earth.
    pub max_distance: Option<f64>,
}

/// Text as it is searched: small letters without accents, as Postgres keeps it of the sites.
///
/// # Errors
/// When the database does not answer.
pub async fn folded(db: &PgPool, text: &str) -> sqlx::Result<String> {
    sqlx::query_scalar("select folded($1)").bind(crate::db::text(text)).fetch_one(db).await
}

/// The pattern of texts that contain a word, whatever is in it.
pub(super) fn containing(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

impl ConnectorFilter {
    fn counts(&self, connector: &live::Connector) -> bool {
        let between = |value: Option<f64>, least: Option<f64>, most: Option<f64>| match (value, least, most) {
            (Some(value), Some(least), Some(most)) => least <= value && value <= most,
            _ => false,
        };
        let kind = |name: &String| self.types.contains(name);
        connector.kind.as_ref().is_some_and(kind)
            && between(connector.power, self.min_power, self.max_power)
            && between(connector.price, self.min_price, self.max_price)
            && (connector.public || !self.only_public)
    }
}

impl MarkerFilter {
    /// Does it find its sites by an index?
    pub fn names_a_place(&self) -> bool {
        self.within.is_some() || self.near.is_some() || !self.words.is_empty() || self.limit.is_some()
    }

    /// What the map shows of a site; `None` when it does not pass. The limit is for others to keep.
    pub fn marker(&self, site: &live::Site) -> Option<Marker> {
        let (mut available, mut total) = (0, 0);
        for connector in site.connectors.iter().filter(|it| self.connectors.counts(it)) {
            total += 1;
            available += i64::from(matches!(connector.status.as_deref(), Some("Available" | "Preparing")));
        }
        let passes = total > 0
            && (available > 0 || !self.only_available)
            && self.within.is_none_or(|within| within.contains(site.lon, site.lat))
            && self.near.is_none_or(|near| near.reaches(site.lon, site.lat))
            && self.words.iter().all(|word| site.search.contains(word));
        passes.then(|| Marker {
            site_id: site.id,
            lon: site.lon,
            lat: site.lat,
            name: site.name.clone(),
            address: site.address.clone(),
            available,
            total,
        })
    }
}

impl BoundingBox {
    /// Its parts from west to east: two when the antimeridian runs through it.
    pub(super) fn stripes(self) -> impl Iterator<Item = (f64, f64)> {
        let whole = self.west <= self.east;
        let first = if whole { (self.west, self.east) } else { (self.west, 180.0) };
        [Some(first), (!whole).then_some((-180.0, self.east))].into_iter().flatten()
    }

    fn contains(self, lon: f64, lat: f64) -> bool {
        self.south <= lat
            && lat <= self.north
            && self.stripes().any(|(west, east)| west <= lon && lon <= east)
    }
}

impl Near {
    /// Metres over the ground.
    pub fn distance(self, lon: f64, lat: f64) -> f64 {
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let across = self.latitude.to_radians().cos() * lat.to_radians().cos();
        let square = half(lat - self.latitude) + across * half(lon - self.longitude);
        2.0 * EARTH * square.sqrt().min(1.0).asin()
    }

    /// The straight line through a globe of radius 1 that is as long as `max_distance` over the ground.
    pub(super) fn chord(self) -> Option<f64> {
        let angle = (self.max_distance? / EARTH).min(std::f64::consts::PI);
        Some(2.0 * (angle / 2.0).sin())
    }

    fn reaches(self, lon: f64, lat: f64) -> bool {
        self.max_distance.is_none_or(|most| self.distance(lon, lat) <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_end_at_their_edges_and_cross_the_antimeridian() {
        let fiji = BoundingBox { west: 177.0, south: -19.0, east: -178.0, north: -16.0 };
        assert!(fiji.contains(178.4, -18.1) && fiji.contains(-179.0, -17.0) && fiji.contains(177.0, -19.0));
        assert!(!fiji.contains(0.0, -18.0) && !fiji.contains(178.0, -20.0));
        assert_eq!(fiji.stripes().collect::<Vec<_>>(), [(177.0, 180.0), (-180.0, -178.0)]);
    }

    #[test]
    fn distances_are_over_the_ground() {
        let paris = Near { latitude: 48.8566, longitude: 2.3522, max_distance: Some(880_000.0) };
        let berlin = paris.distance(13.405, 52.52);
        assert!((berlin - 877_464.0).abs() < 2_000.0, "{berlin}");
        assert!(paris.reaches(13.405, 52.52) && !paris.reaches(21.0, 52.2));
        let edge = Near { latitude: 0.0, longitude: 179.9, max_distance: None };
        assert!(edge.distance(-179.9, 0.0) < 23_000.0, "the short way round");
        assert!((edge.distance(-0.1, 0.0) - std::f64::consts::PI * EARTH).abs() < 1.0, "the other side");
    }

    #[test]
    fn patterns_take_words_as_they_are() {
        assert_eq!(containing("50%_\\"), "%50\\%\\_\\\\%");
    }
}
