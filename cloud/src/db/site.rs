//! Sites with their charge points and connectors, as one thing that is saved whole.
//!
//! A field that is `None` is kept. An update that changes nothing touches no row, so that `updated_at` tells the truth.

use async_graphql::Value;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::auth::Reach;

/// A site that somebody may change.
#[derive(Debug, sqlx::FromRow)]
pub struct Owned {
    /// Whose it is.
    pub owner_id: Option<i64>,
    /// What its prices are in.
    pub currency: String,
}

/// What is said of a site.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct SiteFields {
    pub name: Option<String>,
    pub site: Option<String>,
    pub site_area: Option<String>,
    pub location: Option<Value>,
    pub address: Option<String>,
    pub zip_code: Option<f64>,
    pub phone_number: Option<String>,
    pub default_price: Option<Decimal>,
    pub information: Option<String>,
    pub dynamic_asset: Option<String>,
    pub asset_type: Option<String>,
    pub instant_power: Option<f64>,
    pub battery: Option<String>,
    pub organization_id: Option<i64>,
    pub currency: Option<String>,
    pub timezone: Option<String>,
}

/// What is said of a charge point.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct ChargePointFields {
    pub hardware_id: Option<String>,
    pub name: Option<String>,
    pub instant_power: Option<f64>,
    pub power: Option<f64>,
    pub public: Option<bool>,
}

/// What is said of a connector.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct ConnectorFields {
    pub label: Option<String>,
    pub type_name: Option<String>,
    pub type_id: Option<String>,
    pub power: Option<f64>,
    pub max_power: Option<f64>,
    pub price: Option<Decimal>,
    pub price_unit: Option<String>,
}

/// A connector that a charge point has.
#[derive(Debug, sqlx::FromRow)]
pub struct KnownConnector {
    /// Row id.
    pub id: i64,
    /// Its number on the charge point.
    pub connector_id: Option<i32>,
    /// What people call it.
    pub label: Option<String>,
    /// Its price.
    pub price: Option<Decimal>,
    /// What the price is in.
    pub price_unit: Option<String>,
}

/// A site within reach, locked until the end of the transaction.
///
/// # Errors
/// When the database does not answer.
pub async fn owned(tx: &mut PgConnection, id: i64, reach: &Reach) -> sqlx::Result<Option<Owned>> {
    sqlx::query_as(
        "select owner_id, currency::text as currency from sites
         where id = $1 and ($2 or owner_id = $3 or organization_id = any($4)) for update",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(tx)
    .await
}

/// Is it an organization whose sites are within reach?
///
/// # Errors
/// When the database does not answer.
pub async fn organization_within(tx: &mut PgConnection, id: i64, reach: &Reach) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from organizations where id = $1 and ($2 or id = any($3)))")
        .bind(id)
        .bind(reach.everything)
        .bind(&reach.organizations)
        .fetch_one(tx)
        .await
}

/// Is it a time zone that Postgres knows?
///
/// # Errors
/// When the database does not answer.
pub async fn is_timezone(tx: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from pg_timezone_names where name = $1)")
        .bind(name)
        .fetch_one(tx)
        .await
}

/// An empty site.
///
/// # Errors
/// When the database does not answer.
pub async fn insert(tx: &mut PgConnection, owner: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into sites (owner_id, name, site, site_area, address, information, dynamic_asset, asset_type, instant_power)
         values ($1, '', '', '', '', '', '', '', 0) returning id",
    )
    .bind(owner)
    .fetch_one(tx)
    .await
}

/// Writes what is said of a site; true when that changed it.
///
/// # Errors
/// When the database does not answer.
pub async fn update(tx: &mut PgConnection, id: i64, it: &SiteFields) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "with new as (
            select id, coalesce($2, name) as name, coalesce($3, site) as site, coalesce($4, site_area) as site_area,
                   coalesce($5, location) as location, coalesce($6, address) as address, coalesce($7, zip_code) as zip_code,
                   coalesce($8, phone_number) as phone_number, coalesce($9, default_price) as default_price,
                   coalesce($10, information) as information, coalesce($11, dynamic_asset) as dynamic_asset,
                   coalesce($12, asset_type) as asset_type, coalesce($13, instant_power) as instant_power,
                   coalesce($14, battery) as battery, coalesce($15, organization_id) as organization_id,
                   coalesce($16, currency::text) as currency, coalesce($17, timezone) as timezone
            from sites where id = $1)
         update sites s set name = new.name, site = new.site, site_area = new.site_area, location = new.location,
                address = new.address, zip_code = new.zip_code, phone_number = new.phone_number,
                default_price = new.default_price, information = new.information, dynamic_asset = new.dynamic_asset,
                asset_type = new.asset_type, instant_power = new.instant_power, battery = new.battery,
                organization_id = new.organization_id, currency = new.currency, timezone = new.timezone, updated_at = now()
         from new where s.id = new.id and
            (s.name, s.site, s.site_area, s.location, s.address, s.zip_code, s.phone_number, s.default_price, s.information,
             s.dynamic_asset, s.asset_type, s.instant_power, s.battery, s.organization_id, s.currency::text, s.timezone)
            is distinct from
            (new.name, new.site, new.site_area, new.location, new.address, new.zip_code, new.phone_number,
             new.default_price, new.information, new.dynamic_asset, new.asset_type, new.instant_power, new.battery,
             new.organization_id, new.currency, new.timezone)",
    )
    .bind(id)
    .bind(&it.name)
    .bind(&it.site)
    .bind(&it.site_area)
    .bind(it.location.as_ref().map(Json))
    .bind(&it.address)
    .bind(it.zip_code)
    .bind(&it.phone_number)
    .bind(it.default_price)
    .bind(&it.information)
    .bind(&it.dynamic_asset)
    .bind(&it.asset_type)
    .bind(it.instant_power)
    .bind(&it.battery)
    .bind(it.organization_id)
    .bind(&it.currency)
    .bind(&it.timezone)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The charge point of a site by its id, else by its identity.
///
/// # Errors
/// When the database does not answer.
pub async fn charge_point(
    tx: &mut PgConnection,
    site: i64,
    id: Option<i64>,
    hardware_id: Option<&str>,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "select id from charge_points where site_id = $1
         and case when $2::bigint is null then lower(charge_point_hardware_id) = lower($3) else id = $2 end",
    )
    .bind(site)
    .bind(id)
    .bind(hardware_id)
    .fetch_optional(tx)
    .await
}

/// A charge point without anything said of it.
///
/// # Errors
/// When its identity is taken at another site, or the database does not answer.
pub async fn insert_charge_point(
    tx: &mut PgConnection,
    site: i64,
    owner: Option<i64>,
    hardware_id: Option<&str>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into charge_points (site_id, owner_id, charge_point_hardware_id, charge_point_name, instant_power, power)
         values ($1, $2, $3, '', 0, 0) returning id",
    )
    .bind(site)
    .bind(owner)
    .bind(hardware_id)
    .fetch_one(tx)
    .await
}

/// Writes what is said of a charge point; true when that changed it.
///
/// # Errors
/// When its new identity is taken, or the database does not answer.
pub async fn update_charge_point(
    tx: &mut PgConnection,
    id: i64,
    it: &ChargePointFields,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "with new as (
            select id, coalesce($2, charge_point_hardware_id) as hardware_id, coalesce($3, charge_point_name) as name,
                   coalesce($4, instant_power) as instant_power, coalesce($5, power) as power,
                   coalesce($6, public) as public
            from charge_points where id = $1)
         update charge_points p set charge_point_hardware_id = new.hardware_id, charge_point_name = new.name,
                instant_power = new.instant_power, power = new.power, public = new.public, updated_at = now()
         from new where p.id = new.id and
            (p.charge_point_hardware_id, p.charge_point_name, p.instant_power, p.power, p.public)
            is distinct from (new.hardware_id, new.name, new.instant_power, new.power, new.public)",
    )
    .bind(id)
    .bind(&it.hardware_id)
    .bind(&it.name)
    .bind(it.instant_power)
    .bind(it.power)
    .bind(it.public)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The connectors of a charge point, by number.
///
/// # Errors
/// When the database does not answer.
pub async fn connectors(tx: &mut PgConnection, charge_point: i64) -> sqlx::Result<Vec<KnownConnector>> {
    sqlx::query_as(
        "select id, connector_id, label, price, price_unit from connectors where charge_point_id = $1
         order by connector_id nulls last, id",
    )
    .bind(charge_point)
    .fetch_all(tx)
    .await
}

/// A connector without anything said of it. It counts as broken until its station says otherwise.
///
/// # Errors
/// When the number is taken, or the database does not answer.
pub async fn insert_connector(tx: &mut PgConnection, charge_point: i64, number: i32) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into connectors (charge_point_id, site_id, owner_id, connector_id, charge_point_hardware_id,
                                 connector_type_name, status_name, status_id, power, max_power, price, price_unit)
         select id, site_id, owner_id, $2, charge_point_hardware_id, '', 'Faulted', 0, 0, 0, 0, '$/kWh'
         from charge_points where id = $1 returning id",
    )
    .bind(charge_point)
    .bind(number)
    .fetch_one(tx)
    .await
}

/// Writes what is said of a connector, and which tariff its price is where it is not the site's currency; true when that
/// changed it.
///
/// # Errors
/// When the number is taken, or the database does not answer.
pub async fn update_connector(
    tx: &mut PgConnection,
    id: i64,
    number: Option<i32>,
    it: &ConnectorFields,
    tariff: Option<Uuid>,
) -> sqlx::Result<bool> {
    let priced = it.price.is_some() || it.price_unit.is_some();
    let done = sqlx::query(
        "with new as (
            select c.id, coalesce($2, c.connector_id) as number, coalesce($3, c.label) as label,
                   coalesce($4, c.connector_type_name) as type_name, coalesce($5, c.connector_type_id) as type_id,
                   coalesce($6, c.power) as power, coalesce($7, c.max_power) as max_power,
                   coalesce($8, c.price) as price, coalesce($9, c.price_unit) as price_unit,
                   case when $11 then $10 else c.tariff_id end as tariff_id, p.charge_point_hardware_id as hardware_id
            from connectors c join charge_points p on p.id = c.charge_point_id where c.id = $1)
         update connectors c set connector_id = new.number, label = new.label, connector_type_name = new.type_name,
                connector_type_id = new.type_id, power = new.power, max_power = new.max_power, price = new.price,
                price_unit = new.price_unit, tariff_id = new.tariff_id, charge_point_hardware_id = new.hardware_id,
                updated_at = now()
         from new where c.id = new.id and
            (c.connector_id, c.label, c.connector_type_name, c.connector_type_id, c.power, c.max_power, c.price,
             c.price_unit, c.tariff_id, c.charge_point_hardware_id)
            is distinct from (new.number, new.label, new.type_name, new.type_id, new.power, new.max_power, new.price,
             new.price_unit, new.tariff_id, new.hardware_id)",
    )
    .bind(id)
    .bind(number)
    .bind(&it.label)
    .bind(&it.type_name)
    .bind(&it.type_id)
    .bind(it.power)
    .bind(it.max_power)
    .bind(it.price)
    .bind(&it.price_unit)
    .bind(tariff)
    .bind(priced)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets a station connect with a password; a new one is added to the site.
///
/// # Errors
/// When its identity is taken at another site, or the database does not answer.
pub async fn set_credential(
    tx: &mut PgConnection,
    site: i64,
    owner: Option<i64>,
    identity: &str,
    credential: &str,
) -> sqlx::Result<()> {
    let id = match charge_point(tx, site, None, Some(identity)).await? {
        Some(id) => id,
        None => insert_charge_point(tx, site, owner, Some(identity)).await?,
    };
    sqlx::query("update charge_points set credential = $2, updated_at = now() where id = $1")
        .bind(id)
        .bind(credential)
        .execute(tx)
        .await?;
    Ok(())
}
