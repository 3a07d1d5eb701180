//! Gateways' keys in memory. Nothing here is older than a minute, so that a revoked gateway is heard no longer than that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use shared::id::GatewayId;
use sqlx::PgPool;

use crate::db::gateway::{self as rows, Gateway};

const TRUSTED_FOR: Duration = Duration::from_mins(1);
/// Unknown ones are asked for again sooner: one may just have been enrolled by another replica.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// What does not fit the key that we have may fit a newer one: asked for again no more often than this.
const DOUBTED_AFTER: Duration = Duration::from_secs(2);
/// Far above any fleet; reached only by someone who makes ids up.
const MAX_KEPT: usize = 100_000;

/// One replica's memory of keys.
#[derive(Default)]
pub struct Keys(Mutex<HashMap<GatewayId, Kept>>);

struct Kept {
    gateway: Option<Gateway>,
    since: Instant,
    until: Instant,
}

impl Keys {
    /// The gateway, if it is enrolled and not revoked.
    ///
    /// # Errors
    /// When the database has to be asked and does not answer.
    pub async fn get(&self, db: &PgPool, id: GatewayId) -> sqlx::Result<Option<Gateway>> {
        let now = Instant::now();
        if let Some(kept) = self.lock().get(&id).filter(|kept| now < kept.until) {
            return Ok(kept.gateway.clone());
        }
        self.read(db, id, now).await
    }

    /// The same, when what came does not fit the key that is kept: it may have been renewed.
    ///
    /// # Errors
    /// When the database has to be asked and does not answer.
    pub async fn doubt(&self, db: &PgPool, id: GatewayId) -> sqlx::Result<Option<Gateway>> {
        let now = Instant::now();
        if let Some(kept) = self.lock().get(&id).filter(|kept| now < kept.since + DOUBTED_AFTER) {
            return Ok(kept.gateway.clone());
        }
        self.read(db, id, now).await
    }

    async fn read(&self, db: &PgPool, id: GatewayId, now: Instant) -> sqlx::Result<Option<Gateway>> {
        let gateway = rows::find(db, id).await?.filter(|gateway| !gateway.revoked);
        let until = now + if gateway.is_some() { TRUSTED_FOR } else { UNKNOWN_FOR };
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, kept| now < kept.until && kept.gateway.is_some());
        }
        kept.insert(id, Kept { gateway: gateway.clone(), since: now, until });
        Ok(gateway)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GatewayId, Kept>> {
        self.0.lock().expect("no code panics while holding it")
    }
}
