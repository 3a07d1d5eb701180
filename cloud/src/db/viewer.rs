//! Transactions in which Postgres itself shows only what the viewer may see: the second wall behind `auth::Viewer::reach`.
//!
//! A role without login and two settings, both local to the transaction, as PostgREST and PostGraphile do it: one pool and one
//! login serve everybody, and a pooler in transaction mode may stand between. The policies are in `0002_tenants.sql`.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::auth::{Role, Viewer};

/// Begins a transaction in the viewer's name.
///
/// # Errors
/// When the database does not answer.
pub async fn begin(db: &PgPool, viewer: &Viewer) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = db.begin().await?;
    act_as(&mut tx, viewer).await?;
    Ok(tx)
}

/// Goes on in the viewer's name, after `as_ourselves`.
///
/// # Errors
/// When the database does not answer.
pub async fn act_as(tx: &mut PgConnection, viewer: &Viewer) -> sqlx::Result<()> {
    let administrator = if viewer.role == Role::Administrator { "yes" } else { "no" };
    sqlx::query(
        "select set_config('evb.viewer', $1, true), set_config('evb.administrator', $2, true),
                set_config('role', 'evb_viewer', true)",
    )
    .bind(viewer.id.to_string())
    .bind(administrator)
    .execute(tx)
    .await?;
    Ok(())
}

/// Steps back to the server's own rights, for what follows from the viewer's change: documents, hints, the audit log.
///
/// # Errors
/// When the database does not answer.
pub async fn as_ourselves(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select set_config('role', 'none', true)").execute(tx).await?;
    Ok(())
}
