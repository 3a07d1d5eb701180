//! What the cloud says to gateways: sealed, on their topics, never waiting.
//!
//! Everything said here is said again when it is lost (a gateway repeats its hello or batch; commands and documents are
//! pushed until they are answered), so a full queue drops and counts.

use std::sync::RwLock;

use rumqttc::{AsyncClient, QoS};
use shared::id::GatewayId;
use shared::sync::{Down, DownTopic, Topic};
use sqlx::PgPool;

use crate::db::gateway::Gateway;
use crate::db::{command as commands, document};
use crate::gateways::Keys;

/// A replica's way to its gateways.
pub(super) struct Uplink {
    client: AsyncClient,
    /// Gateways' keys.
    pub(super) keys: Keys,
    shards: RwLock<Vec<i16>>,
}

impl Uplink {
    /// Through this client.
    pub(super) fn new(client: AsyncClient) -> Self {
        Self { client, keys: Keys::default(), shards: RwLock::default() }
    }

    /// The shards that this replica leases.
    pub(super) fn shards(&self) -> Vec<i16> {
        self.shards.read().expect("no code panics while holding it").clone()
    }

    /// Takes note of the leased shards.
    pub(super) fn set_shards(&self, shards: Vec<i16>) {
        *self.shards.write().expect("no code panics while holding it") = shards;
    }

    /// Says it.
    pub(super) fn send(&self, id: GatewayId, gateway: &Gateway, message: &Down) {
        let way = match message {
            Down::Welcome(_) => DownTopic::Welcome,
            Down::Ack(_) => DownTopic::Ack,
            Down::Command(_) => DownTopic::Command,
            Down::Want(_) => DownTopic::Want,
        };
        let topic = Topic::new(gateway.shard, id, way);
        let frame = gateway.key.seal(&topic, message);
        // What counts is acknowledged end to end and sent again when lost, so the broker's PUBACK would say nothing; but
        // rumqttd has Nagle's algorithm on, and after a PUBACK it holds the next batch back for 40 ms.
        if self.client.try_publish(topic.to_string(), QoS::AtMostOnce, false, frame).is_err() {
            metrics::counter!("ingest_unsent_total").increment(1);
        }
    }

    /// Sends the commands that are due.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn push_commands(&self, db: &PgPool) -> sqlx::Result<()> {
        for due in commands::take_due(db, &self.shards()).await? {
            if let Some(gateway) = self.keys.get(db, due.gateway).await? {
                self.send(due.gateway, &gateway, &Down::Command(due.command));
            }
        }
        Ok(())
    }

    /// Sends the documents that one gateway, or any that lives, does not hold.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn push_documents(&self, db: &PgPool, only: Option<GatewayId>) -> sqlx::Result<()> {
        for (id, _, wanted) in document::unheld(db, &self.shards(), only).await? {
            if let Some(gateway) = self.keys.get(db, id).await? {
                self.send(id, &gateway, &Down::Want(wanted));
            }
        }
        Ok(())
    }
}
