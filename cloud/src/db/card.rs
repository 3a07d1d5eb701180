//! Cards and what else people charge with, and groups of them.
//!
//! Statements that take a [`Reach`] run in the viewer's name (`db::viewer::begin`); the policies of `0007_cards.sql` say the
//! same once more. A change needs no call to anything: the lists that gateways hold follow by themselves (`crate::lists`).

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::auth::Reach;

/// A card as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Card {
    pub id: i64,
    pub token: String,
    pub name: Option<String>,
    pub user_id: Option<i64>,
    pub group_id: Option<i64>,
    /// Whose group it is, if an organization's.
    pub organization_id: Option<i64>,
    pub status: String,
    pub blocked_by: Option<i64>,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A card to be.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct NewCard<'a> {
    pub token: &'a str,
    pub kind: &'a str,
    pub name: Option<&'a str>,
    pub user_id: Option<i64>,
    pub group_id: Option<i64>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Which cards.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// This person's.
    pub user: Option<i64>,
    /// This group's.
    pub group: Option<i64>,
    /// Those that this site knows as its own.
    pub site: Option<i64>,
}

/// Cards that may stop one another's sessions.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Group {
    pub id: i64,
    pub name: String,
    pub organization_id: Option<i64>,
    pub owner_id: Option<i64>,
    pub cards: i64,
    pub site_ids: Vec<i64>,
}

const SELECT: &str =
    "select t.id, t.token, t.name, t.user_id, t.group_id, g.organization_id, t.status, t.blocked_by,
        t.expires_at, t.created_at
 from id_tokens t left join card_groups g on g.id = t.group_id
 where t.kind <> 'app' and ($1 or t.user_id = $2 or g.owner_id = $2 or g.organization_id = any($3))";

/// A page of cards, the oldest first, and how many there are in all.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    tx: &mut PgConnection,
    reach: &Reach,
    filter: Filter,
    (limit, offset): (i64, i64),
) -> sqlx::Result<(i64, Vec<Card>)> {
    const WHICH: &str = "($4::bigint is null or t.user_id = $4) and ($5::bigint is null or t.group_id = $5)
        and ($6::bigint is null or t.id in (select card_id from own_cards where site_id = $6))";
    let count = sqlx::AssertSqlSafe(format!("select count(*) from ({SELECT} and {WHICH}) c"));
    let count = sqlx::query_scalar(count)
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(filter.user)
        .bind(filter.group)
        .bind(filter.site)
        .fetch_one(&mut *tx)
        .await?;
    let rows = sqlx::AssertSqlSafe(format!("{SELECT} and {WHICH} order by t.id limit $7 offset $8"));
    let rows = sqlx::query_as(rows)
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(filter.user)
        .bind(filter.group)
        .bind(filter.site)
        .bind(limit)
        .bind(offset)
        .fetch_all(tx)
        .await?;
    Ok((count, rows))
}

/// A card within reach, locked until the end of the transaction.
///
/// # Errors
/// When the database does not answer.
pub async fn find(tx: &mut PgConnection, id: i64, reach: &Reach) -> sqlx::Result<Option<Card>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} and t.id = $4 for update of t")))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(id)
        .fetch_optional(tx)
        .await
}

/// The card of a token, if it is within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn by_token(tx: &mut PgConnection, token: &str, reach: &Reach) -> sqlx::Result<Option<Card>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} and lower(t.token) = lower($4)")))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(token)
        .fetch_optional(tx)
        .await
}

/// How many cards a person or, for cards of nobody, a group has.
///
/// # Errors
/// When the database does not answer.
pub async fn count(tx: &mut PgConnection, user: Option<i64>, group: Option<i64>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from id_tokens where kind <> 'app' and case when $1::bigint is null
             then user_id is null and group_id = $2 else user_id = $1 end",
    )
    .bind(user)
    .bind(group)
    .fetch_one(tx)
    .await
}

/// Adds a card.
///
/// # Errors
/// When the token is taken, or the database does not answer.
pub async fn insert(tx: &mut PgConnection, new: &NewCard<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into id_tokens (token, kind, name, user_id, group_id, expires_at) values ($1, $2, $3, $4, $5, $6)
         returning id",
    )
    .bind(new.token)
    .bind(new.kind)
    .bind(new.name)
    .bind(new.user_id)
    .bind(new.group_id)
    .bind(new.expires_at)
    .fetch_one(tx)
    .await
}

/// Changes name, group and end of a card to these.
///
/// # Errors
/// When the database does not answer.
pub async fn update(tx: &mut PgConnection, card: &Card) -> sqlx::Result<()> {
    sqlx::query(
        "update id_tokens set name = $2, group_id = $3, expires_at = $4, updated_at = now() where id = $1",
    )
    .bind(card.id)
    .bind(&card.name)
    .bind(card.group_id)
    .bind(card.expires_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// Bars a card in somebody's name, or lets it charge again.
///
/// # Errors
/// When the database does not answer.
pub async fn bar(tx: &mut PgConnection, id: i64, by: Option<i64>) -> sqlx::Result<()> {
    sqlx::query(
        "update id_tokens set status = case when $2::bigint is null then 'accepted' else 'blocked' end, blocked_by = $2,
             updated_at = now() where id = $1",
    )
    .bind(id)
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a card.
///
/// # Errors
/// When the database does not answer.
pub async fn delete(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("delete from id_tokens where id = $1").bind(id).execute(tx).await?;
    Ok(())
}

/// The token that a person's app charges with, if he has one that is good.
///
/// # Errors
/// When the database does not answer.
pub async fn app_token(db: impl PgExecutor<'_>, user: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select token from id_tokens where user_id = $1 and kind = 'app' and status = 'accepted'
         and (expires_at is null or expires_at > now()) order by id limit 1",
    )
    .bind(user)
    .fetch_optional(db)
    .await
}

const GROUPS: &str = "select g.id, g.name, g.organization_id, g.owner_id,
        (select count(*) from id_tokens t where t.group_id = g.id) as cards,
        array(select site_id from card_group_sites x where x.group_id = g.id order by site_id) as site_ids
 from card_groups g where ($1 or g.owner_id = $2 or g.organization_id = any($3))";

/// The groups within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn groups(tx: &mut PgConnection, reach: &Reach, limit: i64) -> sqlx::Result<Vec<Group>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{GROUPS} order by g.id limit $4")))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(limit)
        .fetch_all(tx)
        .await
}

/// A group within reach.
///
/// # Errors
/// When the database does not answer.
pub async fn group(tx: &mut PgConnection, id: i64, reach: &Reach) -> sqlx::Result<Option<Group>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{GROUPS} and g.id = $4")))
        .bind(reach.everything)
        .bind(reach.user)
        .bind(&reach.organizations)
        .bind(id)
        .fetch_optional(tx)
        .await
}

/// Adds a group of an organization or, without one, of a person.
///
/// # Errors
/// When the database does not answer.
pub async fn insert_group(
    tx: &mut PgConnection,
    name: &str,
    organization: Option<i64>,
    owner: i64,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into card_groups (name, organization_id, owner_id)
         values ($1, $2, case when $2::bigint is null then $3 end) returning id",
    )
    .bind(name)
    .bind(organization)
    .bind(owner)
    .fetch_one(tx)
    .await
}

/// Removes a group, and the cards that are nobody else's.
///
/// # Errors
/// When the database does not answer.
pub async fn delete_group(tx: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("delete from card_groups where id = $1").bind(id).execute(tx).await?;
    Ok(())
}

/// Lets a group's cards charge at a site, or no more.
///
/// # Errors
/// When the database does not answer.
pub async fn let_in(tx: &mut PgConnection, group: i64, site: i64, allowed: bool) -> sqlx::Result<()> {
    let sql = if allowed {
        "insert into card_group_sites (group_id, site_id) values ($1, $2) on conflict do nothing"
    } else {
        "delete from card_group_sites where group_id = $1 and site_id = $2"
    };
    sqlx::query(sql).bind(group).bind(site).execute(tx).await?;
    Ok(())
}

/// Is the site within reach?
///
/// # Errors
/// When the database does not answer.
pub async fn site_within(tx: &mut PgConnection, id: i64, reach: &Reach) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from sites where id = $1 and ($2 or owner_id = $3 or organization_id = any($4)))",
    )
    .bind(id)
    .bind(reach.everything)
    .bind(reach.user)
    .bind(&reach.organizations)
    .fetch_one(tx)
    .await
}
