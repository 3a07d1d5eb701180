//! One read per replica: ids or marks in, rows out to the subscribers.

use std::sync::Arc;

use sqlx::PgPool;

use super::reread::Reread;
use super::site::Sites;
use super::{Hint, Hub, SessionChange};

/// Reads for one hub.
pub(super) struct Reader {
    pub(super) db: PgPool,
    hub: Hub,
    sites: Sites,
    sessions: Reread,
}

impl Reader {
    pub(super) fn new(db: PgPool, hub: Hub) -> Self {
        Self { db, hub, sites: Sites::default(), sessions: Reread::default() }
    }

    pub(super) async fn publish(&mut self, hint: Hint) -> sqlx::Result<()> {
        for command in hint.commands {
            self.hub.commands.send(command).ok();
        }
        for change in hint.changes {
            self.hub.changes.send(change).ok();
        }
        for site in hint.unknown_cards {
            self.hub.unknown_cards.send(Arc::new(site)).ok();
        }
        for file in hint.files {
            self.hub.files.send(Arc::new(file)).ok();
        }
        for site in hint.security {
            self.hub.security.send(Arc::new(site)).ok();
        }
        for bulk in hint.bulks {
            self.hub.bulks.send(Arc::new(bulk)).ok();
        }
        if !hint.sites.is_empty() || !hint.connectors.is_empty() {
            self.look().await?;
        }
        if !hint.sessions.is_empty() && self.hub.sessions.receiver_count() > 0 {
            let rows: Vec<SessionChange> = sqlx::query_as(
                "select id, history_id, site_id, connector_id, user_id, tx_ref, power_w, energy_wh, soc, started_at,
                        stopped_at, updated_at
                 from sessions where id = any($1)",
            )
            .bind(&hint.sessions)
            .fetch_all(&self.db)
            .await?;
            for change in rows {
                self.sessions.note(&change);
                self.hub.sessions.send(Arc::new(change)).ok();
            }
        }
        Ok(())
    }

    /// Tells of all sites that changed since the last look.
    pub(super) async fn look(&mut self) -> sqlx::Result<()> {
        self.sites.look(&self.db, &self.hub.sites).await
    }

    /// Tells of running sessions that changed and that no hint told of.
    pub(super) async fn reread(&mut self) -> sqlx::Result<()> {
        self.sessions.run(&self.db, &self.hub).await
    }
}
