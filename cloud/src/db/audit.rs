//! The log of what people changed: append-only, hash-chained, and numbered in the order of the commits.
//!
//! The number is handed out under a lock that lasts until the commit, so write the entry last. Changes by gateways are not
//! here: they are facts of their own (`records`), and far too many for one lock.

use chrono::{DateTime, Utc};
use std::sync::Arc;

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::live::{self, Hint};

tokio::task_local! {
    static REQUEST: Option<Arc<str>>;
}

/// Does something on behalf of a request: entries written meanwhile carry its id.
pub async fn on_behalf_of<W: Future>(request: Option<Arc<str>>, work: W) -> W::Output {
    REQUEST.scope(request, work).await
}

/// One change, or many of a kind at once.
#[derive(Debug, Clone, Default)]
pub struct Entry<'a> {
    /// Who; none: the server itself.
    pub actor: Option<i64>,
    /// The request it came with; none: the one that is being answered.
    pub request_id: Option<&'a str>,
    /// `create`, `update`, `delete`, or the name of what was done.
    pub action: &'a str,
    /// What sort of thing, as the API calls it.
    pub entity: &'a str,
    /// Which; none: many.
    pub row_id: Option<String>,
    /// The site that it concerns.
    pub site_id: Option<i64>,
    /// The organization that it concerns; none: its site's.
    pub organization_id: Option<i64>,
    /// The row before, without secrets.
    pub before: Option<Value>,
    /// The row after, without secrets.
    pub after: Option<Value>,
    /// How many rows; `None` is one.
    pub count: Option<i64>,
}

/// Writes an entry and tells the replicas. Returns its number.
///
/// # Errors
/// When the database does not answer, or the transaction is still in a viewer's name.
pub async fn write(tx: &mut PgConnection, it: &Entry<'_>) -> sqlx::Result<i64> {
    let request = REQUEST.try_with(Clone::clone).ok().flatten();
    let id = sqlx::query_scalar(
        "select append_audit($1, $2, $3, $4, $5, $6,
             coalesce($7, (select organization_id from sites where id = $6)), $8, $9, $10)",
    )
    .bind(it.actor)
    .bind(it.request_id.or(request.as_deref()))
    .bind(it.action)
    .bind(it.entity)
    .bind(&it.row_id)
    .bind(it.site_id)
    .bind(it.organization_id)
    .bind(it.before.as_ref().map(Json))
    .bind(it.after.as_ref().map(Json))
    .bind(it.count.unwrap_or(1))
    .fetch_one(&mut *tx)
    .await?;
    live::notify(tx, &Hint { changes: vec![id], ..Hint::default() }).await?;
    Ok(id)
}

/// An entry as it was written.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Logged {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: Option<i64>,
    pub action: String,
    pub entity: String,
    pub row_id: Option<String>,
    pub site_id: Option<i64>,
    pub before: Option<Json<Value>>,
    pub after: Option<Json<Value>>,
    pub count: i64,
}

/// The entries after one, in order.
///
/// # Errors
/// When the database does not answer.
pub async fn since(db: &PgPool, after: i64, most: i64) -> sqlx::Result<Vec<Logged>> {
    sqlx::query_as(
        "select id, at, actor, action, entity, row_id, site_id, before, after, count from audit
         where id > $1 order by id limit $2",
    )
    .bind(after)
    .bind(most)
    .fetch_all(db)
    .await
}

/// The newest entry's number; 0 when there is none.
///
/// # Errors
/// When the database does not answer.
pub async fn newest(db: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select coalesce(max(id), 0) from audit").fetch_one(db).await
}

/// When the newest entry up to a number was written.
///
/// # Errors
/// When the database does not answer.
pub async fn time_of(db: &PgPool, up_to: i64) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("select at from audit where id <= $1 order by id desc limit 1")
        .bind(up_to)
        .fetch_optional(db)
        .await
}
