//! One client behind the gate: CONNECT is written anew for the broker, then packets are relayed, each one looked at.
//!
//! The client gets an id of its own at the broker and always a clean session: rumqttd then never meets the same id twice, and
//! keeps nothing for the absent. What only the gate may answer (a refused SUBSCRIBE) goes through the same queue as what the
//! broker says, so that packets never mix.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use shared::sync::MAX_FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::acl::Client;
use super::gate::{Door, Refusal, handshake_time, refused};
use super::packet::{self, Bounds, Connect, HEADROOM, kind};

const CONNECT_LIMIT: usize = 16 * 1024;
const PACKET_LIMIT: usize = MAX_FRAME_BYTES + HEADROOM;
const LONGEST_KEEP_ALIVE: u16 = 600;
/// A client that takes nothing for so long is gone.
const WRITE_STALL: Duration = Duration::from_secs(15);
const QUEUE: usize = 64;
const READ_CHUNK: usize = 4096;

/// A plain or encrypted connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    /// It is over, nobody did wrong.
    #[error("closed")]
    Closed,
    /// Silent, or not reading.
    #[error("{0}")]
    Stalled(&'static str),
    /// Broke the rules.
    #[error("{0}")]
    Violation(&'static str),
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        End::Closed
    }
}

impl From<packet::Malformed> for End {
    fn from(malformed: packet::Malformed) -> Self {
        End::Violation(malformed.0)
    }
}

/// Serves a client until one side ends it.
pub(super) async fn serve(door: &Door, mut stream: Box<dyn Stream>, peer: SocketAddr) {
    let mut buffer = BytesMut::with_capacity(READ_CHUNK);
    let connect = match timeout(handshake_time(), read_connect(&mut stream, &mut buffer)).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(_)) | Err(_) => return refused("handshake"),
    };
    let admitted = match connect {
        Some(connect) => door.identify(&connect).await.map(|client| (client, connect)),
        None => Err(Refusal::Protocol),
    };
    match admitted {
        Ok((client, connect)) => admit(door, stream, buffer, client, connect, peer).await,
        Err(refusal) => {
            refused(refusal.name());
            tracing::debug!(%peer, reason = refusal.name(), "not let in");
            refuse(&mut stream, refusal).await;
        }
    }
}

async fn refuse(stream: &mut Box<dyn Stream>, refusal: Refusal) {
    let answer = async {
        stream.write_all(&packet::connack(refusal.code())).await?;
        stream.shutdown().await
    };
    timeout(WRITE_STALL, answer).await.ok();
}

async fn read_connect(stream: &mut Box<dyn Stream>, buffer: &mut BytesMut) -> Result<Option<Connect>, End> {
    // The first byte tells a stranger at once: no need to wait for the packet that it announces.
    if stream.read_buf(buffer).await? == 0 || buffer[0] != kind::CONNECT << 4 {
        return Err(End::Violation("first packet"));
    }
    let (_, packet) = next_packet(stream, buffer, CONNECT_LIMIT).await?;
    Ok(packet::connect(&packet.body)?)
}

async fn admit(
    door: &Door,
    mut stream: Box<dyn Stream>,
    buffer: BytesMut,
    client: Client,
    connect: Connect,
    peer: SocketAddr,
) {
    if connect
        .will
        .as_ref()
        .is_some_and(|will| will.retain || will.qos > 1 || !client.may_publish(&will.topic))
    {
        refused("will");
        return refuse(&mut stream, Refusal::Revoked).await;
    }
    let seat = match client {
        Client::Gateway(id, _) => door.registry.enter(Some(id)),
        Client::Replica => door.registry.enter(None),
    };
    let keep_alive = match connect.keep_alive {
        0 => LONGEST_KEEP_ALIVE,
        asked => asked.min(LONGEST_KEEP_ALIVE),
    };
    let inside = match open_inside(door, &connect, seat.serial, keep_alive).await {
        Ok(inside) => inside,
        Err(_) => {
            refused("broker");
            return refuse(&mut stream, Refusal::Unavailable).await;
        }
    };
    let relay = relay(stream, inside, buffer, client, keep_alive);
    match seat.ended.run_until_cancelled(relay).await {
        None => tracing::info!(?client, "displaced or revoked"),
        Some(End::Closed) => {}
        Some(End::Stalled(how)) => {
            refused("stalled");
            tracing::info!(?client, %peer, how, "cut off");
        }
        Some(End::Violation(what)) => tracing::warn!(?client, %peer, what, "cut off"),
    }
}

/// Logs in at the broker. In a task of its own: rumqttd's listener can be left broken by a client that vanishes between
/// CONNECT and CONNACK, so this one stays to the end even when ours does not.
async fn open_inside(door: &Door, connect: &Connect, serial: u64, keep_alive: u16) -> Result<TcpStream, End> {
    let address = door.inner.address;
    let (username, password) = door.inner.credentials();
    let packet = packet::write_connect(&Connect {
        client_id: format!("{}-{serial}", clean(&connect.client_id)),
        keep_alive,
        will: connect.will.clone(),
        username: Some(username.into()),
        password: Some(password.into()),
    });
    let login = async move {
        let mut inside = TcpStream::connect(address).await?;
        inside.set_nodelay(true)?;
        inside.write_all(&packet).await?;
        let mut answer = [0; 4];
        inside.read_exact(&mut answer).await?;
        if answer == packet::connack(0)[..] { Ok(inside) } else { Err(End::Closed) }
    };
    match tokio::spawn(timeout(handshake_time(), login)).await {
        Ok(Ok(inside)) => inside,
        Ok(Err(_)) | Err(_) => Err(End::Stalled("the broker does not answer")),
    }
}

/// rumqttd breaks on some characters in client ids.
fn clean(client_id: &str) -> String {
    client_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

async fn relay(
    stream: Box<dyn Stream>,
    inside: TcpStream,
    buffer: BytesMut,
    client: Client,
    keep_alive: u16,
) -> End {
    let (from_client, to_client) = split(stream);
    let (from_broker, to_broker) = inside.into_split();
    let (queue, queued) = mpsc::channel(QUEUE);
    queue.try_send(Bytes::from(packet::connack(0))).expect("the queue is new and empty");
    let silence = Duration::from_secs(u64::from(keep_alive) * 3 / 2 + 1);
    tokio::select! {
        end = upward(from_client, to_broker, buffer, client, silence, queue.clone()) => end,
        end = downward(from_broker, queue) => end,
        end = write_out(to_client, queued) => end,
    }
}

/// Client to broker: every packet is judged.
async fn upward(
    mut from: ReadHalf<Box<dyn Stream>>,
    mut to: OwnedWriteHalf,
    mut buffer: BytesMut,
    client: Client,
    silence: Duration,
    answers: mpsc::Sender<Bytes>,
) -> End {
    let pump = async {
        loop {
            let next = timeout(silence, next_packet(&mut from, &mut buffer, PACKET_LIMIT)).await;
            let (first, packet) = next.map_err(|_| End::Stalled("silent"))??;
            match judge(client, first, &packet.body)? {
                Pass::On => timeout(WRITE_STALL, to.write_all(&packet.whole))
                    .await
                    .map_err(|_| End::Stalled("the broker takes nothing"))??,
                Pass::Answer(answer) => answers.send(answer).await.map_err(|_| End::Closed)?,
                Pass::Goodbye => {
                    to.write_all(&packet.whole).await?;
                    return Err::<(), End>(End::Closed);
                }
            }
        }
    };
    pump.await.err().unwrap_or(End::Closed)
}

/// What becomes of a packet.
#[derive(Debug)]
enum Pass {
    On,
    Answer(Bytes),
    Goodbye,
}

fn judge(client: Client, first: u8, body: &[u8]) -> Result<Pass, End> {
    match first >> 4 {
        kind::PUBLISH => {
            let publish = packet::publish(first, body)?;
            if publish.retain || publish.qos > 1 || !client.may_publish(publish.topic) {
                refused("publish");
                return Err(End::Violation("publish"));
            }
            Ok(Pass::On)
        }
        kind::SUBSCRIBE => {
            let (id, filters) = packet::subscribe(first, body)?;
            if filters.iter().all(|filter| client.may_subscribe(filter)) {
                return Ok(Pass::On);
            }
            refused("subscribe");
            Ok(Pass::Answer(packet::suback_refused(id, filters.len()).into()))
        }
        kind::UNSUBSCRIBE => {
            let (_, filters) = packet::unsubscribe(first, body)?;
            if filters.iter().all(|filter| client.may_subscribe(filter)) {
                return Ok(Pass::On);
            }
            refused("subscribe");
            Err(End::Violation("unsubscribe"))
        }
        kind::PUBACK | kind::PINGREQ => Ok(Pass::On),
        kind::DISCONNECT => Ok(Pass::Goodbye),
        _ => {
            refused("packet");
            Err(End::Violation("packet type"))
        }
    }
}

/// Broker to client, whole packets.
async fn downward(mut from: OwnedReadHalf, queue: mpsc::Sender<Bytes>) -> End {
    let mut buffer = BytesMut::with_capacity(READ_CHUNK);
    loop {
        // rumqttd leaves Nagle's algorithm on: what it writes second waits until we acknowledge the first, 40 ms by default.
        // The kernel forgets this setting, hence each time.
        from.as_ref().set_quickack(true).ok();
        match next_packet(&mut from, &mut buffer, PACKET_LIMIT).await {
            Ok((_, packet)) => {
                if queue.send(packet.whole).await.is_err() {
                    return End::Closed;
                }
            }
            Err(end) => return end,
        }
    }
}

async fn write_out(mut to: WriteHalf<Box<dyn Stream>>, mut queued: mpsc::Receiver<Bytes>) -> End {
    while let Some(packet) = queued.recv().await {
        let written = async {
            to.write_all(&packet).await?;
            if queued.is_empty() { to.flush().await } else { Ok(()) }
        };
        match timeout(WRITE_STALL, written).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Closed,
            Err(_) => return End::Stalled("takes nothing"),
        }
    }
    End::Closed
}

/// A packet as it came, and the part of it after the fixed header.
struct Packet {
    whole: Bytes,
    body: Bytes,
}

async fn next_packet(
    from: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    limit: usize,
) -> Result<(u8, Packet), End> {
    loop {
        if let Some(Bounds { body, end }) = packet::bounds(buffer, limit)?
            && buffer.len() >= end
        {
            let whole = buffer.split_to(end).freeze();
            let body = whole.slice(body..);
            return Ok((whole[0], Packet { whole, body }));
        }
        buffer.reserve(READ_CHUNK);
        if from.read_buf(buffer).await? == 0 {
            return Err(End::Closed);
        }
    }
}
