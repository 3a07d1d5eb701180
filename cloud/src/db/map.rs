//! The map: how many connectors are free, per site and per kind. One statement each; read far more than anything else.

use sqlx::PgPool;

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
}

/// A site with a connector that counts.
#[derive(Debug, sqlx::FromRow)]
pub struct Marker {
    /// The site.
    pub site_id: i64,
    /// Where it is: degrees east
    pub lon: f64,
    /// and north.
    pub lat: f64,
    /// Connectors that are free or about to be used.
    pub available: i64,
    /// Connectors that count.
    pub total: i64,
}

/// Connectors of one site that are alike.
#[derive(Debug, sqlx::FromRow)]
pub struct ConnectorGroup {
    /// What they have in common: type,
    pub connector_type: Option<String>,
    /// power
    pub power: Option<f64>,
    /// and price.
    pub price: Option<f64>,
    /// The site's name.
    pub site_name: Option<String>,
    /// Its address.
    pub site_address: Option<String>,
    /// How many are free or about to be used.
    pub available: i64,
    /// Which, if any.
    pub available_ids: Option<Vec<i64>>,
    /// How many there are.
    pub total: i64,
}

/// Every site with a connector that counts.
///
/// # Errors
/// When the database does not answer.
pub async fn markers(db: &PgPool, filter: &ConnectorFilter) -> sqlx::Result<Vec<Marker>> {
    // Grouped before the join: the sites' wide rows are read once each.
    sqlx::query_as(
        "select s.id as site_id, coalesce(s.lon, 0) as lon, coalesce(s.lat, 0) as lat, c.available, c.total
         from (select site_id, count(*) as total,
                      count(*) filter (where status_name in ('Available', 'Preparing')) as available
               from connectors
               where connector_type_name = any($1)
                 and power between $2 and $3
                 and price between $4::float8::numeric and $5::float8::numeric
               group by site_id) c
         join sites s on s.id = c.site_id",
    )
    .bind(&filter.types)
    .bind(filter.min_power)
    .bind(filter.max_power)
    .bind(filter.min_price)
    .bind(filter.max_price)
    .fetch_all(db)
    .await
}

/// The connectors of one site that count, grouped.
///
/// # Errors
/// When the database does not answer.
pub async fn groups(db: &PgPool, site: i64, filter: &ConnectorFilter) -> sqlx::Result<Vec<ConnectorGroup>> {
    sqlx::query_as(
        "select c.connector_type_name as connector_type, c.power, c.price::float8 as price,
                s.name as site_name, s.address as site_address,
                count(*) filter (where c.status_name in ('Available', 'Preparing')) as available,
                array_agg(c.id order by c.id) filter (where c.status_name in ('Available', 'Preparing')) as available_ids,
                count(*) as total
         from connectors c join sites s on s.id = c.site_id
         where c.site_id = $6
           and c.connector_type_name = any($1)
           and c.power between $2 and $3
           and c.price between $4::float8::numeric and $5::float8::numeric
         group by c.connector_type_name, c.power, c.price, s.id
         order by c.connector_type_name, c.power, c.price",
    )
    .bind(&filter.types)
    .bind(filter.min_power)
    .bind(filter.max_power)
    .bind(filter.min_price)
    .bind(filter.max_price)
    .bind(site)
    .fetch_all(db)
    .await
}
