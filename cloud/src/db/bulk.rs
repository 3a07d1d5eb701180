//! Orders to many stations as rows.

use chrono::{DateTime, Utc};
use shared::id::CommandId;
use shared::model::CommandBody;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::auth::Reach;

/// Stations to which one order is put in one step at most.
const STEP: i64 = 200;

/// To which stations an order goes.
#[derive(Debug, Clone)]
pub enum Scope {
    /// All of a site.
    Site(i64),
    /// All of an organization's sites.
    Organization(i64),
    /// These.
    ChargePoints(Vec<i64>),
}

/// A new order.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct NewOrder {
    pub body: CommandBody,
    pub at_once: i32,
    pub life_seconds: f64,
    pub waits: bool,
    pub created_by: i64,
}

/// An order to work on.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Order {
    pub id: i64,
    pub body: Vec<u8>,
    pub at_once: i32,
    pub life_seconds: f64,
    pub waits: bool,
    pub created_by: Option<i64>,
    /// Shall it go on to further stations?
    pub runs: bool,
}

/// A station to which an order goes next.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Place {
    pub charge_point_id: i64,
    pub gateway_id: Uuid,
    pub station: String,
}

/// An order as people see it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Shown {
    pub id: i64,
    pub kind: String,
    pub site_id: Option<i64>,
    pub organization_id: Option<i64>,
    pub at_once: i32,
    pub state: String,
    pub created_by: Option<i64>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub total: i64,
    pub waiting: i64,
    pub under_way: i64,
}

/// A station of an order.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct RowShown {
    pub charge_point_id: i64,
    pub station: Option<String>,
    pub command: Option<Uuid>,
    pub outcome: Option<String>,
    pub detail: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Writes an order to the stations of its scope that are within reach. Returns its number and how many there are.
///
/// # Errors
/// As any statement.
pub async fn insert(
    tx: &mut PgConnection,
    new: &NewOrder,
    scope: &Scope,
    reach: &Reach,
) -> sqlx::Result<(i64, i64)> {
    let (site, organization, points) = match scope {
        Scope::Site(site) => (Some(*site), None, None),
        Scope::Organization(organization) => (None, Some(*organization), None),
        Scope::ChargePoints(points) => (None, None, Some(points)),
    };
    let id: i64 = sqlx::query_scalar(
        // One that does not exist has no stations: the answer is the same as for one that is out of reach.
        "insert into bulk_orders (kind, body, site_id, organization_id, at_once, life_seconds, waits, created_by)
         values ($1, $2, (select id from sites where id = $3), (select id from organizations where id = $4), $5, $6, $7, $8)
         returning id",
    )
    .bind(new.body.kind())
    .bind(postcard::to_stdvec(&new.body).expect("wire types always serialise"))
    .bind(site)
    .bind(organization)
    .bind(new.at_once)
    .bind(new.life_seconds)
    .bind(new.waits)
    .bind(new.created_by)
    .fetch_one(&mut *tx)
    .await?;
    let rows = sqlx::query(
        "insert into bulk_rows (bulk_id, charge_point_id, station, gateway_id, outcome, detail, ended_at)
         select $1, cp.id, cp.charge_point_hardware_id, g.id, n.why, n.detail, case when n.why is not null then now() end
         from charge_points cp join sites s on s.id = cp.site_id
         left join lateral (select id from gateways where site_id = s.id and revoked_at is null
                            order by enrolled_at desc limit 1) g on true
         left join lateral (
             select 'Unreachable' as why,
                    case when g.id is null then 'The site has no gateway yet.' else 'The charge point has no identity.' end as detail
             where g.id is null or coalesce(cp.charge_point_hardware_id, '') = '') n on true
         where ($2 or s.owner_id = $3 or s.organization_id = any($4))
           and ($5::bigint is null or s.id = $5) and ($6::bigint is null or s.organization_id = $6)
           and ($7::bigint[] is null or cp.id = any($7))",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(site)
    .bind(organization)
    .bind(points)
    .execute(tx)
    .await?;
    Ok((id, i64::try_from(rows.rows_affected()).unwrap_or(i64::MAX)))
}

/// The orders with something to do.
///
/// # Errors
/// When the database does not answer.
pub async fn open(db: &PgPool) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "select id from bulk_orders where state = 'running'
         union select bulk_id from bulk_rows where outcome is null and command is not null
         order by 1",
    )
    .fetch_all(db)
    .await
}

/// Has an order to oneself, unless another replica has it.
///
/// # Errors
/// As any statement.
pub async fn lock(tx: &mut PgConnection, id: i64) -> sqlx::Result<Option<Order>> {
    sqlx::query_as(
        "select id, body, at_once, life_seconds, waits, created_by, state = 'running' as runs
         from bulk_orders where id = $1 for update skip locked",
    )
    .bind(id)
    .fetch_optional(tx)
    .await
}

/// Takes in how commands ended.
///
/// # Errors
/// As any statement.
pub async fn settle(tx: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let settled = sqlx::query(
        "update bulk_rows r set outcome = c.outcome, detail = c.detail, ended_at = c.finished_at
         from commands c where r.bulk_id = $1 and r.outcome is null and c.id = r.command and c.state = 'finished'",
    )
    .bind(id)
    .execute(tx)
    .await?;
    Ok(settled.rows_affected() > 0)
}

/// The stations to which it goes next: at each gateway as many as there is room for. An order that waits for a station that
/// is not there takes up room for half a minute only.
///
/// # Errors
/// As any statement.
pub async fn next(tx: &mut PgConnection, order: &Order) -> sqlx::Result<Vec<Place>> {
    sqlx::query_as(
        "with flying as (
             select r.gateway_id, count(*) as n from bulk_rows r join commands c on c.id = r.command
             where r.bulk_id = $1 and r.outcome is null and (not $3 or c.issued_at > now() - interval '30 seconds')
             group by 1),
         ranked as (
             select charge_point_id, gateway_id, station,
                    row_number() over (partition by gateway_id order by charge_point_id) as place
             from bulk_rows where bulk_id = $1 and outcome is null and command is null and gateway_id is not null)
         select charge_point_id, gateway_id, station from ranked left join flying using (gateway_id)
         where place <= $2 - coalesce(n, 0) order by place, gateway_id limit $4",
    )
    .bind(order.id)
    .bind(i64::from(order.at_once))
    .bind(order.waits)
    .bind(STEP)
    .fetch_all(tx)
    .await
}

/// It was put to a station.
///
/// # Errors
/// As any statement.
pub async fn begun(
    tx: &mut PgConnection,
    id: i64,
    charge_point: i64,
    command: CommandId,
) -> sqlx::Result<()> {
    sqlx::query("update bulk_rows set command = $3 where bulk_id = $1 and charge_point_id = $2")
        .bind(id)
        .bind(charge_point)
        .bind(command.0)
        .execute(tx)
        .await
        .map(drop)
}

/// Ends an order that has ended everywhere. Rows whose gateway is gone end here, too.
///
/// # Errors
/// As any statement.
pub async fn finish(tx: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    sqlx::query(
        "update bulk_rows set outcome = 'Unreachable', detail = 'Its gateway is gone.', ended_at = now()
         where bulk_id = $1 and outcome is null and (gateway_id is null or station is null)",
    )
    .bind(id)
    .execute(&mut *tx)
    .await?;
    let finished = sqlx::query(
        "update bulk_orders set state = 'finished', finished_at = now()
         where id = $1 and state = 'running'
           and not exists (select from bulk_rows where bulk_id = $1 and outcome is null)",
    )
    .bind(id)
    .execute(tx)
    .await?;
    Ok(finished.rows_affected() > 0)
}

/// Pauses, resumes or cancels. `None` when there is no such order that is the viewer's to steer: his own, or one whose
/// stations are all within his reach; else whether it changed.
///
/// # Errors
/// As any statement.
pub async fn steer(
    tx: &mut PgConnection,
    id: i64,
    (from, to): (&[&str], &str),
    (user, reach): (i64, &Reach),
) -> sqlx::Result<Option<bool>> {
    let found: Option<bool> = sqlx::query_scalar(
        "select state = any($2) from bulk_orders b
         where id = $1 and (created_by = $3 or $4 or (
             exists (select from bulk_rows where bulk_id = b.id) and not exists (
                 select from bulk_rows r join charge_points p on p.id = r.charge_point_id join sites s on s.id = p.site_id
                 where r.bulk_id = b.id and not coalesce(s.owner_id = $5 or s.organization_id = any($6), false))))
         for update of b",
    )
    .bind(id)
    .bind(from)
    .bind(user)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(&mut *tx)
    .await?;
    if found != Some(true) {
        return Ok(found);
    }
    sqlx::query(
        "update bulk_orders set state = $2, finished_at = case when $2 = 'cancelled' then now() end where id = $1",
    )
    .bind(id)
    .bind(to)
    .execute(&mut *tx)
    .await?;
    if to == "cancelled" {
        sqlx::query(
            "update bulk_rows set outcome = 'Cancelled', detail = 'It was not put to the station.', ended_at = now()
             where bulk_id = $1 and outcome is null and command is null",
        )
        .bind(id)
        .execute(tx)
        .await?;
    }
    Ok(Some(true))
}

/// Orders with stations within reach, counted over those, the newest first: one, or those about a site.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    db: &PgPool,
    (id, site): (Option<i64>, Option<i64>),
    (limit, offset): (i64, i64),
    reach: &Reach,
) -> sqlx::Result<Vec<Shown>> {
    sqlx::query_as(
        "select b.id, b.kind, b.site_id, b.organization_id, b.at_once, b.state, b.created_by, b.created_at, b.finished_at,
                c.total, c.waiting, c.under_way
         from bulk_orders b join lateral (
             select count(*) as total,
                    count(*) filter (where r.outcome is null and r.command is null) as waiting,
                    count(*) filter (where r.outcome is null and r.command is not null) as under_way
             from bulk_rows r join charge_points p on p.id = r.charge_point_id join sites s on s.id = p.site_id
             where r.bulk_id = b.id and ($1 or s.owner_id = $2 or s.organization_id = any($3))
               and ($5::bigint is null or s.id = $5)) c on c.total > 0
         where $4::bigint is null or b.id = $4
         order by b.id desc limit $6 offset $7",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(id)
    .bind(site)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await
}

/// How it ended at how many stations within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn counts(db: &PgPool, id: i64, reach: &Reach) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "select r.outcome, count(*) from bulk_rows r
         join charge_points p on p.id = r.charge_point_id join sites s on s.id = p.site_id
         where r.bulk_id = $1 and r.outcome is not null and ($2 or s.owner_id = $3 or s.organization_id = any($4))
         group by 1 order by 2 desc, 1",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_all(db)
    .await
}

/// Its stations within reach, those with an outcome if one is named.
///
/// # Errors
/// When the database does not answer.
pub async fn stations(
    db: &PgPool,
    (id, outcome): (i64, Option<&str>),
    (limit, offset): (i64, i64),
    reach: &Reach,
) -> sqlx::Result<Vec<RowShown>> {
    sqlx::query_as(
        "select r.charge_point_id, r.station, r.command, r.outcome, r.detail, r.ended_at from bulk_rows r
         join charge_points p on p.id = r.charge_point_id join sites s on s.id = p.site_id
         where r.bulk_id = $1 and ($2::text is null or r.outcome = $2)
           and ($3 or s.owner_id = $4 or s.organization_id = any($5))
         order by r.charge_point_id limit $6 offset $7",
    )
    .bind(id)
    .bind(outcome)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await
}
