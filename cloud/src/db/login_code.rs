//! One-time codes on their way: one per address or number, as a digest, with the attempts that are left.

use sqlx::{PgConnection, PgPool};

const ATTEMPTS: i16 = 5;
const MINUTES: i32 = 10;

/// Puts a code in the place of any other for the same account.
///
/// # Errors
/// When the database does not answer.
pub async fn put(db: &PgPool, account: &str, digest: &[u8]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into login_codes (account, code_hash, attempts_left, expires_at)
         values ($1, $2, $3, now() + make_interval(mins => $4))
         on conflict (account) do update set code_hash = excluded.code_hash,
             attempts_left = excluded.attempts_left, expires_at = excluded.expires_at",
    )
    .bind(account)
    .bind(digest)
    .bind(ATTEMPTS)
    .bind(MINUTES)
    .execute(db)
    .await?;
    Ok(())
}

/// Uses up an attempt and returns the digest to compare with; `None` when there is no code, or none that is still good.
///
/// # Errors
/// When the database does not answer.
pub async fn attempt(db: &PgPool, account: &str) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar(
        "update login_codes set attempts_left = attempts_left - 1
         where account = $1 and attempts_left > 0 and expires_at > now() returning code_hash",
    )
    .bind(account)
    .fetch_optional(db)
    .await
}

/// Takes a code away. Of those who try it at the same time, one is told that he did.
///
/// # Errors
/// When the database does not answer.
pub async fn spend(db: &mut PgConnection, account: &str, digest: &[u8]) -> sqlx::Result<bool> {
    let spent = sqlx::query("delete from login_codes where account = $1 and code_hash = $2")
        .bind(account)
        .bind(digest)
        .execute(db)
        .await?;
    Ok(spent.rows_affected() == 1)
}
