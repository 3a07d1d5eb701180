//! How much of a replica one may take with WebSockets.

use serde::Deserialize;

/// Limits of one replica.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address (one /64 network with IPv6): whole offices and mobile networks share one.
    pub connections_per_address: usize,
    /// Connections of one user.
    pub connections_per_user: usize,
    /// Subscriptions on one connection.
    pub subscriptions_per_connection: usize,
    /// Subscriptions from one address.
    pub subscriptions_per_address: usize,
    /// Subscriptions of one user.
    pub subscriptions_per_user: usize,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 1_000,
            connections_per_user: 50,
            subscriptions_per_connection: 50,
            subscriptions_per_address: 5_000,
            subscriptions_per_user: 500,
        }
    }
}
