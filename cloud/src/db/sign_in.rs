//! Sign-ins and the refresh tokens that keep them going, each good for one exchange.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// The answer to an exchange may get lost on the way; so many seconds later it may be asked for again.
const GRACE_SECONDS: i32 = 60;
/// How long spent tokens are known, so that their reuse is noticed.
const REMEMBERED_DAYS: i32 = 7;

/// What a refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// Good, for this sign-in of this user.
    Good(Uuid, i64),
    /// It was exchanged before, and whoever got the new one uses that: one of the two stole it.
    Stolen(Uuid, i64),
}

/// Begins a sign-in.
///
/// # Errors
/// When the database does not answer.
pub async fn begin(tx: &mut PgConnection, user: i64, days: i32) -> sqlx::Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into sign_ins (id, user_id, token_version, expires_at)
         select $1, id, token_version, now() + make_interval(days => $3) from users where id = $2",
    )
    .bind(id)
    .bind(user)
    .bind(days)
    .execute(tx)
    .await?;
    Ok(id)
}

/// Adds a refresh token.
///
/// # Errors
/// When the database does not answer.
pub async fn add_token(tx: &mut PgConnection, sign_in: Uuid, digest: &[u8]) -> sqlx::Result<()> {
    sqlx::query("insert into refresh_tokens (token_hash, sign_in) values ($1, $2)")
        .bind(digest)
        .bind(sign_in)
        .execute(tx)
        .await?;
    Ok(())
}

/// What a refresh token is worth; its sign-in is locked until the transaction ends. `None`: nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn judge(tx: &mut PgConnection, digest: &[u8]) -> sqlx::Result<Option<Worth>> {
    let sign_in: Option<(Uuid, i64)> = sqlx::query_as(
        "select s.id, s.user_id from sign_ins s join users u on u.id = s.user_id and u.token_version = s.token_version
         where s.id = (select sign_in from refresh_tokens where token_hash = $1) and s.expires_at > now()
         for update of s",
    )
    .bind(digest)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((id, user)) = sign_in else { return Ok(None) };
    // After the lock, so that of two exchanges at once the second sees what the first did.
    let good: Option<bool> = sqlx::query_scalar(
        "select it.spent_at is null
             or (it.spent_at > now() - make_interval(secs => $2) and new.token_hash is not null and new.spent_at is null)
         from refresh_tokens it left join refresh_tokens new on new.token_hash = it.successor where it.token_hash = $1",
    )
    .bind(digest)
    .bind(f64::from(GRACE_SECONDS))
    .fetch_optional(tx)
    .await?;
    Ok(good.map(|good| if good { Worth::Good(id, user) } else { Worth::Stolen(id, user) }))
}

/// Exchanges a token for the next one. When it was exchanged before, nobody ever gets to use that earlier successor.
///
/// # Errors
/// When the database does not answer.
pub async fn exchange(
    tx: &mut PgConnection,
    sign_in: Uuid,
    old: &[u8],
    new: &[u8],
    days: i32,
) -> sqlx::Result<()> {
    sqlx::query(
        "update refresh_tokens set spent_at = '-infinity'
         where token_hash = (select successor from refresh_tokens where token_hash = $1)",
    )
    .bind(old)
    .execute(&mut *tx)
    .await?;
    add_token(tx, sign_in, new).await?;
    sqlx::query("update refresh_tokens set spent_at = coalesce(spent_at, now()), successor = $2 where token_hash = $1")
        .bind(old)
        .bind(new)
        .execute(&mut *tx)
        .await?;
    sqlx::query("update sign_ins set expires_at = now() + make_interval(days => $2) where id = $1")
        .bind(sign_in)
        .bind(days)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends a sign-in, with its access token.
///
/// # Errors
/// When the database does not answer.
pub async fn end(db: &mut PgConnection, sign_in: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from sign_ins where id = $1").bind(sign_in).execute(db).await?;
    Ok(())
}

/// Ends the sign-in of a refresh token, spent or not.
///
/// # Errors
/// When the database does not answer.
pub async fn end_of_token(db: &PgPool, digest: &[u8]) -> sqlx::Result<()> {
    sqlx::query("delete from sign_ins where id = (select sign_in from refresh_tokens where token_hash = $1)")
        .bind(digest)
        .execute(db)
        .await?;
    Ok(())
}

/// Ends all sign-ins of a person, and every access token.
///
/// # Errors
/// When the database does not answer.
pub async fn end_all(tx: &mut PgConnection, user: i64) -> sqlx::Result<()> {
    sqlx::query("delete from sign_ins where user_id = $1").bind(user).execute(&mut *tx).await?;
    sqlx::query("update users set token_version = token_version + 1, updated_at = now() where id = $1")
        .bind(user)
        .execute(tx)
        .await?;
    Ok(())
}

/// Forgets what has expired: sign-ins, tokens spent long ago, codes, counters.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_expired(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query("delete from sign_ins where expires_at < now()").execute(db).await?;
    sqlx::query("delete from refresh_tokens where spent_at < now() - make_interval(days => $1) and spent_at > '-infinity'")
        .bind(REMEMBERED_DAYS)
        .execute(db)
        .await?;
    sqlx::query("delete from login_codes where expires_at < now()").execute(db).await?;
    sqlx::query("delete from rate_limits where ends_at < now()").execute(db).await?;
    Ok(())
}
