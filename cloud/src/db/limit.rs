//! Counters of attempts that all replicas share.

use std::time::Duration;

use sqlx::PgPool;

/// Counts one more, and says how many there are in the current window and when it ends.
///
/// # Errors
/// When the database does not answer.
pub async fn count(db: &PgPool, key: &[u8], window: Duration) -> sqlx::Result<(i32, Duration)> {
    let (count, seconds): (i32, f64) = sqlx::query_as(
        "insert into rate_limits as it (key, count, ends_at) values ($1, 1, now() + make_interval(secs => $2))
         on conflict (key) do update set
             count = case when it.ends_at <= now() then 1 else it.count + 1 end,
             ends_at = case when it.ends_at <= now() then excluded.ends_at else it.ends_at end
         returning count, extract(epoch from ends_at - now())::float8",
    )
    .bind(key)
    .bind(window.as_secs_f64())
    .fetch_one(db)
    .await?;
    Ok((count, Duration::from_secs_f64(seconds.max(0.0))))
}

/// Takes one back.
///
/// # Errors
/// When the database does not answer.
pub async fn uncount(db: &PgPool, key: &[u8]) -> sqlx::Result<()> {
    sqlx::query("update rate_limits set count = count - 1 where key = $1 and count > 0")
        .bind(key)
        .execute(db)
        .await?;
    Ok(())
}

/// Begins anew.
///
/// # Errors
/// When the database does not answer.
pub async fn reset(db: &PgPool, key: &[u8]) -> sqlx::Result<()> {
    sqlx::query("delete from rate_limits where key = $1").bind(key).execute(db).await?;
    Ok(())
}
