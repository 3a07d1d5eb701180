//! A message around the embedded broker every few seconds. When none returns, the broker is dead although its threads may not
//! be: the process has to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio_util::sync::CancellationToken;

use super::inner::Inner;

const TOPIC: &str = "evb/watchdog";
const EVERY: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(inner: Arc<Inner>, stop: CancellationToken) -> anyhow::Result<()> {
    let (client, mut connection) = connect(&inner);
    let mut clock = tokio::time::interval(EVERY);
    let mut returned = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = clock.tick() => {
                if returned.elapsed() > PATIENCE {
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
