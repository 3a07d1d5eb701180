//! The MQTT connection of a replica: one task that polls and never waits for anything else.
//!
//! Messages go to workers over bounded queues; a full queue drops, because a gateway sends again whatever is not
//! acknowledged. rumqttc acknowledges each message to the broker when it arrives (PUBACK), not after the commit: manual
//! PUBACKs have to go out in the order of arrival, or rumqttd hangs up, and the workers finish in another order. It does not
//! matter, because PUBACK means nothing in this protocol: a gateway forgets only what our own [`Ack`](shared::sync::Ack) covers.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS, SubAck, SubscribeReasonCode,
};
use shared::id::Shard;
use shared::sync::Topic;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::worker::Message;

const SHORTEST_RETRY_MS: u64 = 200;
const LONGEST_RETRY_MS: u64 = 10_000;

/// A connection to one broker of a cluster.
pub(super) struct Connection {
    pub(super) events: EventLoop,
    /// How to reach each of them.
    pub(super) brokers: Vec<MqttOptions>,
}

/// Keeps the connection and its subscriptions, until `stop`.
pub(super) async fn run(
    client: AsyncClient,
    Connection { mut events, brokers }: Connection,
    mut shards: watch::Receiver<Vec<i16>>,
    workers: Arc<[mpsc::Sender<Message>]>,
    stop: CancellationToken,
) {
    let mut subscribed = BTreeSet::new();
    let mut failures = 0_u32;
    let mut others = brokers.iter().cycle().skip(1);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = shards.changed() => subscribe(&client, &mut subscribed, &shards.borrow_and_update()),
            event = events.poll() => match event {
                Ok(Event::Incoming(Packet::Publish(publish))) => dispatch(&workers, publish),
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    tracing::info!("connected to the broker");
                    failures = 0;
                    subscribed.clear();
                    subscribe(&client, &mut subscribed, &shards.borrow_and_update());
                }
                // A node of a cluster that has lost its fellows may refuse. The next lease round asks again, for all of them:
                // which one it was is not told, and the others do not mind.
                Ok(Event::Incoming(Packet::SubAck(answer))) if is_refused(&answer) => {
                    tracing::warn!("the broker refused a subscription; asking again");
                    subscribed.clear();
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection to the broker");
                    failures += 1;
                    events.mqtt_options.clone_from(others.next().expect("there is at least one"));
                    tokio::time::sleep(retry_after(failures)).await;
                }
            },
        }
    }
}

/// Brings the subscriptions in line with the leases. What does not fit into the client's queue waits for the next lease round.
fn subscribe(client: &AsyncClient, subscribed: &mut BTreeSet<i16>, leased: &[i16]) {
    let leased: BTreeSet<i16> = leased.iter().copied().collect();
    let filter = |shard: i16| Topic::up_filter(Shard(u16::try_from(shard).unwrap_or_default()));
    for &shard in &leased {
        if !subscribed.contains(&shard) && client.try_subscribe(filter(shard), QoS::AtLeastOnce).is_ok() {
            subscribed.insert(shard);
        }
    }
    subscribed.retain(|shard| leased.contains(shard) || client.try_unsubscribe(filter(*shard)).is_err());
}

fn is_refused(answer: &SubAck) -> bool {
    answer.return_codes.contains(&SubscribeReasonCode::Failure)
}

/// The same gateway always to the same worker: its messages stay in order.
fn dispatch(workers: &[mpsc::Sender<Message>], publish: Publish) {
    let mut hasher = DefaultHasher::new();
    publish.topic.split('/').nth(3).hash(&mut hasher);
    let place =
        usize::try_from(hasher.finish() % u64::try_from(workers.len()).unwrap_or(1)).unwrap_or_default();
    let message = Message { topic: publish.topic, payload: publish.payload, arrived: Instant::now() };
    if workers[place].try_send(message).is_err() {
        metrics::counter!("ingest_dropped_total").increment(1);
    }
}

fn retry_after(failures: u32) -> Duration {
    let most = SHORTEST_RETRY_MS.saturating_mul(1 << failures.min(8)).min(LONGEST_RETRY_MS);
    Duration::from_millis(SHORTEST_RETRY_MS + getrandom::u64().unwrap_or_default() % most)
}
