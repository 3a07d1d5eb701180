//! Forgets what has expired, now and then. Every replica does; it does not matter who comes first.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::db::sign_in;

const EVERY: Duration = Duration::from_mins(10);

/// Runs until `stop`.
///
/// # Errors
/// Never: a database that does not answer is asked again.
pub(crate) async fn sweep(db: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let mut clock = tokio::time::interval(EVERY);
    while stop.run_until_cancelled(clock.tick()).await.is_some() {
        if let Err(error) = sign_in::forget_expired(&db).await {
            tracing::warn!(%error, "what has expired is not forgotten yet");
        }
    }
    Ok(())
}
