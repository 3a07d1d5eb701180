//! The log of changes, read once per replica and kept for a while: however many watch, each entry costs one read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::db::audit::{self, Logged};

/// Entries that are kept; who is further behind reads for himself.
const KEPT: usize = 1_000;
/// Entries of one read.
pub(super) const AT_ONCE: usize = 500;
/// The least time between two looks that nothing but suspicion asks for.
const PATIENCE: Duration = Duration::from_secs(1);

/// One replica's copy of the log's end.
#[derive(Default)]
pub(in crate::graphql) struct Log(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    entries: VecDeque<Arc<Logged>>,
    /// Everything after this one and up to the last entry is here.
    after: Option<i64>,
    looked_at: Option<Instant>,
}

impl Log {
    /// The entries after one, at most [`AT_ONCE`]. `told` is the number of one that is known to be there.
    pub(super) async fn since(
        &self,
        db: &PgPool,
        after: i64,
        told: Option<i64>,
    ) -> sqlx::Result<Vec<Arc<Logged>>> {
        let mut recent = self.0.lock().await;
        recent.refresh(db, told).await?;
        if recent.after.is_some_and(|first| first <= after) {
            return Ok(recent.entries.iter().filter(|it| it.id > after).take(AT_ONCE).cloned().collect());
        }
        drop(recent);
        read(db, after).await
    }
}

async fn read(db: &PgPool, after: i64) -> sqlx::Result<Vec<Arc<Logged>>> {
    let most = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    Ok(audit::since(db, after, most).await?.into_iter().map(Arc::new).collect())
}

impl Recent {
    async fn refresh(&mut self, db: &PgPool, told: Option<i64>) -> sqlx::Result<()> {
        let Some(first) = self.after else {
            self.after = Some(audit::newest(db).await?);
            return Ok(());
        };
        let newest = self.entries.back().map_or(first, |it| it.id);
        let looked = self.looked_at.is_some_and(|at| at.elapsed() < PATIENCE);
        if told.map_or(looked, |told| told <= newest) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        self.entries.extend(read(db, newest).await?);
        while self.entries.len() > KEPT {
            self.after = self.entries.pop_front().map(|it| it.id);
        }
        Ok(())
    }
}
