//! Facts from gateways into Postgres.
//!
//! ```text
//! lease ─► subscriptions ─► link (polls MQTT) ─► workers ─► frame (topic, key, seal) ─► hello | batch | ahead | result
//!                                                                                        one transaction each
//!                                             uplink (sealed, never waits) ◄── welcome, ack, command, want
//! ```
//! The rules are those of `shared::sync`. A replica holds no truth: shards are leased sloppily, two readers of one shard are
//! harmless, because the cursor row decides what counts.

pub mod ahead;
pub mod batch;
mod broker_at;
mod frame;
mod hello;
pub mod life;
mod link;
pub mod oddity;
mod outbound;
pub mod project;
pub mod replay;
mod replica;
pub mod security;
mod trace;
mod uplink;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use rumqttc::AsyncClient;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use broker_at::BrokerAt;

use crate::App;
use crate::db::lease;
use link::Connection;
use replica::Replica;
use uplink::Uplink;
use worker::Worker;

const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Messages waiting for the connection.
const OUTGOING: usize = 4096;

/// Reads this replica's share of the gateways until `stop`.
///
/// # Errors
/// When the broker's address or CA cannot be used.
pub async fn run(app: App, broker: BrokerAt, stop: CancellationToken) -> anyhow::Result<()> {
    let replica = Replica::in_folder(&app.config.data_dir);
    let brokers = broker.options(replica.id);
    let (client, mut events) = AsyncClient::new(brokers[0].clone(), OUTGOING);
    // A small frame must not wait 40 ms for the acknowledgement of the one before.
    events.network_options.set_tcp_nodelay(true);
    let connection = Connection { events, brokers };
    let uplink = Arc::new(Uplink::new(client.clone()));
    let (leased, shards) = watch::channel(Vec::new());

    let workers: Arc<[mpsc::Sender<_>]> = (0..app.config.ingest.workers)
        .map(|_| {
            let (queue, queued) = mpsc::channel(app.config.ingest.queue);
            tokio::spawn(Worker::new(app.clone(), Arc::clone(&uplink)).run(queued));
            queue
        })
        .collect();
    let mut link = tokio::spawn(link::run(client, connection, shards, workers, stop.clone()));
    tokio::spawn(outbound::run(app.db.clone(), Arc::clone(&uplink), stop.clone()));

    let leases = keep_leases(&app, replica.id, &uplink, &leased);
    tokio::select! {
        () = stop.cancelled() => {}
        never = leases => match never {},
        ended = &mut link => ended?,
    }
    metrics::gauge!("ingest_shards").set(0.0);
    lease::release(&app.db, replica.id).await.ok();
    Ok(())
}

async fn keep_leases(
    app: &App,
    replica: Uuid,
    uplink: &Uplink,
    leased: &watch::Sender<Vec<i16>>,
) -> std::convert::Infallible {
    let mut clock = tokio::time::interval(RENEW_EVERY);
    loop {
        clock.tick().await;
        match lease::renew(&app.db, replica).await {
            Ok(shards) => {
                metrics::gauge!("ingest_shards")
                    .set(f64::from(u32::try_from(shards.len()).unwrap_or_default()));
                uplink.set_shards(shards.clone());
                leased.send_replace(shards);
            }
            // What is subscribed stays subscribed: another reader beside this one is harmless.
            Err(error) => tracing::warn!(%error, "leases are not renewed"),
        }
    }
}
