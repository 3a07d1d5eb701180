//! A message around the embedded broker every few seconds. When none returns, the broker is dead although its threads may not
//! be: the process has to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio_util::sync::CancellationToken;

use super::inner::Inner;

const TOPIC: &str = "evb/watchdog";

/// How closely the broker is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// Between two messages.
    pub(super) every: Duration,
    /// How long none may return.
    pub(super) patience: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self { every: Duration::from_secs(3), patience: Duration::from_secs(20) }
    }
}

pub(super) async fn run(inner: Arc<Inner>, watch: Watch, stop: CancellationToken) -> anyhow::Result<()> {
    let (client, mut connection) = connect(&inner);
    let mut clock = tokio::time::interval(watch.every);
    let mut returned = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = clock.tick() => {
                if returned.elapsed() > watch.patience {
                    bail!("the embedded broker no longer carries messages");
                }
                client.try_publish(TOPIC, QoS::AtLeastOnce, false, "still there").ok();
            }
            event = connection.poll() => match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => { client.try_subscribe(TOPIC, QoS::AtLeastOnce).ok(); }
                Ok(Event::Incoming(Packet::Publish(_))) => returned = Instant::now(),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "watchdog of the embedded broker");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
}

fn connect(inner: &Inner) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("watchdog", inner.address.ip().to_string(), inner.address.port());
    let (username, password) = inner.credentials();
    options.set_credentials(username, password).set_keep_alive(Duration::from_secs(10));
    AsyncClient::new(options, 16)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::inner;
    use super::*;

    const SHORT: Watch = Watch { every: Duration::from_millis(20), patience: Duration::from_millis(500) };

    #[tokio::test(flavor = "multi_thread")]
    async fn a_broker_that_takes_connections_and_carries_nothing_ends_the_process() {
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Arc::new(Inner::at(dead.local_addr().unwrap()));
        let ended =
            tokio::time::timeout(Duration::from_secs(30), run(inner, SHORT, CancellationToken::new()));
        let error = ended.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("no longer carries messages"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_broker_that_carries_messages_is_left_alone() {
        let inner = Arc::new(inner::start(1).unwrap());
        inner.reachable().await.unwrap();
        let stop = CancellationToken::new();
        // Far longer than its messages take, so that a slow machine does not look like a dead broker.
        let patient = Watch { patience: Duration::from_secs(10), ..SHORT };
        let watchdog = tokio::spawn(run(Arc::clone(&inner), patient, stop.clone()));
        heard(&inner).await;
        stop.cancel();
        watchdog.await.unwrap().unwrap();
    }

    /// Until the watchdog's message went around.
    async fn heard(inner: &Inner) {
        let mut options = MqttOptions::new("listener", inner.address.ip().to_string(), inner.address.port());
        let (username, password) = inner.credentials();
        options.set_credentials(username, password);
        let (client, mut connection) = AsyncClient::new(options, 16);
        client.subscribe(TOPIC, QoS::AtLeastOnce).await.unwrap();
        let message =
            async { while !matches!(connection.poll().await, Ok(Event::Incoming(Packet::Publish(_)))) {} };
        tokio::time::timeout(Duration::from_secs(30), message).await.unwrap();
    }
}
