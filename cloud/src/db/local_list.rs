//! Stations' own lists of tokens: how each stands, and whether a site wants them.

use chrono::{DateTime, Utc};
use shared::model::LocalListChanged;
use sqlx::{PgConnection, PgPool};

use super::record::Origin;
use super::text;
use crate::auth::Reach;

/// A station's list as its gateway told it.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Told {
    pub charge_point_id: i64,
    pub station: Option<String>,
    pub state: String,
    pub version: i32,
    pub entries: i32,
    pub left_out: i32,
    pub detail: String,
    pub at: DateTime<Utc>,
}

/// Keeps what a gateway tells of its stations' lists; the newest word counts.
///
/// # Errors
/// As any statement.
pub async fn keep(tx: &mut PgConnection, origin: Origin, lists: &[LocalListChanged]) -> sqlx::Result<()> {
    for list in lists {
        sqlx::query(
            "insert into local_lists (charge_point_id, state, version, entries, left_out, detail, at)
             select id, $3, $4, $5, $6, $7, $8 from charge_points
             where lower(charge_point_hardware_id) = lower($2) and charge_point_hardware_id = $2 and site_id = $1
             on conflict (charge_point_id) do update set state = excluded.state, version = excluded.version,
                 entries = excluded.entries, left_out = excluded.left_out, detail = excluded.detail, at = excluded.at
             where local_lists.at <= excluded.at",
        )
        .bind(origin.site_id)
        .bind(text(list.station.as_str()))
        .bind(list.state.name())
        .bind(list.version)
        .bind(i32::try_from(list.entries).unwrap_or(i32::MAX))
        .bind(i32::try_from(list.left_out).unwrap_or(i32::MAX))
        .bind(text(&list.detail))
        .bind(list.at.to_utc().unwrap_or_default())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// The lists of a site's stations, as far as they were told of.
///
/// # Errors
/// When the database does not answer.
pub async fn at(db: &PgPool, site: i64, reach: &Reach) -> sqlx::Result<Vec<Told>> {
    sqlx::query_as(
        "select l.charge_point_id, p.charge_point_hardware_id as station, l.state, l.version, l.entries, l.left_out,
                l.detail, l.at
         from local_lists l join charge_points p on p.id = l.charge_point_id join sites s on s.id = p.site_id
         where s.id = $1 and ($2 or s.owner_id = $3 or s.organization_id = any($4))
         order by p.charge_point_hardware_id, p.id",
    )
    .bind(site)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_all(db)
    .await
}

/// Has a site's stations keep its lists, or not. `None` when there is no such site within reach; else whether they did.
///
/// # Errors
/// As any statement.
pub async fn switch(tx: &mut PgConnection, site: i64, reach: &Reach, on: bool) -> sqlx::Result<Option<bool>> {
    let before: Option<bool> = sqlx::query_scalar(
        "select local_lists from sites
         where id = $1 and ($2 or owner_id = $3 or organization_id = any($4)) for update",
    )
    .bind(site)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(&mut *tx)
    .await?;
    if before.is_some() {
        sqlx::query("update sites set local_lists = $2 where id = $1")
            .bind(site)
            .bind(on)
            .execute(tx)
            .await?;
    }
    Ok(before)
}
