//! GraphQL over WebSocket, in both subprotocols that apps speak: `graphql-transport-ws` and the older `graphql-ws`.
//!
//! Our own, because an answer that a thousand watchers get is written once (`graphql::fanout`), and because every limit is
//! here: time to introduce oneself, size of a message, time to take an answer, and how many of everything (`slots`). One task per connection and one per subscription; the channel between them is bounded, so a slow reader slows
//! only his own subscriptions.

mod dialect;
mod slots;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, interval, timeout};

use tracing::Instrument as _;

use super::{Server, bearer};
use crate::auth::Caller;
use crate::graphql::{self, Event, Incoming};
use dialect::{Dialect, FromClient};
pub(super) use slots::Slots;
use slots::{Full, Slot};

const MAX_MESSAGE: usize = 64 * 1024;
/// Answers waiting for one connection.
const QUEUE: usize = 32;
const INIT_TIME: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// What a client is given to close after us.
const PARTING_TIME: Duration = Duration::from_secs(2);
const SEND_TIME: Duration = Duration::from_secs(10);
/// `graphql-transport-ws` says so of a second introduction; there is no better one.
const TOO_MANY: u16 = 4429;

/// Takes a connection, or says that there are too many.
pub(super) fn open(
    server: &Server,
    upgrade: WebSocketUpgrade,
    address: IpAddr,
    request_id: Option<Arc<str>>,
) -> Response {
    // A balancer may find another replica; whoever is too many himself is told so in his own protocol.
    let Ok(slot) = server.sockets.connection() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n").into_response();
    };
    let server = server.clone();
    upgrade
        .protocols(Dialect::NAMES)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(4096)
        .write_buffer_size(4096)
        .on_upgrade(move |socket| {
            let span = tracing::error_span!("socket", id = request_id.as_deref());
            run(server, socket, (address, request_id), slot).instrument(span)
        })
}

async fn run(
    server: Server,
    mut socket: WebSocket,
    (address, request_id): (IpAddr, Option<Arc<str>>),
    _slot: Slot,
) {
    let Some(dialect) = socket.protocol().and_then(|name| Dialect::from_name(name.as_bytes())) else {
        close(&mut socket, 4406, "Subprotocol not acceptable").await;
        return;
    };
    let _slot = match server.sockets.connection_from(address) {
        Ok(slot) => slot,
        Err(Full(reason)) => return close(&mut socket, TOO_MANY, &reason).await,
    };
    let (out, mut answers) = mpsc::channel(QUEUE);
    let mut connection = Connection {
        server,
        dialect,
        address,
        request_id,
        out,
        token: None,
        user: None,
        ready: false,
        running: HashMap::new(),
    };
    let deadline = tokio::time::sleep(INIT_TIME);
    tokio::pin!(deadline);
    let mut keep_alive = interval(KEEP_ALIVE);
    let mut heard = Instant::now();

    loop {
        let mut step = tokio::select! {
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => connection.take(text.as_str()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Step::Go(None),
                    Some(Ok(Message::Binary(_))) => Step::Close(4400, "Invalid message received".into()),
                    Some(Ok(Message::Close(_))) => Step::Parting,
                    Some(Err(_)) | None => Step::Gone,
                }
            }
            Some(answer) = answers.recv() => connection.pass(answer),
            () = &mut deadline, if !connection.ready => Step::Close(4408, "Connection initialisation timeout".into()),
            _ = keep_alive.tick() => {
                if heard.elapsed() > KEEP_ALIVE * 3 { Step::Gone } else { Step::Go(connection.keep_alive()) }
            }
        };
        if matches!(step, Step::Introduce) {
            step = connection.introduce().await;
        }
        if send(&mut socket, step).await.is_break() {
            break;
        }
    }
    connection.stop_all();
}

/// What a turn of the loop leads to.
enum Step {
    /// Finds out who it is.
    Introduce,
    Go(Option<Message>),
    Close(u16, String),
    /// The client closes.
    Parting,
    Gone,
}

async fn send(socket: &mut WebSocket, step: Step) -> ControlFlow<()> {
    match step {
        Step::Introduce | Step::Go(None) => ControlFlow::Continue(()),
        Step::Go(Some(message)) => match timeout(SEND_TIME, socket.send(message)).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
        },
        Step::Close(code, reason) => {
            close(socket, code, &reason).await;
            ControlFlow::Break(())
        }
        Step::Parting => {
            parted(socket).await;
            ControlFlow::Break(())
        }
        Step::Gone => ControlFlow::Break(()),
    }
}

async fn close(socket: &mut WebSocket, code: u16, reason: &str) {
    let frame = CloseFrame { code, reason: reason.into() };
    if let Ok(Ok(())) = timeout(SEND_TIME, socket.send(Message::Close(Some(frame)))).await {
        parted(socket).await;
    }
}

/// Waits until both sides have closed (RFC 6455 §7.1.1): a connection that is dropped before looks broken to the other side,
/// which may not even get what was sent last.
async fn parted(socket: &mut WebSocket) {
    let end = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = timeout(PARTING_TIME, end).await;
}

/// An answer on its way to the socket: the subscription, and nothing when it is over.
struct Outgoing {
    id: Arc<str>,
    /// Tells a subscription from an earlier one with the same id.
    turn: u64,
    event: Option<Event>,
}

/// A subscription under way, and its place.
struct Running {
    turn: u64,
    task: AbortHandle,
    _slot: Slot,
}

struct Connection {
    server: Server,
    dialect: Dialect,
    address: IpAddr,
    /// Of the request that became a connection; its operations share it.
    request_id: Option<Arc<str>>,
    out: mpsc::Sender<Outgoing>,
    token: Option<String>,
    /// Who introduced himself, and his place.
    user: Option<(i64, Slot)>,
    ready: bool,
    running: HashMap<Arc<str>, Running>,
}

impl Connection {
    fn take(&mut self, text: &str) -> Step {
        let Some(message) = self.dialect.read(text) else {
            return Step::Close(4400, "Invalid message received".into());
        };
        match message {
            FromClient::Init(_) if self.ready => {
                Step::Close(TOO_MANY, "Too many initialisation requests".into())
            }
            FromClient::Init(payload) => {
                self.token = token(&payload);
                Step::Introduce
            }
            FromClient::Ping => text_step(r#"{"type":"pong"}"#.into()),
            FromClient::Pong => Step::Go(None),
            FromClient::Start { .. } if !self.ready => Step::Close(4401, "Unauthorized".into()),
            FromClient::Start { id, .. } if self.running.contains_key(id.as_str()) => {
                Step::Close(4409, format!("Subscriber for {} already exists", short(&id)))
            }
            FromClient::Start { .. } if self.running.len() >= self.server.sockets.per_connection() => {
                let most = self.server.sockets.per_connection();
                Step::Close(TOO_MANY, format!("At most {most} subscriptions per connection"))
            }
            FromClient::Start { id, payload } => {
                let user = self.user.as_ref().map(|(user, _)| *user);
                match self.server.sockets.subscription(self.address, user) {
                    Ok(slot) => {
                        self.start(id.into(), payload, slot);
                        Step::Go(None)
                    }
                    Err(Full(text)) => text_step(self.dialect.error(&id, &graphql::too_many(&text))),
                }
            }
            FromClient::Stop { id } => {
                self.stop(&id);
                Step::Go(None)
            }
            FromClient::Terminate => Step::Close(1000, String::new()),
        }
    }

    /// Looks who it is, for the limits only: each operation looks at the token itself.
    async fn introduce(&mut self) -> Step {
        let caller = Caller::new(Arc::clone(&self.server.auth), self.token.clone(), self.address);
        if let Ok(Ok(Some(viewer))) = timeout(INIT_TIME, caller.viewer()).await {
            match self.server.sockets.connection_of(viewer.id) {
                Ok(slot) => self.user = Some((viewer.id, slot)),
                Err(Full(reason)) => return Step::Close(TOO_MANY, reason),
            }
        }
        self.ready = true;
        text_step(self.dialect.ack())
    }

    fn start(&mut self, id: Arc<str>, incoming: Incoming, slot: Slot) {
        static TURNS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let turn = TURNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // A caller of its own for each operation: its token is looked at anew.
        let caller = Caller::new(Arc::clone(&self.server.auth), self.token.clone(), self.address)
            .with_request_id(self.request_id.clone());
        let mut events = self.server.api.subscribe(incoming, caller);
        let (out, name) = (self.out.clone(), Arc::clone(&id));
        let told = async move {
            while let Some(event) = events.next().await {
                if out.send(Outgoing { id: Arc::clone(&name), turn, event: Some(event) }).await.is_err() {
                    return;
                }
            }
            let _ = out.send(Outgoing { id: name, turn, event: None }).await;
        };
        let task = tokio::spawn(told.in_current_span());
        self.running.insert(id, Running { turn, task: task.abort_handle(), _slot: slot });
    }

    fn stop(&mut self, id: &str) {
        if let Some(running) = self.running.remove(id) {
            running.task.abort();
        }
    }

    fn stop_all(&mut self) {
        self.running.drain().for_each(|(_, running)| running.task.abort());
    }

    /// Answers of a subscription that was stopped meanwhile are dropped.
    fn pass(&mut self, answer: Outgoing) -> Step {
        let current = self.running.get(&answer.id).is_some_and(|running| running.turn == answer.turn);
        if !current {
            return Step::Go(None);
        }
        match answer.event {
            Some(Event::Next(body)) => text_step(self.dialect.next(&answer.id, &body)),
            Some(Event::Refused(body)) => {
                self.stop(&answer.id);
                text_step(self.dialect.error(&answer.id, &body))
            }
            None => {
                self.stop(&answer.id);
                text_step(self.dialect.complete(&answer.id))
            }
        }
    }

    fn keep_alive(&self) -> Option<Message> {
        Some(match self.dialect.keep_alive().filter(|_| self.ready) {
            Some(text) => Message::Text(text.into()),
            None => Message::Ping(Default::default()),
        })
    }
}

fn text_step(text: String) -> Step {
    Step::Go(Some(Message::Text(text.into())))
}

/// The token of an introduction: `{"Authorization": "Bearer …"}`, in any case, `{"token": "…"}`, or either in `headers`.
fn token(payload: &serde_json::Value) -> Option<String> {
    let fields = payload.as_object()?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let found = fields.iter().find_map(|(name, value)| match name.to_ascii_lowercase().as_str() {
        "authorization" => text(value).map(|value| bearer(&value).unwrap_or(value)),
        "token" | "authtoken" => text(value).map(|value| bearer(&value).unwrap_or(value)),
        _ => None,
    });
    found.or_else(|| token(fields.get("headers")?))
}

/// A close reason has at most 123 bytes.
fn short(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_found_where_apps_put_it() {
        for payload in [
            json!({"Authorization": "Bearer t"}),
            json!({"authorization": "bearer t"}),
            json!({"authorization": "t"}),
            json!({"token": "t"}),
            json!({"headers": {"Authorization": "Bearer t"}}),
        ] {
            assert_eq!(token(&payload), Some("t".into()), "{payload}");
        }
        assert_eq!(token(&json!(null)), None);
        assert_eq!(token(&json!({"other": "t"})), None);
    }
}
