//! The slow repair: running sessions that changed since the last round and that no hint told of.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Hub, SessionChange};

/// `updated_at` is when a transaction began; it may commit this much later and still be found.
const LONGEST_TRANSACTION: TimeDelta = TimeDelta::seconds(10);

/// Remembers what was sent, so that a repair does not send it again.
#[derive(Default)]
pub(super) struct Reread {
    since: Option<DateTime<Utc>>,
    sessions: HashMap<Uuid, DateTime<Utc>>,
}

impl Reread {
    pub(super) fn note(&mut self, change: &SessionChange) -> bool {
        self.sessions.insert(change.id, change.updated_at) != Some(change.updated_at)
    }

    pub(super) async fn run(&mut self, db: &PgPool, hub: &Hub) -> sqlx::Result<()> {
        let now: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(db).await?;
        if let Some(since) = self.since {
            self.send_since(since, db, hub).await?;
            self.sessions.retain(|_, at| *at > since);
        }
        self.since = Some(now - LONGEST_TRANSACTION);
        Ok(())
    }

    async fn send_since(&mut self, since: DateTime<Utc>, db: &PgPool, hub: &Hub) -> sqlx::Result<()> {
        // Only running sessions: there are few, and they have an index.
        let sessions: Vec<SessionChange> = sqlx::query_as(
            "select id, history_id, site_id, connector_id, user_id, tx_ref, power_w, energy_wh, soc, started_at,
                    stopped_at, updated_at
             from sessions where stopped_at is null and updated_at > $1",
        )
        .bind(since)
        .fetch_all(db)
        .await?;
        for change in sessions.into_iter().filter(|change| self.note(change)).collect::<Vec<_>>() {
            hub.sessions.send(Arc::new(change)).ok();
        }
        Ok(())
    }
}
