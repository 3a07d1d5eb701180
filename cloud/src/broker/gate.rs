//! The door to the embedded broker: accepts, checks who comes, and hands over to a [`connection`](super::connection).
//!
//! Each connection is its own task with a deadline for its handshake, so that no silent client delays another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::id::GatewayId;
use sqlx::PgPool;
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::acl::Client;
use super::connection::{self, Stream};
use super::inner::Inner;
use super::packet::Connect;
use super::registry::Registry;
use super::tls;
use crate::config::{Mqtt, Secret};
use crate::db::gateway as rows;

/// For TLS and CONNECT together.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The listening gate.
pub(super) struct Gate {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    look_for_revoked: Duration,
    door: Arc<Door>,
}

/// What every connection needs of the gate.
pub(super) struct Door {
    pub(super) db: PgPool,
    pub(super) inner: Arc<Inner>,
    pub(super) registry: Registry,
    replicas: Option<(String, Secret)>,
}

/// Why somebody is not let in, with MQTT's code for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Protocol,
    ClientId,
    Unavailable,
    BadLogin,
    Revoked,
}

impl Refusal {
    /// CONNACK return code (MQTT 3.1.1 §3.2.2.3).
    pub(super) fn code(self) -> u8 {
        match self {
            Refusal::Protocol => 1,
            Refusal::ClientId => 2,
            Refusal::Unavailable => 3,
            Refusal::BadLogin => 4,
            Refusal::Revoked => 5,
        }
    }

    /// The name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::Protocol => "protocol",
            Refusal::ClientId => "client_id",
            Refusal::Unavailable => "unavailable",
            Refusal::BadLogin => "login",
            Refusal::Revoked => "revoked",
        }
    }
}

impl Gate {
    pub(super) async fn bind(config: &Mqtt, db: PgPool, inner: Arc<Inner>) -> anyhow::Result<Self> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => Some(tls::acceptor(cert, key)?),
            _ => None,
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("mqtt.listen {}", config.listen))?;
        let replicas = config.password.clone().map(|password| (config.username.clone(), password));
        let door = Arc::new(Door { db, inner, registry: Registry::default(), replicas });
        let places = Arc::new(Semaphore::new(config.max_connections));
        let look_for_revoked = Duration::from_secs(config.cut_off_revoked_seconds.get());
        Ok(Self { listener, tls, places, look_for_revoked, door })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound listener has an address")
    }

    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(self.look_for_revoked);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = look.tick() => { tokio::spawn(cut_off_revoked(Arc::clone(&self.door))); }
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, peer)) => self.welcome(socket, peer, &stop),
                    Err(error) => {
                        // Out of file descriptors, most likely: give others time to close some.
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }

    fn welcome(&self, socket: TcpStream, peer: SocketAddr, stop: &CancellationToken) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            refused("full");
            return;
        };
        let (door, tls) = (Arc::clone(&self.door), self.tls.clone());
        let served = async move {
            let Some(stream) = secure(socket, tls).await else { return refused("handshake") };
            connection::serve(&door, stream, peer).await;
            drop(place);
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(served));
    }
}

/// Counts what was not let through.
pub(super) fn refused(reason: &'static str) {
    metrics::counter!("gate_refused_total", "reason" => reason).increment(1);
}

pub(super) const fn handshake_time() -> Duration {
    HANDSHAKE
}

async fn secure(socket: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    socket.set_nodelay(true).ok()?;
    match tls {
        None => Some(Box::new(socket)),
        Some(acceptor) => {
            let stream = timeout(HANDSHAKE, acceptor.accept(socket)).await.ok()?.ok()?;
            Some(Box::new(stream))
        }
    }
}

impl Door {
    /// Who is it? Asks the database each time: a revoked gateway does not come in again.
    pub(super) async fn identify(&self, connect: &Connect) -> Result<Client, Refusal> {
        let (Some(username), Some(password)) = (&connect.username, &connect.password) else {
            return Err(Refusal::BadLogin);
        };
        if let Some((name, secret)) = &self.replicas
            && name == username
        {
            let right = bool::from(secret.expose().as_bytes().ct_eq(password));
            return if right { Ok(Client::Replica) } else { Err(Refusal::BadLogin) };
        }
        let id: GatewayId = username.parse().map_err(|_| Refusal::BadLogin)?;
        if connect.client_id != id.to_string() || connect.client_id != *username {
            return Err(Refusal::ClientId);
        }
        let found = rows::find(&self.db, id).await.map_err(|error| {
            tracing::warn!(%error, "a login cannot be checked");
            Refusal::Unavailable
        })?;
        // Unknown and wrong look the same from outside, and take the same work but for the lookup.
        let secret = URL_SAFE_NO_PAD.decode(password).map_err(|_| Refusal::BadLogin)?;
        let gateway = found.filter(|gateway| gateway.key.fits(&secret)).ok_or(Refusal::BadLogin)?;
        if gateway.revoked { Err(Refusal::Revoked) } else { Ok(Client::Gateway(id, gateway.shard)) }
    }
}

async fn cut_off_revoked(door: Arc<Door>) {
    match rows::no_longer_valid(&door.db, &door.registry.gateways()).await {
        Ok(revoked) => revoked.into_iter().for_each(|id| door.registry.cut_off(GatewayId(id))),
        Err(error) => tracing::warn!(%error, "revoked gateways cannot be looked up"),
    }
}
