//! Administrators, as the command line makes them.

use sqlx::PgPool;

/// Creates an administrator. An existing user of that address becomes one, and all his tokens end.
pub async fn upsert(db: &PgPool, email: &str, password_hash: &str) -> sqlx::Result<()> {
    sqlx::query(
        "insert into users (email, username, name, role, password_hash) values ($1, $1, $1, 'administrator', $2)
         on conflict (lower(email)) do update
         set role = 'administrator', password_hash = excluded.password_hash, is_active = true,
             token_version = users.token_version + 1, updated_at = now()",
    )
    .bind(email.trim())
    .bind(password_hash)
    .execute(db)
    .await?;
    Ok(())
}
