//! How stations are secured, what is done about it, and what they report, as rows.

use chrono::{DateTime, Utc};
use shared::model::security::{
    CredentialRotated, LONGEST_TECH_INFO, SecurityProgressed, SecurityReported, SecurityStep, SecurityWork,
    StationSecured, is_critical,
};
use shared::model::{CommandResult, Outcome};
use shared::units::Timestamp;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::record::Origin;
use super::text;
use crate::auth::Reach;

fn time(at: Timestamp) -> DateTime<Utc> {
    at.to_utc().unwrap_or_default()
}

/// Keeps what a station reported, once for each record.
///
/// # Errors
/// As any statement.
pub async fn reported(
    tx: &mut PgConnection,
    origin: Origin,
    key: &str,
    it: &SecurityReported,
) -> sqlx::Result<()> {
    let tech_info = it.tech_info.as_deref().map(text);
    sqlx::query(
        "insert into security_events (site_id, charge_point_id, station, kind, tech_info, critical, at, gateway_id, key)
         values ($1, (select id from charge_points where site_id = $1 and charge_point_hardware_id = $2), $2, $3, $4, $5, $6,
                 $7, $8)
         on conflict (gateway_id, key) do nothing",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(text(it.kind.trim()))
    .bind(tech_info.map(|info| info.chars().take(LONGEST_TECH_INFO).collect::<String>()))
    .bind(is_critical(&it.kind))
    .bind(time(it.at))
    .bind(origin.gateway.0)
    .bind(text(key))
    .execute(tx)
    .await?;
    Ok(())
}

/// Keeps how a station is secured; the newest word counts.
///
/// # Errors
/// As any statement.
pub async fn secured(tx: &mut PgConnection, origin: Origin, it: &StationSecured) -> sqlx::Result<()> {
    let certificate = it.certificate.as_ref();
    sqlx::query(
        "insert into station_security (charge_point_id, profile, minimum, certificate_serial, certificate_not_before,
                                       certificate_not_after, password_since, at)
         select id, $3, $4, $5, $6, $7, $8, $9 from charge_points where site_id = $1 and charge_point_hardware_id = $2
         on conflict (charge_point_id) do update
         set profile = excluded.profile, minimum = excluded.minimum, certificate_serial = excluded.certificate_serial,
             certificate_not_before = excluded.certificate_not_before,
             certificate_not_after = excluded.certificate_not_after, password_since = excluded.password_since,
             at = excluded.at
         where station_security.at <= excluded.at",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(i16::from(it.profile))
    .bind(i16::from(it.minimum))
    .bind(certificate.map(|it| text(&it.serial)))
    .bind(certificate.map(|it| time(it.not_before)))
    .bind(certificate.map(|it| time(it.not_after)))
    .bind(it.password_since.map(time))
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

/// Keeps how far something is. What nobody ordered is one row of its kind, the latest; what outlives its order goes on in the
/// order's row, because a station is at one thing at a time.
///
/// # Errors
/// As any statement.
pub async fn progressed(tx: &mut PgConnection, origin: Origin, it: &SecurityProgressed) -> sqlx::Result<()> {
    if it.command.is_none() && goes_on(tx, origin, it).await? {
        return Ok(());
    }
    sqlx::query(
        "insert into security_works (charge_point_id, command, work, step, detail, ended, began_at, at)
         select id, $3, $4, $5, $6, $7, $8, $8 from charge_points where site_id = $1 and charge_point_hardware_id = $2
         on conflict (charge_point_id, work, coalesce(command, '00000000-0000-0000-0000-000000000000')) do update
         set step = excluded.step, detail = excluded.detail, ended = excluded.ended, at = excluded.at,
             began_at = case when security_works.ended then excluded.began_at else security_works.began_at end
         where security_works.at <= excluded.at",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(it.command.map(|command| command.0))
    .bind(it.work.name())
    .bind(it.step.name())
    .bind(text(&it.detail))
    .bind(it.step.is_end())
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

async fn goes_on(tx: &mut PgConnection, origin: Origin, it: &SecurityProgressed) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update security_works set step = $4, detail = $5, ended = $6, at = $7
         where id = (select w.id from security_works w join charge_points p on p.id = w.charge_point_id
                     where p.site_id = $1 and p.charge_point_hardware_id = $2 and w.work = $3 and not w.ended and w.at <= $7
                     order by w.at desc, w.id desc limit 1)",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(it.work.name())
    .bind(it.step.name())
    .bind(text(&it.detail))
    .bind(it.step.is_end())
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An order has ended: so has what it set off, even if a restart of the gateway hid the last step. Not what a station was
/// too slow for: that goes on. The site where something is otherwise now.
///
/// # Errors
/// As any statement.
pub async fn settle(tx: &mut PgConnection, result: &CommandResult) -> sqlx::Result<Option<i64>> {
    let step = match result.outcome {
        Outcome::Accepted => SecurityStep::Done,
        Outcome::TimedOut | Outcome::Unknown | Outcome::Scheduled | Outcome::Expired => return Ok(None),
        Outcome::Rejected
        | Outcome::NotSupported
        | Outcome::Failed
        | Outcome::StationOffline
        | Outcome::BySite
        | Outcome::Occupied
        | Outcome::Faulted
        | Outcome::Unavailable => SecurityStep::Failed,
    };
    sqlx::query_scalar(
        "update security_works w set step = $2, detail = $3, ended = true, at = greatest(w.at, $4)
         from charge_points p where p.id = w.charge_point_id and w.command = $1 and not w.ended returning p.site_id",
    )
    .bind(result.id.0)
    .bind(step.name())
    .bind(text(&result.detail))
    .bind(time(result.at))
    .fetch_optional(tx)
    .await
}

/// A station came with another password. Its charge point, if that had none but the one before.
///
/// # Errors
/// As any statement.
pub async fn rotated(
    tx: &mut PgConnection,
    origin: Origin,
    it: &CredentialRotated,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "update charge_points set credential = $4, updated_at = now()
         where site_id = $1 and charge_point_hardware_id = $2 and credential = $3 and credential <> $4 returning id",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(text(&it.over))
    .bind(text(&it.credential))
    .fetch_optional(tx)
    .await
}

/// It came with it, so nothing is left to do for it, even if a restart of the gateway hid the last step.
///
/// # Errors
/// As any statement.
pub async fn password_reached(
    tx: &mut PgConnection,
    origin: Origin,
    it: &CredentialRotated,
) -> sqlx::Result<()> {
    sqlx::query(
        "update security_works w set step = $4, ended = true, at = $5 from charge_points p
         where p.id = w.charge_point_id and p.site_id = $1 and p.charge_point_hardware_id = $2 and w.work = $3
           and not w.ended and w.at <= $5",
    )
    .bind(origin.site_id)
    .bind(text(it.station.as_str()))
    .bind(SecurityWork::Password.name())
    .bind(SecurityStep::Done.name())
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

/// How a station is secured, and the latest of what was done about it.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Security {
    pub charge_point_id: i64,
    pub station: String,
    pub profile: Option<i16>,
    pub minimum: Option<i16>,
    pub certificate_serial: Option<String>,
    pub certificate_not_before: Option<DateTime<Utc>>,
    pub certificate_not_after: Option<DateTime<Utc>>,
    pub password_since: Option<DateTime<Utc>>,
    pub at: Option<DateTime<Utc>>,
    pub works: Json<Vec<Work>>,
}

/// Something that is or was done about it.
#[derive(Debug, Clone, serde::Deserialize)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Work {
    pub command: Option<Uuid>,
    pub work: String,
    pub step: String,
    pub detail: String,
    pub ended: bool,
    pub began_at: DateTime<Utc>,
    pub at: DateTime<Utc>,
}

/// Whose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whose {
    /// Of this site.
    pub site: Option<i64>,
    /// Of this station.
    pub charge_point: Option<i64>,
}

/// How stations within reach are secured, by their names; of each the ten latest works.
///
/// # Errors
/// When the database does not answer.
pub async fn of_stations(
    tx: &mut PgConnection,
    reach: &Reach,
    whose: Whose,
    (limit, offset): (i64, i64),
) -> sqlx::Result<Vec<Security>> {
    sqlx::query_as(
        "select p.id as charge_point_id, coalesce(p.charge_point_hardware_id, '') as station, t.profile, t.minimum,
                t.certificate_serial, t.certificate_not_before, t.certificate_not_after, t.password_since, t.at,
                coalesce((select json_agg(w order by w.at desc, w.id desc)
                          from (select id, command, work, step, detail, ended, began_at, at from security_works
                                where charge_point_id = p.id order by at desc, id desc limit 10) w), '[]'::json) as works
         from charge_points p join sites s on s.id = p.site_id left join station_security t on t.charge_point_id = p.id
         where ($1 or s.owner_id = $2 or s.organization_id = any($3))
           and ($4::bigint is null or s.id = $4) and ($5::bigint is null or p.id = $5)
         order by p.charge_point_hardware_id, p.id limit $6 offset $7",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(whose.site)
    .bind(whose.charge_point)
    .bind(limit)
    .bind(offset)
    .fetch_all(tx)
    .await
}

/// What a station reported.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct SecurityEvent {
    pub id: i64,
    pub site_id: i64,
    pub charge_point_id: Option<i64>,
    pub station: String,
    pub kind: String,
    pub tech_info: Option<String>,
    pub critical: bool,
    pub at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
}

/// Which events; what is left out does not matter.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Whose.
    pub whose: Whose,
    /// Of this kind; case does not matter.
    pub kind: Option<String>,
    /// Only what the whitepaper calls critical, or only the rest.
    pub critical: Option<bool>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
}

/// What stations within reach reported, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn events(
    tx: &mut PgConnection,
    reach: &Reach,
    wanted: &Wanted,
    (limit, offset): (i64, i64),
) -> sqlx::Result<Vec<SecurityEvent>> {
    sqlx::query_as(
        "select e.id, e.site_id, e.charge_point_id, e.station, e.kind, e.tech_info, e.critical, e.at, e.received_at
         from security_events e join sites s on s.id = e.site_id
         where ($1 or s.owner_id = $2 or s.organization_id = any($3))
           and ($4::bigint is null or e.site_id = $4) and ($5::bigint is null or e.charge_point_id = $5)
           and ($6::text is null or lower(e.kind) = lower($6)) and ($7::boolean is null or e.critical = $7)
           and ($8::timestamptz is null or e.at >= $8) and ($9::timestamptz is null or e.at < $9)
         order by e.at desc, e.id desc limit $10 offset $11",
    )
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .bind(wanted.whose.site)
    .bind(wanted.whose.charge_point)
    .bind(wanted.kind.as_deref().map(text))
    .bind(wanted.critical)
    .bind(wanted.from)
    .bind(wanted.to)
    .bind(limit)
    .bind(offset)
    .fetch_all(tx)
    .await
}
