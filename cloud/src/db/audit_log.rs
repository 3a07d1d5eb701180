//! The log of changes, read in a viewer's name.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, QueryBuilder};

use crate::auth::{Reach, Viewer};
use crate::db::viewer;

/// Which entries; `None` is any.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Wanted {
    pub action: Option<String>,
    pub entity: Option<String>,
    pub row_id: Option<String>,
    pub actor: Option<i64>,
    pub site_id: Option<i64>,
    pub organization_id: Option<i64>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
    /// Older than this entry.
    pub before: Option<i64>,
}

/// An entry, and who it was.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Row {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: Option<i64>,
    #[sqlx(skip)]
    pub actor_name: Option<String>,
    pub request_id: Option<String>,
    pub action: String,
    pub entity: String,
    pub row_id: Option<String>,
    pub site_id: Option<i64>,
    pub organization_id: Option<i64>,
    pub before: Option<Json<async_graphql::Value>>,
    pub after: Option<Json<async_graphql::Value>>,
    pub count: i64,
}

/// Entries within reach, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn read(
    db: &PgPool,
    who: &Viewer,
    reach: &Reach,
    wanted: &Wanted,
    limit: i64,
) -> sqlx::Result<Vec<Row>> {
    let mut sql = select(reach);
    narrow(&mut sql, wanted);
    sql.push(" order by a.id desc limit ").push_bind(limit);
    let mut tx = viewer::begin(db, who).await?;
    let mut rows: Vec<Row> = sql.build_query_as().persistent(false).fetch_all(&mut *tx).await?;
    // A colleague's own row is not the viewer's to see; what he is called beside his deeds is.
    viewer::as_ourselves(&mut tx).await?;
    let actors: Vec<i64> = rows.iter().filter_map(|row| row.actor).collect();
    let names: Vec<(i64, Option<String>)> =
        sqlx::query_as("select id, coalesce(name, username, email, phone) from users where id = any($1)")
            .bind(&actors)
            .fetch_all(&mut *tx)
            .await?;
    for row in &mut rows {
        let name = names.iter().find(|(id, _)| Some(*id) == row.actor);
        row.actor_name = name.and_then(|(_, name)| name.clone());
    }
    Ok(rows)
}

/// What a site's people did while it was another organization's stays that organization's.
fn select(reach: &Reach) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "select a.id, a.at, a.actor, a.request_id, a.action, a.entity, a.row_id, a.site_id, a.organization_id,
                a.before, a.after, a.count from audit a where (",
    );
    sql.push_bind(reach.everything).push(" or a.actor = ").push_bind(reach.user);
    sql.push(" or a.organization_id = any(").push_bind(reach.organizations.clone());
    sql.push(") or exists (select from sites s where s.id = a.site_id and (s.owner_id = ")
        .push_bind(reach.user);
    sql.push(" or s.organization_id = any(").push_bind(reach.organizations.clone());
    sql.push(")) and (a.organization_id is null or a.organization_id = s.organization_id)))");
    sql
}

fn narrow(sql: &mut QueryBuilder<Postgres>, wanted: &Wanted) {
    let texts = [("a.action", &wanted.action), ("a.entity", &wanted.entity), ("a.row_id", &wanted.row_id)];
    for (column, value) in texts {
        if let Some(value) = value {
            sql.push(format_args!(" and {column} = ")).push_bind(crate::db::text(value).to_owned());
        }
    }
    for (condition, value) in [
        ("a.actor =", wanted.actor),
        ("a.site_id =", wanted.site_id),
        ("a.organization_id =", wanted.organization_id),
        ("a.id <", wanted.before),
    ] {
        if let Some(value) = value {
            sql.push(format_args!(" and {condition} ")).push_bind(value);
        }
    }
    for (condition, value) in [("a.at >=", wanted.from), ("a.at <", wanted.to)] {
        if let Some(value) = value {
            sql.push(format_args!(" and {condition} ")).push_bind(value);
        }
    }
}
