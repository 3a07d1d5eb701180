//! Who is in an organization, and as what.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// Somebody in an organization, as it knows him.
#[derive(Debug, sqlx::FromRow)]
pub struct Member {
    /// Which organization.
    pub organization_id: i64,
    /// `users.id`.
    pub user_id: i64,
    /// See `auth::MemberRole`.
    pub role: String,
    /// What the organization calls him.
    pub name: Option<String>,
    /// The address or number that he was added by.
    pub contact: Option<String>,
    /// Since when; the one who made the organization was always there.
    pub since: Option<DateTime<Utc>>,
}

/// One's own place in an organization.
#[derive(Debug, sqlx::FromRow)]
pub struct Membership {
    /// Which organization.
    pub organization_id: i64,
    /// Its name.
    pub organization_name: Option<String>,
    /// See `auth::MemberRole`.
    pub role: String,
}

/// The people of an organization, owners first; programs with keys are not among them.
///
/// # Errors
/// When the database does not answer.
pub async fn list(db: &PgPool, organization: i64, limit: i64, offset: i64) -> sqlx::Result<Vec<Member>> {
    sqlx::query_as(
        "select m.organization_id, m.user_id, m.role, coalesce(it.name, case when made.id is not null then u.name end) as name,
                coalesce(it.contact, case when made.id is not null then coalesce(u.email, u.phone) end) as contact,
                it.created_at as since
         from memberships m join users u on u.id = m.user_id
         left join organization_members it on it.organization_id = m.organization_id and it.user_id = m.user_id
         left join organizations made on made.id = m.organization_id and made.owner_id = m.user_id
         where m.organization_id = $1 and u.role <> 'service'
         order by m.role <> 'owner', m.user_id limit $2 offset $3",
    )
    .bind(organization)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await
}

/// One of them.
///
/// # Errors
/// When the database does not answer.
pub async fn find(tx: &mut PgConnection, organization: i64, user: i64) -> sqlx::Result<Option<Member>> {
    sqlx::query_as(
        "select m.organization_id, m.user_id, m.role, it.name, it.contact, it.created_at as since
         from memberships m join users u on u.id = m.user_id
         left join organization_members it on it.organization_id = m.organization_id and it.user_id = m.user_id
         where m.organization_id = $1 and m.user_id = $2 and u.role <> 'service'",
    )
    .bind(organization)
    .bind(user)
    .fetch_optional(tx)
    .await
}

/// The organizations that somebody is in.
///
/// # Errors
/// When the database does not answer.
pub async fn of_user(db: &PgPool, user: i64) -> sqlx::Result<Vec<Membership>> {
    sqlx::query_as(
        "select m.organization_id, o.name as organization_name, m.role
         from memberships m join organizations o on o.id = m.organization_id
         where m.user_id = $1 order by m.organization_id limit 200",
    )
    .bind(user)
    .fetch_all(db)
    .await
}

/// Keeps others from changing an organization's members until the transaction ends. False when there is none that the
/// transaction's role may change: in a viewer's name, row-level security says which.
///
/// # Errors
/// When the database does not answer.
pub async fn lock(tx: &mut PgConnection, organization: i64) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("select id from organizations where id = $1 for update")
        .bind(organization)
        .fetch_optional(tx)
        .await?;
    Ok(found.is_some())
}

/// Is there an owner besides this one? A program is none.
///
/// # Errors
/// When the database does not answer.
pub async fn other_owner(tx: &mut PgConnection, organization: i64, user: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "select m.user_id from memberships m join users u on u.id = m.user_id
         where m.organization_id = $1 and m.user_id <> $2 and m.role = 'owner' and u.role <> 'service' and u.is_active
         order by m.user_id limit 1",
    )
    .bind(organization)
    .bind(user)
    .fetch_optional(tx)
    .await
}

/// Adds somebody. False when he is in it already.
///
/// # Errors
/// When the database does not answer.
pub async fn add(tx: &mut PgConnection, it: &Member) -> sqlx::Result<bool> {
    let added = sqlx::query(
        "insert into organization_members (organization_id, user_id, role, name, contact)
         select $1, $2, $3, $4, $5
         where not exists (select from memberships where organization_id = $1 and user_id = $2)",
    )
    .bind(it.organization_id)
    .bind(it.user_id)
    .bind(&it.role)
    .bind(&it.name)
    .bind(&it.contact)
    .execute(tx)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Gives somebody in it another role. Who made the organization gives it to `heir` first, if it is no longer to be his.
///
/// # Errors
/// When the database does not answer.
pub async fn set_role(tx: &mut PgConnection, it: &Member, role: &str, heir: Option<i64>) -> sqlx::Result<()> {
    hand_over(&mut *tx, it, heir).await?;
    sqlx::query(
        "insert into organization_members (organization_id, user_id, role) values ($1, $2, $3)
         on conflict (organization_id, user_id) do update set role = excluded.role",
    )
    .bind(it.organization_id)
    .bind(it.user_id)
    .bind(role)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes somebody out.
///
/// # Errors
/// When the database does not answer.
pub async fn remove(tx: &mut PgConnection, it: &Member, heir: Option<i64>) -> sqlx::Result<()> {
    hand_over(&mut *tx, it, heir).await?;
    sqlx::query("delete from organization_members where organization_id = $1 and user_id = $2")
        .bind(it.organization_id)
        .bind(it.user_id)
        .execute(tx)
        .await?;
    Ok(())
}

async fn hand_over(tx: &mut PgConnection, it: &Member, heir: Option<i64>) -> sqlx::Result<()> {
    if let Some(heir) = heir {
        sqlx::query(
            "update organizations set owner_id = $3, updated_at = now() where id = $1 and owner_id = $2",
        )
        .bind(it.organization_id)
        .bind(it.user_id)
        .bind(heir)
        .execute(tx)
        .await?;
    }
    Ok(())
}
