//! Keys of organizations for programs. Each acts as a user of its own, so that everything that asks who did something has an
//! answer; of the key only a digest is kept.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// A key, as its organization sees it.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct ApiKey {
    pub id: i64,
    pub organization_id: i64,
    pub user_id: i64,
    pub name: Option<String>,
    pub role: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key to be.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct NewApiKey<'a> {
    pub organization_id: i64,
    pub name: &'a str,
    pub role: &'a str,
    pub digest: &'a [u8],
    pub created_by: i64,
    pub expires_at: Option<DateTime<Utc>>,
}

/// What recognising a key needs.
#[derive(Debug, sqlx::FromRow)]
pub struct Known {
    /// Whom it acts as.
    pub user_id: i64,
    /// To compare with.
    pub digest: Vec<u8>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its last use is written down so long ago that it is worth writing again.
    pub stale: bool,
}

/// Makes a key and the user that it acts as. Returns its id.
///
/// # Errors
/// When the database does not answer.
pub async fn insert(tx: &mut PgConnection, new: &NewApiKey<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "with program as (insert into users (name, role) values ($2, 'service') returning id),
              member as (insert into organization_members (organization_id, user_id, role) select $1, id, $3 from program)
         insert into api_keys (user_id, organization_id, digest, created_by, expires_at)
         select id, $1, $4, $5, $6 from program returning id",
    )
    .bind(new.organization_id)
    .bind(new.name)
    .bind(new.role)
    .bind(new.digest)
    .bind(new.created_by)
    .bind(new.expires_at)
    .fetch_one(tx)
    .await
}

/// The keys of an organization, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list(db: &PgPool, organization: i64, limit: i64, offset: i64) -> sqlx::Result<Vec<ApiKey>> {
    sqlx::query_as(
        "select k.id, k.organization_id, k.user_id, u.name, m.role, k.created_at, k.expires_at, k.last_used_at, k.revoked_at
         from api_keys k join users u on u.id = k.user_id
         join organization_members m on m.organization_id = k.organization_id and m.user_id = k.user_id
         where k.organization_id = $1 order by k.id desc limit $2 offset $3",
    )
    .bind(organization)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await
}

/// One key.
///
/// # Errors
/// When the database does not answer.
pub async fn find(tx: &mut PgConnection, id: i64) -> sqlx::Result<Option<ApiKey>> {
    sqlx::query_as(
        "select k.id, k.organization_id, k.user_id, u.name, m.role, k.created_at, k.expires_at, k.last_used_at, k.revoked_at
         from api_keys k join users u on u.id = k.user_id
         join organization_members m on m.organization_id = k.organization_id and m.user_id = k.user_id
         where k.id = $1",
    )
    .bind(id)
    .fetch_optional(tx)
    .await
}

/// How many of an organization's keys work.
///
/// # Errors
/// When the database does not answer.
pub async fn count(tx: &mut PgConnection, organization: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from api_keys where organization_id = $1 and revoked_at is null
         and (expires_at is null or expires_at > now())",
    )
    .bind(organization)
    .fetch_one(tx)
    .await
}

/// Ends a key, and with it its user. One that has ended stays ended since then.
///
/// # Errors
/// When the database does not answer.
pub async fn revoke(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query(
        "with ended as (update api_keys set revoked_at = coalesce(revoked_at, now()) where id = $1 returning user_id)
         update users set is_active = false, updated_at = now() from ended where users.id = ended.user_id",
    )
    .bind(id)
    .execute(tx)
    .await?;
    Ok(())
}

/// A key that still works.
///
/// # Errors
/// When the database does not answer.
pub async fn known(db: &PgPool, id: i64) -> sqlx::Result<Option<Known>> {
    sqlx::query_as(
        "select user_id, digest, expires_at,
                last_used_at is null or last_used_at < now() - interval '1 minute' as stale
         from api_keys where id = $1 and revoked_at is null and (expires_at is null or expires_at > now())",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Writes down that a key is used.
///
/// # Errors
/// When the database does not answer.
pub async fn touch(db: &PgPool, id: i64) -> sqlx::Result<()> {
    sqlx::query("update api_keys set last_used_at = now() where id = $1").bind(id).execute(db).await?;
    Ok(())
}
