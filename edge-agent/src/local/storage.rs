//! How the store is, for people.

use serde::Serialize;

use super::Local;
use crate::store::Damage;

/// The store's part of the disk, and what happened to it.
#[derive(Serialize)]
pub(super) struct Storage {
    used_bytes: u64,
    budget_bytes: u64,
    /// `enough`, `short` (readings are put together) or `scarce` (readings are only counted).
    room: &'static str,
    /// What is given up when the disk is full is there.
    ballast: bool,
    /// Damaged databases that were put aside.
    quarantined: usize,
    /// What was found and mended when this process started.
    damages: Vec<Damage>,
}

impl Storage {
    pub(super) fn of(local: &Local) -> Self {
        let usage = *local.store.usage().borrow();
        Storage {
            used_bytes: usage.used,
            budget_bytes: usage.budget,
            room: usage.level.name(),
            ballast: usage.ballast,
            quarantined: usage.quarantined,
            damages: local.damages.clone(),
        }
    }
}
