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
/// Far above any fleet; reached only by someone who makes ids up.
const MAX_KEPT: usize = 100_000;

/// One replica's memory of keys.
#[derive(Default)]
pub struct Keys(Mutex<HashMap<GatewayId, Kept>>);

struct Kept {
    gateway: Option<Gateway>,
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
        let gateway = rows::find(db, id).await?.filter(|gateway| !gateway.revoked);
        let until = now + if gateway.is_some() { TRUSTED_FOR } else { UNKNOWN_FOR };
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, kept| now < kept.until && kept.gateway.is_some());
        }
        kept.insert(id, Kept { gateway: gateway.clone(), until });
        Ok(gateway)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GatewayId, Kept>> {
        self.0.lock().expect("no code panics while holding it")
    }
}
