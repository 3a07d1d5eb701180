//! Stations and their connectors as targets: where they are, who may reach them, what runs there.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::auth::Reach;
use crate::live::SessionChange;

/// A station, and the gateway that reaches it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Target {
    /// Its site.
    pub site_id: i64,
    /// Its identity; none: it was never set up to connect.
    pub station: Option<String>,
    /// The connector's number there, where one was asked for.
    pub evse: Option<i32>,
    /// The site's gateway, if one is enrolled.
    pub gateway_id: Option<Uuid>,
}

/// A command and how it went.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct CommandRow {
    pub id: Uuid,
    pub kind: String,
    pub station: String,
    pub state: String,
    pub outcome: Option<String>,
    pub detail: Option<String>,
    pub result: Option<sqlx::types::Json<async_graphql::Value>>,
    pub issued_at: DateTime<Utc>,
    pub issued_by: Option<i64>,
    pub expires_at: DateTime<Utc>,
    pub origin: String,
    pub late: bool,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What a list of commands is cut down to.
#[derive(Debug, Default)]
pub struct CommandFilter {
    /// To stations of this site.
    pub site: Option<i64>,
    /// To this charge point.
    pub charge_point: Option<i64>,
    /// In this state.
    pub state: Option<&'static str>,
}

/// Commands to stations of sites within reach, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn commands(
    db: &PgPool,
    filter: &CommandFilter,
    (limit, offset): (i64, i64),
    reach: &Reach,
) -> sqlx::Result<Vec<CommandRow>> {
    sqlx::query_as(
        "select c.* from commands c join gateways g on g.id = c.gateway_id join sites s on s.id = g.site_id
         where ($1 or s.owner_id = $2 or s.organization_id = any($3))
           and ($4::bigint is null or s.id = $4)
           and ($5::bigint is null or exists (select from charge_points p where p.id = $5 and p.site_id = s.id
                                              and p.charge_point_hardware_id = c.station))
           and ($6::text is null or c.state = $6)
         order by c.issued_at desc, c.id limit $7 offset $8",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(filter.site)
    .bind(filter.charge_point)
    .bind(filter.state)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await
}

/// A charge point within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn charge_point(db: &PgPool, id: i64, reach: &Reach) -> sqlx::Result<Option<Target>> {
    sqlx::query_as(
        "select cp.site_id, cp.charge_point_hardware_id as station, null::integer as evse, g.id as gateway_id
         from charge_points cp join sites s on s.id = cp.site_id
         left join lateral (select id from gateways where site_id = s.id and revoked_at is null
                            order by enrolled_at desc limit 1) g on true
         where cp.id = $1 and ($2 or s.owner_id = $3 or s.organization_id = any($4))",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(db)
    .await
}

/// A connector within reach, or, with `public`, one that everybody may charge at.
///
/// # Errors
/// When the database does not answer.
pub async fn connector(db: &PgPool, id: i64, reach: &Reach, public: bool) -> sqlx::Result<Option<Target>> {
    sqlx::query_as(
        "select c.site_id, cp.charge_point_hardware_id as station, c.connector_id as evse, g.id as gateway_id
         from connectors c join charge_points cp on cp.id = c.charge_point_id join sites s on s.id = c.site_id
         left join lateral (select id from gateways where site_id = s.id and revoked_at is null
                            order by enrolled_at desc limit 1) g on true
         where c.id = $1 and ($2 or s.owner_id = $3 or s.organization_id = any($4) or ($5 and cp.public))",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(public)
    .fetch_optional(db)
    .await
}

/// The session that runs at a connector: one's own, or one at a site within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn running_at(
    db: &PgPool,
    connector: i64,
    reach: &Reach,
) -> sqlx::Result<Option<(Uuid, Uuid, String)>> {
    sqlx::query_as(
        "select se.id, se.gateway_id, se.station from sessions se left join sites s on s.id = se.site_id
         where se.connector_id = $1 and se.stopped_at is null
           and ($2 or se.user_id = $3 or s.owner_id = $3 or s.organization_id = any($4))
         order by se.history_id desc limit 1",
    )
    .bind(connector)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(db)
    .await
}

/// Running sessions that somebody may see, as changes.
///
/// # Errors
/// When the database does not answer.
pub async fn running_sessions(
    db: &PgPool,
    connector: Option<i64>,
    user: Option<i64>,
    reach: &Reach,
) -> sqlx::Result<Vec<SessionChange>> {
    sqlx::query_as(
        "select se.id, se.history_id, se.site_id, se.connector_id, se.user_id, se.tx_ref, se.power_w, se.energy_wh, se.soc,
                se.started_at, se.stopped_at, se.updated_at
         from sessions se left join sites s on s.id = se.site_id
         where se.stopped_at is null
           and ($1::bigint is null or se.connector_id = $1) and ($2::bigint is null or se.user_id = $2)
           and ($3 or se.user_id = $4 or s.owner_id = $4 or s.organization_id = any($5))
         order by se.history_id limit 200",
    )
    .bind(connector)
    .bind(user)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_all(db)
    .await
}

/// The sites within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn sites_within(db: &PgPool, reach: &Reach) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar("select id from sites where $1 or owner_id = $2 or organization_id = any($3)")
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .fetch_all(db)
        .await
}

/// A connector's status; `None` when there is no such connector.
///
/// # Errors
/// When the database does not answer.
pub async fn connector_status(db: &PgPool, id: i64) -> sqlx::Result<Option<Option<String>>> {
    sqlx::query_scalar("select status_name from connectors where id = $1").bind(id).fetch_optional(db).await
}

/// Is there a station of this identity?
///
/// # Errors
/// When the database does not answer.
pub async fn identity_exists(db: &PgPool, identity: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from charge_points where lower(charge_point_hardware_id) = lower($1))",
    )
    .bind(identity)
    .fetch_one(db)
    .await
}

/// A command to a station of a site within reach, or one's own command.
///
/// # Errors
/// When the database does not answer.
pub async fn command(db: &PgPool, id: Uuid, reach: &Reach) -> sqlx::Result<Option<CommandRow>> {
    sqlx::query_as(
        "select c.* from commands c join gateways g on g.id = c.gateway_id join sites s on s.id = g.site_id
         where c.id = $1 and ($2 or s.owner_id = $3 or c.issued_by = $3 or s.organization_id = any($4))",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(db)
    .await
}
