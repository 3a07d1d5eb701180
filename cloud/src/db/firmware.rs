//! Firmware images and the updates that were ordered with them.

use chrono::{DateTime, Utc};
use shared::id::{CommandId, GatewayId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::auth::Reach;

/// An image.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Firmware {
    pub id: Uuid,
    pub organization_id: Option<i64>,
    pub owner_id: Option<i64>,
    pub name: String,
    pub version: String,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub signing_certificate: Option<String>,
    pub signature: Option<String>,
    pub file_id: Option<Uuid>,
    pub size: Option<i64>,
    pub sha256: Option<Vec<u8>>,
    pub uploaded_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// An image to be uploaded.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct NewFirmware {
    pub organization_id: Option<i64>,
    pub owner_id: Option<i64>,
    pub name: String,
    pub version: String,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub signing_certificate: Option<String>,
    pub signature: Option<String>,
}

/// Images within reach, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    tx: &mut PgConnection,
    reach: &Reach,
    (limit, offset): (i64, i64),
) -> sqlx::Result<Vec<Firmware>> {
    sqlx::query_as(
        "select * from firmwares where ($1 or owner_id = $2 or organization_id = any($3))
         order by created_at desc, id limit $4 offset $5",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(limit)
    .bind(offset)
    .fetch_all(tx)
    .await
}

/// One image within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn find(tx: &mut PgConnection, id: Uuid, reach: &Reach) -> sqlx::Result<Option<Firmware>> {
    sqlx::query_as(
        "select * from firmwares where id = $1 and ($2 or owner_id = $3 or organization_id = any($4))",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(tx)
    .await
}

/// Adds an image that has no bytes yet.
///
/// # Errors
/// As any statement.
pub async fn insert(tx: &mut PgConnection, new: &NewFirmware, by: i64) -> sqlx::Result<Firmware> {
    sqlx::query_as(
        "insert into firmwares (id, organization_id, owner_id, name, version, vendor, model, signing_certificate, signature,
                                created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning *",
    )
    .bind(Uuid::now_v7())
    .bind(new.organization_id)
    .bind(new.owner_id)
    .bind(&new.name)
    .bind(&new.version)
    .bind(&new.vendor)
    .bind(&new.model)
    .bind(&new.signing_certificate)
    .bind(&new.signature)
    .bind(by)
    .fetch_one(tx)
    .await
}

/// Gives an image its bytes, once. `None` when it has some, or is gone.
///
/// # Errors
/// As any statement.
pub async fn uploaded(
    tx: &mut PgConnection,
    id: Uuid,
    file: Uuid,
    size: i64,
    sha256: &[u8],
) -> sqlx::Result<Option<Firmware>> {
    sqlx::query_as(
        "update firmwares set file_id = $2, size = $3, sha256 = $4, uploaded_at = now()
         where id = $1 and file_id is null returning *",
    )
    .bind(id)
    .bind(file)
    .bind(size)
    .bind(sha256)
    .fetch_optional(tx)
    .await
}

/// Removes an image with its bytes.
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from firmwares where id = $1").bind(id).execute(tx).await?;
    Ok(())
}

/// Is it the same people's as the site: its organization's, or its owner's? An administrator's is for every site.
///
/// # Errors
/// When the database does not answer.
pub async fn fits_site(tx: &mut PgConnection, firmware: &Firmware, site: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from sites where id = $1 and (organization_id = $2 or owner_id = $3))
             or exists (select from users where id = $3 and role = 'administrator')",
    )
    .bind(site)
    .bind(firmware.organization_id)
    .bind(firmware.owner_id)
    .fetch_one(tx)
    .await
}

/// The file and its length of an image that this gateway was ordered to install somewhere.
///
/// # Errors
/// When the database does not answer.
pub async fn file_for(db: &PgPool, id: Uuid, gateway: GatewayId) -> sqlx::Result<Option<(Uuid, i64)>> {
    sqlx::query_as(
        "select file_id, size from firmwares f where id = $1 and file_id is not null and exists (
             select from firmware_updates u join commands c on c.id = u.id
             where u.firmware_id = f.id and c.gateway_id = $2)",
    )
    .bind(id)
    .bind(gateway.0)
    .fetch_optional(db)
    .await
}

// --- updates

/// An update and how far it is.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Update {
    pub id: Uuid,
    pub charge_point_id: i64,
    pub firmware_id: Option<Uuid>,
    pub version: String,
    pub signed: bool,
    pub state: String,
    pub detail: String,
    pub state_at: DateTime<Utc>,
    pub ended: bool,
    pub created_at: DateTime<Utc>,
    pub steps: sqlx::types::Json<Vec<Step>>,
}

/// A step of an update or a log.
#[derive(Debug, Clone, serde::Deserialize)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Step {
    pub state: String,
    pub detail: String,
    pub at: DateTime<Utc>,
}

/// Writes down that an update was ordered.
///
/// # Errors
/// As any statement.
pub async fn insert_update(
    tx: &mut PgConnection,
    command: CommandId,
    charge_point: i64,
    firmware: &Firmware,
    signed: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into firmware_updates (id, charge_point_id, firmware_id, version, signed) values ($1, $2, $3, $4, $5)",
    )
    .bind(command.0)
    .bind(charge_point)
    .bind(firmware.id)
    .bind(&firmware.version)
    .bind(signed)
    .execute(tx)
    .await?;
    Ok(())
}

/// A station's updates, or one of them, within reach, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn updates(
    tx: &mut PgConnection,
    charge_point: Option<i64>,
    id: Option<Uuid>,
    reach: &Reach,
    (limit, offset): (i64, i64),
) -> sqlx::Result<Vec<Update>> {
    sqlx::query_as(
        "select u.*, coalesce((select json_agg(json_build_object('state', state, 'detail', detail, 'at', at) order by at, id)
                               from file_steps where command = u.id), '[]'::json) as steps
         from firmware_updates u join charge_points p on p.id = u.charge_point_id join sites s on s.id = p.site_id
         where ($1::bigint is null or u.charge_point_id = $1) and ($2::uuid is null or u.id = $2)
           and ($3 or s.owner_id = $4 or s.organization_id = any($5))
         order by u.created_at desc, u.id limit $6 offset $7",
    )
    .bind(charge_point)
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(limit)
    .bind(offset)
    .fetch_all(tx)
    .await
}
