//! Tables of months: made ahead, and dropped when their time is over.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::Retention;

const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Months made ahead: so long a cloud may be without anybody who may make tables.
const AHEAD: i32 = 3;

/// Keeps the months of what grows for ever, until `stop`.
///
/// # Errors
/// None: a database that is away, or busy, is waited for.
pub async fn keep(db: PgPool, retention: Retention, stop: CancellationToken) -> anyhow::Result<()> {
    let mut clock = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(clock.tick()).await.is_some() {
        if let Err(error) = look(&db, &retention).await {
            tracing::warn!(%error, "the tables of months are not kept; trying again in an hour");
        }
    }
    Ok(())
}

/// Makes the months to come and drops those that are over.
///
/// # Errors
/// As any statement.
pub async fn look(db: &PgPool, retention: &Retention) -> sqlx::Result<()> {
    let tables = [
        ("meter_readings", "taken_at", retention.readings_months),
        ("records", "received_at", retention.records_months),
    ];
    for (table, by, months) in tables {
        let keep = (months > 0).then(|| i32::try_from(months).unwrap_or(i32::MAX));
        let mut tx = db.begin().await?;
        // A new month locks its table for a moment: better later than behind a long query, with everybody behind us.
        sqlx::query("set local lock_timeout = '5s'").execute(&mut *tx).await?;
        let changed: i32 = sqlx::query_scalar("select keep_months($1, $2, $3, $4)")
            .bind(table)
            .bind(by)
            .bind(AHEAD)
            .bind(keep)
            .fetch_one(&mut *tx)
            .await?;
        if let Some(keep) = keep.filter(|_| table == "records") {
            sqlx::query(
                "delete from record_keys where received_at < now() - make_interval(months => $1 + 1)",
            )
            .bind(keep)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        if changed > 0 {
            tracing::info!(table, changed, "months were made or dropped");
        }
    }
    Ok(())
}
