//! The map: how many connectors are free, per site and per kind. One statement each; read far more than anything else.
//!
//! Two statements for the markers. Where the filter names a place or words, the sites come first, by their index, and of each
//! its few connectors: the cost is that of the answer, not of the table. The whole map groups all connectors and joins the
//! sites' wide rows once each. For that one neither a covering index nor a table of counters was worth it: Postgres prefers
//! the plain scan (80,000 connectors: 16 of 48 ms), and both would have made each new status a new index entry or a second
//! row to write, where it now is an update in place.

mod filter;

use sqlx::{PgPool, Postgres, QueryBuilder};

pub use filter::{BoundingBox, ConnectorFilter, MarkerFilter, Near, folded};

/// A site with a connector that counts.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Marker {
    /// The site.
    pub site_id: i64,
    /// Where it is: degrees east
    pub lon: f64,
    /// and north.
    pub lat: f64,
    /// Its name, where it was asked for.
    pub name: Option<String>,
    /// Its address, where it was asked for.
    pub address: Option<String>,
    /// Connectors that are free or about to be used.
    pub available: i64,
    /// Connectors that count.
    pub total: i64,
}

/// Connectors of one site that are alike.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
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

/// The sites that pass, the nearest first where that was asked for; `texts`: with name and address.
///
/// # Errors
/// When the database does not answer.
pub async fn markers(db: &PgPool, filter: &MarkerFilter, texts: bool) -> sqlx::Result<Vec<Marker>> {
    let texts = if texts { "s.name, s.address" } else { "null::text as name, null::text as address" };
    let mut sql =
        QueryBuilder::new("select s.id as site_id, coalesce(s.lon, 0) as lon, coalesce(s.lat, 0) as lat, ");
    sql.push(texts).push(", c.available, c.total from ");
    if filter.names_a_place() {
        sql.push("sites s, lateral (select ");
        push_counts(&mut sql, &filter.connectors);
        sql.push(" and k.site_id = s.id) c where c.total > 0");
        push_place(&mut sql, filter);
    } else {
        sql.push("(select k.site_id, ");
        push_counts(&mut sql, &filter.connectors);
        sql.push(" group by k.site_id) c join sites s on s.id = c.site_id where true");
    }
    if filter.only_available {
        sql.push(" and c.available > 0");
    }
    if let Some(near) = filter.near {
        sql.push(" order by map_place(s.lon, s.lat) <-> ");
        push_centre(&mut sql, near);
    }
    if let Some(limit) = filter.limit {
        sql.push(" limit ").push_bind(limit);
    }
    sql.build_query_as().fetch_all(db).await
}

/// `count… from connectors k … where …`: those that count.
fn push_counts(sql: &mut QueryBuilder<Postgres>, filter: &ConnectorFilter) {
    sql.push(
        "count(*) as total, count(*) filter (where k.status_name in ('Available', 'Preparing')) as available
         from connectors k",
    );
    if filter.only_public {
        sql.push(" join charge_points p on p.id = k.charge_point_id and p.public");
    }
    sql.push(" where k.connector_type_name = any(").push_bind(filter.types.clone());
    sql.push(") and k.power between ").push_bind(filter.min_power).push(" and ").push_bind(filter.max_power);
    sql.push(" and k.price between ").push_bind(filter.min_price).push("::float8::numeric and ");
    sql.push_bind(filter.max_price).push("::float8::numeric");
}

fn push_place(sql: &mut QueryBuilder<Postgres>, filter: &MarkerFilter) {
    if let Some(within) = filter.within {
        let mut between = " and (";
        for (west, east) in within.stripes() {
            sql.push(between).push("map_point(s.lon, s.lat) <@ box(point(").push_bind(west).push(", ");
            sql.push_bind(within.south).push("), point(").push_bind(east).push(", ");
            sql.push_bind(within.north).push("))");
            between = " or ";
        }
        sql.push(")");
    }
    if let Some((near, chord)) = filter.near.and_then(|near| Some((near, near.chord()?))) {
        // The cube around the ball is what the index knows, the ball is what was asked for.
        sql.push(" and map_place(s.lon, s.lat) <@ cube_enlarge(");
        push_centre(sql, near);
        sql.push(", ").push_bind(chord).push(", 3) and map_place(s.lon, s.lat) <-> ");
        push_centre(sql, near);
        sql.push(" <= ").push_bind(chord);
    }
    for word in &filter.words {
        sql.push(" and s.search like ").push_bind(filter::containing(word));
    }
}

fn push_centre(sql: &mut QueryBuilder<Postgres>, near: Near) {
    sql.push("map_place(").push_bind(near.longitude).push(", ").push_bind(near.latitude).push(")");
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
