//! Who is connected: a newer connection with the same identity displaces the older one, and a revoked gateway is cut off.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use shared::id::GatewayId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Default)]
pub(super) struct Registry {
    connected: Mutex<HashMap<GatewayId, (u64, CancellationToken)>>,
    serial: AtomicU64,
}

/// One authenticated connection; leaving the registry with it.
pub(super) struct Seat<'a> {
    registry: &'a Registry,
    gateway: Option<GatewayId>,
    /// Never the same twice within a process.
    pub(super) serial: u64,
    /// Cancelled when the connection has to end.
    pub(super) ended: CancellationToken,
}

impl Registry {
    /// Takes a seat; whoever had it is sent away. Replicas may sit beside each other.
    pub(super) fn enter(&self, gateway: Option<GatewayId>) -> Seat<'_> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let ended = CancellationToken::new();
        if let Some(gateway) = gateway
            && let Some((_, older)) = self.lock().insert(gateway, (serial, ended.clone()))
        {
            metrics::counter!("gate_displaced_total").increment(1);
            older.cancel();
        }
        metrics::gauge!("gate_connections").increment(1.0);
        Seat { registry: self, gateway, serial, ended }
    }

    pub(super) fn gateways(&self) -> Vec<Uuid> {
        self.lock().keys().map(|gateway| gateway.0).collect()
    }

    pub(super) fn cut_off(&self, gateway: GatewayId) {
        if let Some((_, ended)) = self.lock().get(&gateway) {
            ended.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<GatewayId, (u64, CancellationToken)>> {
        self.connected.lock().expect("no code panics while holding it")
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        metrics::gauge!("gate_connections").decrement(1.0);
        let Some(gateway) = self.gateway else { return };
        let mut connected = self.registry.lock();
        if connected.get(&gateway).is_some_and(|(serial, _)| *serial == self.serial) {
            connected.remove(&gateway);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_connection_stays() {
        let registry = Registry::default();
        let gateway = GatewayId(Uuid::from_u128(1));
        let old = registry.enter(Some(gateway));
        let new = registry.enter(Some(gateway));
        assert!(old.ended.is_cancelled() && !new.ended.is_cancelled());
        drop(old);
        assert_eq!(registry.gateways(), [gateway.0]);
        registry.cut_off(gateway);
        assert!(new.ended.is_cancelled());
        drop(new);
        assert!(registry.gateways().is_empty());
    }
}
