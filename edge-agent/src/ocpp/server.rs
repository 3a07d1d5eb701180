//! The stations' door: TCP, HTTP upgrade, login, subprotocol. OCPP-J 1.6 §3.
//!
//! hyper carries the handshake and hands the socket over: a connection then costs one small task and 4 KiB buffers.
//! Unknown stations get 404 (errata-J 3.4), wrong passwords 401. A station that offers no version of ours is upgraded
//! without one and closed at once (§3.2).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::counter;
use percent_encoding::percent_decode_str;
use shared::id::StationId;
use shared::model::event::SecurityNoticed;
use shared::ocpp::v16::SUBPROTOCOL;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tokio_util::sync::CancellationToken;

use super::admit::Admitted;
use super::caps::{Caps, Place};
use super::credentials::Directory;
use super::door::{self, Certified, Door, Entered};
use super::link::{Link, ORDERS, Settings};
use super::presence::{Arrival, Presence};
use super::upgrade::{self, Offer, Upgrade};
use crate::clock::Clock;
use crate::core::{Input, LinkId, Suspicion};
use crate::frames::FrameLog;
use crate::site::Message;

/// How long a handshake may take (slowloris).
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The largest request head.
const HEAD_BYTES: usize = 8 * 1024;
/// A reconnect storm waits in the kernel, not in retransmitted handshakes.
const BACKLOG: u32 = 4096;

/// The door.
pub struct Server {
    /// Who may come in.
    pub directory: Arc<Directory>,
    /// Who is here.
    pub presence: Presence,
    /// Where connections report.
    pub site: mpsc::Sender<Message>,
    /// What they go by.
    pub settings: Arc<Settings>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Who may take how much.
    pub caps: Arc<Caps>,
    /// Where what is said is logged.
    pub frames: FrameLog,
    /// Bytes of a message at most.
    pub max_message_bytes: usize,
    /// Places for stations that wait for a decision.
    pub waiting: Arc<Semaphore>,
    /// Numbers the connections of this process.
    pub next_link: AtomicU64,
}

/// Opens the listening socket.
pub fn listen(address: &str) -> std::io::Result<TcpListener> {
    let address: SocketAddr = address
        .parse()
        .map_err(|_| std::io::Error::other(format!("{address:?} is no address such as 0.0.0.0:9000")))?;
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts at a door until `stop`. Connections that run are ended by the site when it closes their orders.
pub async fn serve(server: Arc<Server>, door: Door, listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((socket, from)) => accept(&server, &door, socket, from),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn accept(server: &Arc<Server>, door: &Door, socket: TcpStream, from: SocketAddr) {
    let Some(place) = server.caps.enter(from.ip()) else {
        counter!("edge_logins_total", "result" => "full").increment(1);
        return;
    };
    let _ = socket.set_nodelay(true);
    let Ok(reached_at) = socket.local_addr() else { return };
    let (server, door) = (server.clone(), door.clone());
    tokio::spawn(async move {
        let knock = |certified| Knock {
            profile: door.profile(),
            from: from.ip(),
            reached_at: reached_at.ip(),
            certified,
        };
        match &door {
            Door::Plain => converse(server, socket, knock(None), place).await,
            Door::Tls(acceptor) | Door::Mutual(acceptor) => match door::enter(acceptor, socket).await {
                Ok(Entered { stream, certified }) => {
                    // The handshake's state is large and over.
                    tokio::spawn(converse(server, stream, knock(certified), place));
                }
                Err(error) => {
                    counter!("edge_logins_total", "result" => "tls").increment(1);
                    tracing::info!(%from, %error, "a TLS handshake failed");
                }
            },
        }
    });
}

/// The answer to somebody who is not let in.
pub(super) type Refusal = Box<Response<Body>>;

/// Who knocked, and where.
#[derive(Clone)]
pub(super) struct Knock {
    pub(super) profile: u8,
    pub(super) from: IpAddr,
    /// Our address that he came to.
    pub(super) reached_at: IpAddr,
    /// The certificate that was shown.
    pub(super) certified: Option<Certified>,
}

/// Who has come in.
struct Guest {
    station: StationId,
    knock: Knock,
    admitted: Admitted,
}

async fn converse<S>(server: Arc<Server>, socket: S, knock: Knock, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let place = Arc::new(std::sync::Mutex::new(Some(place)));
    let from = knock.from;
    let service = hyper::service::service_fn(move |request| {
        let (server, place, knock) = (server.clone(), place.clone(), knock.clone());
        async move { Ok::<_, std::convert::Infallible>(server.answer(request, knock, &place).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%from, %error, "a handshake failed");
    }
}

type Taken = Arc<std::sync::Mutex<Option<Place>>>;

impl Server {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        knock: Knock,
        place: &Taken,
    ) -> Response<Body> {
        let Some(identity) = identity(request.uri().path()) else {
            return refuse(StatusCode::NOT_FOUND, "no_such_path", "stations connect to /ocpp/{identity}");
        };
        if !self.caps.may_knock(&identity, knock.from, self.clock.mono_ms()) {
            return refuse(
                StatusCode::TOO_MANY_REQUESTS,
                "too_often",
                "too many connections of this station",
            );
        }
        let admitted = match self.admit(&identity, &knock, request.headers()).await {
            Ok(admitted) => admitted,
            Err(refusal) => return *refusal,
        };
        let from = knock.from;
        let upgrade = match upgrade::read(request.headers(), &self.directory.habits(&identity).quirks) {
            Ok(upgrade) => upgrade,
            Err(reason) => {
                self.suspect(&identity, upgrade::suspicion(request.headers(), reason));
                return refuse(StatusCode::BAD_REQUEST, "no_upgrade", reason);
            }
        };
        if let Arrival::Held { tell } = self.presence.arrive(&identity, from, self.clock.mono_ms()).await {
            self.held(identity, from, tell).await;
            return refuse(StatusCode::CONFLICT, "duplicate", "this station is connected already");
        }
        let place = place.lock().ok().and_then(|mut place| place.take());
        tracing::debug!(station = %identity, %from, profile = knock.profile, "station logged in");
        self.welcome(request, Guest { station: identity, knock, admitted }, upgrade, place)
    }

    /// Tells an operator of two boxes with one identity, or of a copied password.
    async fn held(&self, station: StationId, from: IpAddr, tell: bool) {
        tracing::warn!(%station, %from, "a second connection in the name of a station that is here was held off");
        if tell {
            let noticed = SecurityNoticed {
                station: Some(station),
                what: "duplicate_identity".into(),
                detail: format!("a second connection from {from} logged in as this station and was held off"),
                at: self.clock.now(),
            };
            let _ = self.site.send(Message::Input(Input::Noticed(noticed))).await;
        }
    }

    /// A station seems to have its own way: an operator may want to know.
    fn suspect(&self, station: &StationId, suspicion: Option<Suspicion>) {
        let Some(suspicion) = suspicion else { return };
        // A full inbox has better things to do, and the station comes again.
        let _ = self.site.try_send(Message::Input(Input::Suspected { station: station.clone(), suspicion }));
    }

    fn welcome(
        self: Arc<Self>,
        request: Request<Incoming>,
        guest: Guest,
        upgrade: Upgrade,
        place: Option<Place>,
    ) -> Response<Body> {
        let Upgrade { accept, offer } = upgrade;
        let upgraded = hyper::upgrade::on(request);
        tokio::spawn(async move {
            let Ok(socket) = upgraded.await else { return };
            let config = WebSocketConfig::default()
                .read_buffer_size(4096)
                .write_buffer_size(0)
                .max_message_size(Some(self.max_message_bytes))
                .max_frame_size(Some(self.max_message_bytes));
            let ws = WebSocketStream::from_raw_socket(TokioIo::new(socket), Role::Server, Some(config)).await;
            // The connection is a task of its own: this one's handshake state would stay with it for life.
            tokio::spawn(self.connect(guest, ws, offer, place));
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if offer == Offer::Ours {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }
        response
    }

    async fn connect(
        self: Arc<Self>,
        guest: Guest,
        mut ws: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
        offer: Offer,
        _place: Option<Place>,
    ) {
        let Guest { station, knock, admitted } = guest;
        if matches!(offer, Offer::Nothing | Offer::Others) {
            self.suspect(&station, offer.suspicion());
            counter!("edge_logins_total", "result" => "no_common_version").increment(1);
            tracing::info!(%station, "the station offers no OCPP version that is spoken here");
            let frame =
                CloseFrame { code: CloseCode::Protocol, reason: "offer the subprotocol ocpp1.6".into() };
            let _ = tokio::time::timeout(HANDSHAKE, ws.close(Some(frame))).await;
            return;
        }
        counter!("edge_logins_total", "result" => "welcome").increment(1);
        let id = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (orders, from_site) = mpsc::channel(ORDERS);
        tracing::debug!(%station, "station connected");
        self.presence.enter(station.clone(), id, knock.from, &orders, self.clock.mono_ms());
        let Admitted { credential, entrance } = admitted;
        let (visitor, _place) = entrance.map(|it| (it.visitor, it.place)).unzip();
        let arrival = crate::core::Arrival {
            profile: knock.profile,
            reached_at: knock.reached_at,
            credential: credential.map(|credential| credential.to_string()),
            certificate: knock.certified.map(|certified| certified.certificate),
        };
        let up = Message::LinkUp { station: station.clone(), link: id, arrival, visitor, orders };
        if self.site.send(up).await.is_err() {
            return;
        }
        let link = Link {
            id,
            station: station.clone(),
            ws,
            site: self.site.clone(),
            orders: from_site,
            settings: self.settings.clone(),
            directory: self.directory.clone(),
            clock: self.clock.clone(),
            tap: self.frames.tap(station.clone(), id.0, self.clock.now()),
        };
        link.run().await;
        self.presence.leave(&station, id);
    }
}

/// The station that a path names.
fn identity(path: &str) -> Option<StationId> {
    let encoded = path.strip_prefix("/ocpp/")?;
    let text = percent_decode_str(encoded).decode_utf8().ok()?;
    StationId::new(text).ok()
}

pub(super) fn refuse(status: StatusCode, result: &'static str, reason: &'static str) -> Response<Body> {
    counter!("edge_logins_total", "result" => result).increment(1);
    let mut response = Response::new(Body::from(format!("{reason}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_percent_decoded_and_checked() {
        assert_eq!(identity("/ocpp/CP%20").map(|s| s.to_string()), None);
        assert_eq!(identity("/ocpp/DE%2AABC").unwrap().as_str(), "DE*ABC");
        assert_eq!(identity("/ocpp/"), None);
        assert_eq!(identity("/other/CP1"), None);
        assert_eq!(identity("/ocpp/a/b"), None);
    }
}
