//! Cards that sites refused because nobody knew them, for as long as somebody may come and adopt one.

use chrono::{DateTime, Utc};
use shared::model::event::UnknownCardSeen;
use sqlx::{PgConnection, PgPool};

use super::record::Origin;
use super::text;
use crate::auth::Reach;

/// The most that are kept of a site.
pub const MOST: i64 = 200;
/// Whatever a reader could send beyond this is no token.
const LONGEST: usize = 64;

/// An unknown card as it was seen last.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct UnknownCard {
    pub id: i64,
    pub site_id: i64,
    pub charge_point_id: Option<i64>,
    pub station: String,
    pub evse: Option<i32>,
    pub token: String,
    /// The number of the last tap: it rises over all cards.
    pub tap: i64,
    pub taps: i32,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
}

/// Keeps what a gateway tells, at most once per card in `seen`. Cards that are somebody's are passed over: another tenant's
/// card is nobody's business here. `true` when there is news.
///
/// # Errors
/// As any statement.
pub async fn keep<'a>(
    tx: &mut PgConnection,
    origin: Origin,
    seen: impl IntoIterator<Item = (&'a String, &'a UnknownCardSeen)>,
) -> sqlx::Result<bool> {
    let fits = |folded: &str| !folded.is_empty() && folded.len() <= LONGEST;
    let seen: Vec<_> = seen.into_iter().filter(|(folded, _)| fits(folded)).collect();
    let done = sqlx::query(
        "insert into unknown_cards (site_id, charge_point_id, station, evse, token, folded, tap, first_seen_at, last_seen_at)
         select $1, p.id, u.station, u.evse, u.token, u.folded, nextval('unknown_card_taps'), least(u.at, now()),
                least(u.at, now())
         from unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[]) u (station, evse, token, folded, at)
         left join charge_points p on lower(p.charge_point_hardware_id) = lower(u.station) and p.site_id = $1
         where u.at > now() - interval '1 day' and not exists (select from id_tokens t where lower(t.token) = u.folded)
         order by u.at
         on conflict (site_id, folded) do update
         set charge_point_id = excluded.charge_point_id, station = excluded.station, evse = excluded.evse,
             tap = excluded.tap, taps = unknown_cards.taps + 1, told_at = now(),
             last_seen_at = greatest(unknown_cards.last_seen_at, excluded.last_seen_at)",
    )
    .bind(origin.site_id)
    .bind(seen.iter().map(|(_, it)| text(it.station.as_str())).collect::<Vec<_>>())
    .bind(seen.iter().map(|(_, it)| it.evse.map(|evse| i32::from(evse.0))).collect::<Vec<_>>())
    .bind(seen.iter().map(|(_, it)| text(it.token.as_str())).collect::<Vec<_>>())
    .bind(seen.iter().map(|(folded, _)| text(folded)).collect::<Vec<_>>())
    .bind(seen.iter().map(|(_, it)| it.at.to_utc().unwrap_or_default()).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "delete from unknown_cards where site_id = $1 and id in (
             select id from unknown_cards where site_id = $1 order by tap desc offset $2)",
    )
    .bind(origin.site_id)
    .bind(MOST)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

const SELECT: &str =
    "select u.id, u.site_id, u.charge_point_id, u.station, u.evse, u.token, u.tap, u.taps, u.first_seen_at,
        u.last_seen_at
 from unknown_cards u join sites s on s.id = u.site_id
 where u.last_seen_at > now() - interval '1 day' and ($1 or s.owner_id = $2 or s.organization_id = any($3))";

/// The unknown cards of a site within reach, after a tap, in the order of the taps.
///
/// # Errors
/// When the database does not answer.
pub async fn after(
    tx: &mut PgConnection,
    reach: &Reach,
    site: i64,
    tap: i64,
) -> sqlx::Result<Vec<UnknownCard>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} and u.site_id = $4 and u.tap > $5 order by u.tap")))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(site)
        .bind(tap)
        .fetch_all(tx)
        .await
}

/// Takes an unknown card within reach off the list.
///
/// # Errors
/// When the database does not answer.
pub async fn take(tx: &mut PgConnection, id: i64, reach: &Reach) -> sqlx::Result<Option<UnknownCard>> {
    let found: Option<UnknownCard> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} and u.id = $4")))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(found) = found else { return Ok(None) };
    let gone = sqlx::query("delete from unknown_cards where id = $1").bind(id).execute(tx).await?;
    Ok((gone.rows_affected() == 1).then_some(found))
}

/// Forgets what was seen more than a day ago.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_old(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query("delete from unknown_cards where last_seen_at < now() - interval '1 day'")
        .execute(db)
        .await?;
    Ok(())
}

// --- a person holds his card to a reader and says so

/// Where somebody may hold a card to the reader: the charge point's site, if it is public or within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn classroom(db: &PgPool, charge_point: i64, reach: &Reach) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "select p.site_id from charge_points p join sites s on s.id = p.site_id
         where p.id = $1 and (p.public or $2 or s.owner_id = $3 or s.organization_id = any($4))",
    )
    .bind(charge_point)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_optional(db)
    .await
}

/// Begins a lesson; `None` while somebody else has one there, so that two people never get each other's card.
///
/// # Errors
/// When the database does not answer.
pub async fn begin_lesson(
    db: &PgPool,
    charge_point: i64,
    user: i64,
    seconds: i32,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar(
        "insert into card_lessons (charge_point_id, user_id, expires_at) values ($1, $2, now() + make_interval(secs => $3))
         on conflict (charge_point_id) do update
         set user_id = excluded.user_id, began_at = excluded.began_at, expires_at = excluded.expires_at
         where card_lessons.expires_at < now()
         returning began_at",
    )
    .bind(charge_point)
    .bind(user)
    .bind(f64::from(seconds))
    .fetch_optional(db)
    .await
}

/// Takes the card that was held to the reader since the lesson began, and as far as the station's clock can tell, off the
/// list.
///
/// # Errors
/// When the database does not answer.
pub async fn learn(
    tx: &mut PgConnection,
    charge_point: i64,
    began_at: DateTime<Utc>,
) -> sqlx::Result<Option<UnknownCard>> {
    sqlx::query_as(
        "delete from unknown_cards where id = (
             select id from unknown_cards where charge_point_id = $1 and told_at > $2
                 and told_at - last_seen_at < interval '30 seconds'
             order by tap limit 1 for update)
         returning id, site_id, charge_point_id, station, evse, token, tap, taps, first_seen_at, last_seen_at",
    )
    .bind(charge_point)
    .bind(began_at)
    .fetch_optional(tx)
    .await
}

/// Ends a lesson.
///
/// # Errors
/// When the database does not answer.
pub async fn end_lesson(db: &PgPool, charge_point: i64, began_at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query("delete from card_lessons where charge_point_id = $1 and began_at = $2")
        .bind(charge_point)
        .bind(began_at)
        .execute(db)
        .await?;
    Ok(())
}
