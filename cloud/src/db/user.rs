//! People: who they are, how they sign in.

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::auth::MemberRole;

/// What signing in needs.
#[derive(Debug, sqlx::FromRow)]
pub struct Account {
    /// Row id.
    pub id: i64,
    /// Sign-in name.
    pub username: Option<String>,
    /// Full name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// See `auth::Role`.
    pub role: String,
    /// PHC text; none: no sign-in by password.
    pub password_hash: Option<String>,
    /// May sign in at all.
    pub is_active: bool,
    /// Raised to end every token issued before.
    pub token_version: i32,
}

/// What recognising a token needs.
#[derive(Debug, sqlx::FromRow)]
pub struct Standing {
    /// See `auth::Role`.
    pub role: String,
    /// May act at all.
    pub is_active: bool,
    /// Tokens of another version are void.
    pub token_version: i32,
    organizations: Vec<i64>,
    organization_roles: Vec<String>,
}

impl Standing {
    /// The organizations he is in, and as what.
    pub fn memberships(&self) -> Vec<(i64, MemberRole)> {
        let pairs = self.organizations.iter().zip(&self.organization_roles);
        pairs.filter_map(|(id, role)| Some((*id, role.parse().ok()?))).collect()
    }
}

/// What a person sees of himself.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct User {
    pub id: i64,
    pub name: Option<String>,
    pub username: Option<String>,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub country: Option<String>,
    pub state: Option<String>,
    pub address: Option<String>,
    pub unit: Option<String>,
    pub city: Option<String>,
    pub zip: Option<f64>,
    pub role: String,
}

/// A person to be.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct NewUser<'a> {
    pub name: Option<&'a str>,
    pub username: Option<&'a str>,
    pub phone: Option<&'a str>,
    pub email: Option<&'a str>,
    pub role: &'a str,
    pub password_hash: Option<&'a str>,
}

/// The account of a user name, an e-mail address or a phone number; in this order, because a name could look like either.
///
/// # Errors
/// When the database does not answer.
pub async fn by_login(db: &PgPool, login: &str) -> sqlx::Result<Option<Account>> {
    sqlx::query_as(
        "select id, username, name, email, role, password_hash, is_active, token_version from users
         where lower(username) = lower($1) or lower(email) = lower($1) or phone = $1
         order by lower(username) = lower($1) desc nulls last, lower(email) = lower($1) desc nulls last limit 1",
    )
    .bind(login.trim())
    .fetch_optional(db)
    .await
}

/// Role, validity and memberships of an account.
///
/// # Errors
/// When the database does not answer.
pub async fn standing(db: &PgPool, id: i64) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as(
        "select u.role, u.is_active, u.token_version, m.organizations, m.organization_roles
         from users u cross join lateral (
             select coalesce(array_agg(organization_id), '{}') as organizations,
                    coalesce(array_agg(role), '{}') as organization_roles
             from memberships where user_id = u.id) m
         where u.id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// One person.
///
/// # Errors
/// When the database does not answer.
pub async fn find(db: impl PgExecutor<'_>, id: i64) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        "select id, name, username, phone, email, country, state, address, unit, city, zip, role from users where id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Adds a person.
///
/// # Errors
/// When name, phone or e-mail is taken, or the database does not answer.
pub async fn insert(db: &mut PgConnection, user: &NewUser<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into users (name, username, phone, email, role, password_hash) values ($1, $2, $3, $4, $5, $6) returning id",
    )
    .bind(user.name)
    .bind(user.username)
    .bind(user.phone)
    .bind(user.email)
    .bind(user.role)
    .bind(user.password_hash)
    .fetch_one(db)
    .await
}
