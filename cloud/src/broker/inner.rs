//! rumqttd as we run it. It has no shutdown: it ends with the process.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context;
use rumqttd::{Broker, ConnectionSettings, RouterConfig, SegmentConfig, ServerSettings};
use shared::sync::MAX_FRAME_BYTES;
use subtle::ConstantTimeEq;

use super::packet::HEADROOM;
use crate::auth::random_text;

const USER: &str = "inner";
/// Beside the gate's connections: the ingest client, the watchdog, and room while old connections end.
/// rumqttd's listener dies when its limit is reached, so the gate's limit has to bite first.
const SPARE_CONNECTIONS: usize = 64;
/// What rumqttd keeps of one filter for a slow reader, and never frees below. Gateways' filters are many and carry little.
const SMALL_LOG: (usize, usize) = (16 * 1024, 2);
/// The filters of whole shards: a herd of gateways may send a batch each at once.
const SHARD_LOG: (usize, usize) = (4 * 1024 * 1024, 8);

/// How this process reaches its broker.
#[derive(Debug)]
pub struct Inner {
    /// Loopback, a port of its own.
    pub address: SocketAddr,
    /// Known to this process only.
    password: String,
}

impl Inner {
    /// One that somebody else plays.
    #[cfg(test)]
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, password: random_text(32) }
    }

    /// The login that the broker asks for.
    pub fn credentials(&self) -> (&str, &str) {
        (USER, &self.password)
    }

    /// Waits until it takes connections.
    pub(super) async fn reachable(&self) -> anyhow::Result<()> {
        let knock = async {
            while tokio::net::TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), knock)
            .await
            .context("the embedded broker does not listen")
    }
}

pub(super) fn start(max_connections: usize) -> anyhow::Result<Inner> {
    // rumqttd binds by itself and does not tell the port; the short time in which another could take it ends in a failed start.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let password = random_text(32);
    let mut broker = Broker::new(config(address, password.clone(), max_connections));
    std::thread::Builder::new().name("broker".into()).spawn(move || {
        if let Err(error) = broker.start() {
            tracing::error!(%error, "the embedded broker ended");
        }
    })?;
    Ok(Inner { address, password })
}

fn config(address: SocketAddr, password: String, max_connections: usize) -> rumqttd::Config {
    let mut server = ServerSettings {
        name: "inner".into(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: MAX_FRAME_BYTES + HEADROOM,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            // A publish to a topic nobody reads must not cut the publisher's connection.
            dynamic_filters: true,
        },
    };
    server.set_auth_handler(move |_client, user: String, given: String| {
        let right = user == USER && bool::from(given.as_bytes().ct_eq(password.as_bytes()));
        async move { right }
    });
    let router = RouterConfig {
        max_connections: max_connections + SPARE_CONNECTIONS,
        max_outgoing_packet_count: 200,
        max_segment_size: SMALL_LOG.0,
        max_segment_count: SMALL_LOG.1,
        custom_segment: Some(HashMap::from([(
            "evb/v1/+/+/up/+".into(),
            SegmentConfig { max_segment_size: SHARD_LOG.0, max_segment_count: SHARD_LOG.1 },
        )])),
        ..RouterConfig::default()
    };
    rumqttd::Config {
        router,
        v4: Some(HashMap::from([("inner".into(), server)])),
        ..rumqttd::Config::default()
    }
}
