//! A TCP proxy that misbehaves on request: the internet between the edge and the cloud, under our control.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BETWEEN_BYTES: Duration = Duration::from_millis(1);

/// What the proxy does to the traffic.
#[derive(Clone, Debug)]
struct Weather {
    target: SocketAddr,
    cut: bool,
    stalled: bool,
    delay: Duration,
    dribble: bool,
    drop_after: Option<u64>,
}

impl Weather {
    fn fair(target: SocketAddr) -> Self {
        Self { target, cut: false, stalled: false, delay: Duration::ZERO, dribble: false, drop_after: None }
    }
}

/// A listening proxy; it and all its connections end with this value.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    traffic: Arc<Traffic>,
    accepting: JoinHandle<()>,
}

/// What went through so far.
#[derive(Debug, Default)]
struct Traffic {
    bytes: AtomicU64,
    dropped: AtomicU64,
}

impl Proxy {
    /// Listens on a free loopback port and forwards to `target`.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let weather = watch::Sender::new(Weather::fair(target));
        let traffic = Arc::new(Traffic::default());
        let accepting = tokio::spawn(accept(listener, weather.subscribe(), traffic.clone()));
        Ok(Self { address, weather, traffic, accepting })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes forwarded so far, both ways.
    pub fn forwarded(&self) -> u64 {
        self.traffic.bytes.load(Ordering::Relaxed)
    }

    /// Connections that [`Self::drop_after`] has closed so far.
    pub fn dropped(&self) -> u64 {
        self.traffic.dropped.load(Ordering::Relaxed)
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cut = true);
    }

    /// Undoes every fault.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| *weather = Weather::fair(weather.target));
    }

    /// Keeps connections open but forwards nothing, as a dead radio link does.
    pub fn stall(&self) {
        self.weather.send_modify(|weather| weather.stalled = true);
    }

    /// Holds every piece of data back for `delay`.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Forwards every byte by itself, each after a moment.
    pub fn dribble(&self) {
        self.weather.send_modify(|weather| weather.dribble = true);
    }

    /// Closes each new connection after `bytes` towards the target, mid-frame if it so falls.
    pub fn drop_after(&self, bytes: u64) {
        self.weather.send_modify(|weather| weather.drop_after = Some(bytes));
    }

    /// Forwards new connections to another address.
    pub fn retarget(&self, target: SocketAddr) {
        self.weather.send_modify(|weather| weather.target = target);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, weather: watch::Receiver<Weather>, traffic: Arc<Traffic>) {
    while let Ok((client, _)) = listener.accept().await {
        let now = weather.borrow().clone();
        if now.cut {
            continue;
        }
        let (weather, traffic) = (weather.clone(), traffic.clone());
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(now.target).await else { return };
            // Delays are ours to make, not Nagle's.
            if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
                return;
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            // When one direction ends, so does the other: half-open connections are not what we test.
            tokio::select! {
                () = pump(from_client, to_server, weather.clone(), now.drop_after, &traffic) => {}
                () = pump(from_server, to_client, weather, None, &traffic) => {}
            }
        });
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    mut allowance: Option<u64>,
    traffic: &Traffic,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            cut = weather.wait_for(|weather| weather.cut) => { drop(cut); return }
        };
        let Ok(mut length @ 1..) = read else { return };
        let Some((delay, dribble)) = clearance(&mut weather).await else { return };
        tokio::time::sleep(delay).await;
        let last = allowance.is_some_and(|left| left <= length as u64);
        if let Some(left) = &mut allowance {
            length = length.min(usize::try_from(*left).unwrap_or(length));
            *left -= length as u64;
        }
        let piece = if dribble { 1 } else { length.max(1) };
        for piece in buffer[..length].chunks(piece) {
            if to.write_all(piece).await.is_err() {
                return;
            }
            if dribble {
                tokio::time::sleep(BETWEEN_BYTES).await;
            }
        }
        if last {
            traffic.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        traffic.bytes.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Waits while stalled; the delay to apply and whether to dribble, or nothing once cut.
async fn clearance(weather: &mut watch::Receiver<Weather>) -> Option<(Duration, bool)> {
    let now = weather.wait_for(|weather| weather.cut || !weather.stalled).await.ok()?;
    (!now.cut).then_some((now.delay, now.dribble))
}
