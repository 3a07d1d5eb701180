//! The MQTT client: one task that only polls, with its own back-off.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AsyncClient, EventLoop, Incoming, MqttOptions, Outgoing, SubAck, SubscribeReasonCode, TlsConfiguration,
    Transport,
};
use shared::sync::MAX_FRAME_BYTES;
use shared::sync::address::{BrokerAddress, brokers};
use tokio::sync::mpsc;

use crate::config;
use crate::enroll::Identity;

/// Publishes and subscriptions that may wait for the socket.
const QUEUE: usize = 32;
/// Room for a frame's MQTT header.
const HEADER: usize = 1024;
/// The first wait after a lost connection, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(15));

/// What the connection tells.
#[derive(Debug)]
pub enum Event {
    /// The broker took us in.
    Connected,
    /// Our subscription stands.
    Subscribed,
    /// The connection is gone.
    Disconnected,
    /// A message came.
    Received {
        /// On which topic.
        topic: String,
        /// What.
        payload: Bytes,
    },
}

/// The way to the brokers.
pub(super) struct Line {
    /// What to say.
    pub(super) client: AsyncClient,
    /// What happens.
    pub(super) events: mpsc::Receiver<Event>,
    /// Take another broker, if there is one.
    pub(super) elsewhere: mpsc::Sender<()>,
}

/// Starts the client. It reconnects for ever.
pub(super) fn connect(identity: &Identity, config: &config::Sync) -> anyhow::Result<Line> {
    let brokers = brokers(config.mqtt_url.as_deref().unwrap_or(&identity.mqtt_url))?;
    let tls = brokers.iter().any(|it| it.tls).then(|| crate::tls::client(config.ca_file.as_deref()));
    let tls = tls.transpose()?;
    let options = |broker: &BrokerAddress| {
        let name = identity.gateway.to_string();
        let mut options = MqttOptions::new(&name, &broker.host, broker.port);
        options
            .set_credentials(&name, &identity.secret)
            .set_clean_session(true)
            .set_keep_alive(Duration::from_secs(20))
            .set_max_packet_size(MAX_FRAME_BYTES + HEADER, MAX_FRAME_BYTES + HEADER);
        if let Some(tls) = &tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls.clone())));
        }
        options
    };
    let mut all: Vec<MqttOptions> = brokers.iter().map(options).collect();
    // Gateways spread over a cluster.
    let turn = usize::from(identity.gateway.0.as_bytes()[0]) % all.len();
    all.rotate_left(turn);
    let (client, mut event_loop) = AsyncClient::new(all[0].clone(), QUEUE);
    // A small frame must not wait 40 ms for the acknowledgement of the one before.
    event_loop.network_options.set_tcp_nodelay(true);
    let (told, events) = mpsc::channel(256);
    let (elsewhere, wishes) = mpsc::channel(1);
    tokio::spawn(poll(event_loop, all, told, wishes));
    Ok(Line { client, events, elsewhere })
}

/// Polls for ever; a broker that is gone is tried again after the others of its cluster.
async fn poll(
    mut event_loop: EventLoop,
    brokers: Vec<MqttOptions>,
    events: mpsc::Sender<Event>,
    mut elsewhere: mpsc::Receiver<()>,
) {
    let mut wait = BACK_OFF.0;
    let mut up = false;
    let mut others = brokers.iter().cycle().skip(1);
    loop {
        let happened = tokio::select! {
            happened = event_loop.poll() => Some(happened),
            Some(()) = elsewhere.recv(), if brokers.len() > 1 => None,
        };
        // Nothing: this broker is left.
        let event = match happened {
            None => {
                tracing::warn!("nobody answers over this broker; trying another one");
                None
            }
            Some(Ok(rumqttc::Event::Incoming(Incoming::ConnAck(_)))) => {
                up = true;
                tracing::info!("connected to the broker");
                Some(Event::Connected)
            }
            // A node of a cluster that has lost its fellows may refuse, and would never send us anything.
            Some(Ok(rumqttc::Event::Incoming(Incoming::SubAck(answer)))) if is_refused(&answer) => {
                tracing::warn!("the broker refused our subscription; trying another connection");
                None
            }
            Some(Ok(rumqttc::Event::Incoming(Incoming::SubAck(_)))) => {
                wait = BACK_OFF.0;
                Some(Event::Subscribed)
            }
            Some(Ok(rumqttc::Event::Incoming(Incoming::Publish(publish)))) => {
                Some(Event::Received { topic: publish.topic, payload: publish.payload })
            }
            Some(Ok(rumqttc::Event::Incoming(_) | rumqttc::Event::Outgoing(Outgoing::Publish(_)))) => {
                continue;
            }
            Some(Ok(rumqttc::Event::Outgoing(_))) => continue,
            Some(Err(error)) => {
                if up {
                    tracing::warn!(%error, "the broker is gone; charging goes on");
                } else {
                    tracing::debug!(%error, "the broker is not there");
                }
                None
            }
        };
        let is_left = event.is_none();
        let news = event.or_else(|| std::mem::take(&mut up).then_some(Event::Disconnected));
        if let Some(news) = news
            && events.send(news).await.is_err()
        {
            return;
        }
        if is_left {
            event_loop.clean();
            event_loop.mqtt_options.clone_from(others.next().expect("there is at least one"));
            tokio::time::sleep(jittered(wait)).await;
            wait = (wait * 2).min(BACK_OFF.1);
        }
    }
}

fn is_refused(answer: &SubAck) -> bool {
    answer.return_codes.contains(&SubscribeReasonCode::Failure)
}

/// Between half and all of it, so that a site full of gateways does not return in step.
fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 2];
    getrandom::fill(&mut random).unwrap_or_default();
    wait / 2 + wait / 2 * u32::from(u16::from_le_bytes(random)) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use rumqttc::QoS;
    use shared::id::{GatewayId, Shard};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use uuid::Uuid;

    use super::*;

    const CONNECTED: [u8; 4] = [0x20, 2, 0, 0];
    const REFUSED: u8 = 0x80;

    fn identity(mqtt_url: String) -> Identity {
        let secret = "secret".into();
        // Its first byte says where in a cluster it begins.
        let gateway = GatewayId(Uuid::from_u128(1 << 120));
        Identity { gateway, shard: Shard(1), secret, mqtt_url, cloud_url: None }
    }

    /// A broker that takes one client in and refuses its subscription, or not.
    async fn broker(listener: &TcpListener, answer: u8) -> tokio::net::TcpStream {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut packet = [0; 512];
        let _hello = socket.read(&mut packet).await.unwrap();
        socket.write_all(&CONNECTED).await.unwrap();
        let _subscription = socket.read(&mut packet).await.unwrap();
        socket.write_all(&[0x90, 3, packet[2], packet[3], answer]).await.unwrap();
        socket
    }

    #[tokio::test]
    async fn a_refused_subscription_is_tried_on_another_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let identity = identity(format!("mqtt://{}", listener.local_addr().unwrap()));
        let config = config::Config::load(None).unwrap().sync;
        let Line { client, mut events, elsewhere: _elsewhere } = connect(&identity, &config).unwrap();
        let brokers = tokio::spawn(async move {
            let refusing = broker(&listener, REFUSED).await;
            (refusing, broker(&listener, 1).await)
        });
        for subscribed in [false, true] {
            assert!(matches!(events.recv().await, Some(Event::Connected)));
            client.subscribe("down/#", QoS::AtLeastOnce).await.unwrap();
            let next = events.recv().await;
            let as_wanted = matches!(
                (&next, subscribed),
                (Some(Event::Disconnected), false) | (Some(Event::Subscribed), true)
            );
            assert!(as_wanted, "{next:?}");
        }
        drop(brokers.await.unwrap());
    }

    #[tokio::test]
    async fn a_broker_that_is_cut_off_is_left_for_another_one() {
        let listeners = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let urls = listeners.each_ref().map(|it| format!("mqtt://{}", it.local_addr().unwrap()));
        let config = config::Config::load(None).unwrap().sync;
        let Line { client, mut events, elsewhere } = connect(&identity(urls.join(",")), &config).unwrap();
        for listener in listeners.iter().cycle().skip(1).take(3) {
            let subscribing = async {
                assert!(matches!(events.recv().await, Some(Event::Connected)));
                client.subscribe("down/#", QoS::AtMostOnce).await.unwrap();
                assert!(matches!(events.recv().await, Some(Event::Subscribed)));
                elsewhere.send(()).await.unwrap();
                assert!(matches!(events.recv().await, Some(Event::Disconnected)));
            };
            tokio::join!(broker(listener, 0), subscribing);
        }
    }
}
