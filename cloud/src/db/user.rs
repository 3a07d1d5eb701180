//! People: who they are, how they sign in.

use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::auth::{Contact, MemberRole};

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
         where lower(username) = lower($1) or lower(email) = lower($1) or phone = $1 or phone_key(phone) = phone_key($1)
         order by lower(username) = lower($1) desc nulls last, lower(email) = lower($1) desc nulls last limit 1",
    )
    .bind(login.trim())
    .fetch_optional(db)
    .await
}

/// One account.
///
/// # Errors
/// When the database does not answer.
pub async fn account(db: &mut PgConnection, id: i64) -> sqlx::Result<Option<Account>> {
    sqlx::query_as(
        "select id, username, name, email, role, password_hash, is_active, token_version from users where id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// The account of a person whose address or number this is, proved.
///
/// # Errors
/// When the database does not answer.
pub async fn by_contact(db: &mut PgConnection, contact: &Contact) -> sqlx::Result<Option<Account>> {
    let query = match contact {
        Contact::Phone(_) => {
            "select id, username, name, email, role, password_hash, is_active, token_version from users
             where phone_key(phone) = $1 and phone_proved"
        }
        Contact::Email(_) => {
            "select id, username, name, email, role, password_hash, is_active, token_version from users
             where lower(email) = $1 and email_proved"
        }
    };
    sqlx::query_as(query).bind(contact.as_str()).fetch_optional(db).await
}

/// Takes an address or number out of the record of somebody who only claims it. Returns whose.
///
/// # Errors
/// When the database does not answer.
pub async fn take_contact_away(db: &mut PgConnection, contact: &Contact) -> sqlx::Result<Option<i64>> {
    let query = match contact {
        Contact::Phone(_) => {
            "update users set phone = null, phone_proved = true, updated_at = now()
             where phone_key(phone) = $1 and not phone_proved returning id"
        }
        Contact::Email(_) => {
            "update users set email = null, email_proved = true, updated_at = now()
             where lower(email) = $1 and not email_proved returning id"
        }
    };
    sqlx::query_scalar(query).bind(contact.as_str()).fetch_optional(db).await
}

/// Enters an address or number that was proved.
///
/// # Errors
/// When the database does not answer, or somebody else has it.
pub async fn set_contact(db: &mut PgConnection, id: i64, contact: &Contact) -> sqlx::Result<()> {
    let query = match contact {
        Contact::Phone(_) => {
            "update users set phone = $2, phone_proved = true, updated_at = now() where id = $1"
        }
        Contact::Email(_) => {
            "update users set email = $2, email_proved = true, updated_at = now() where id = $1"
        }
    };
    sqlx::query(query).bind(id).bind(contact.as_str()).execute(db).await?;
    Ok(())
}

/// Sets a password.
///
/// # Errors
/// When the database does not answer.
pub async fn set_password(db: &mut PgConnection, id: i64, hash: &str) -> sqlx::Result<()> {
    sqlx::query("update users set password_hash = $2, updated_at = now() where id = $1")
        .bind(id)
        .bind(hash)
        .execute(db)
        .await?;
    Ok(())
}

/// Role, validity and memberships of an account; with a sign-in, only while that lasts.
///
/// # Errors
/// When the database does not answer.
pub async fn standing(db: &PgPool, id: i64, sign_in: Option<Uuid>) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as(
        "select u.role, u.is_active, u.token_version, m.organizations, m.organization_roles
         from users u cross join lateral (
             select coalesce(array_agg(organization_id), '{}') as organizations,
                    coalesce(array_agg(role), '{}') as organization_roles
             from memberships where user_id = u.id) m
         where u.id = $1 and ($2::uuid is null
             or exists (select from sign_ins s where s.id = $2 and s.user_id = u.id and s.expires_at > now()))",
    )
    .bind(id)
    .bind(sign_in)
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
