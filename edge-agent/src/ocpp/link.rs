//! One task per connection: frames in, facts to the site; answers and askings from the site, frames out.
//!
//! It never waits for the site's decision: a call goes into the site's inbox and the next frame is read. What it waits
//! for is room in that inbox, and then the station waits at its socket: backpressure instead of loss.

mod manner;
mod notice;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use metrics::counter;
use shared::id::{CommandId, StationId};
use shared::model::command::Outcome;
use shared::model::frame_log::Direction;
use shared::ocpp::lenient::Read;
use shared::ocpp::rpc::{Answer, CallKey, Due, Limits, Outgoing, Peer, Received, Reply as RpcReply};
use shared::ocpp::v16::{StationCall, TRANSACTION_ACTIONS};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message as Ws};

use self::manner::Manner;
use super::adapter::v16::{self, Meaning};
use super::caps::Pace;
use super::credentials::Directory;
use super::habits::Habits;
use super::skew::{self, Skew};
use crate::clock::Clock;
use crate::core::{Ask, AskEnd, CallId, Input, LinkId, Reply, StationFact};
use crate::frames::Tap;
use crate::site::Message;
use crate::store::RawMessage;
use crate::trace::Frame;

/// What the site wants of a connection. Small, because every connection holds a block of 32 of them ready.
#[derive(Debug)]
pub enum Order {
    /// Answer a call.
    Reply(CallId, Box<Reply>),
    /// Ask the station.
    Ask(CommandId, Box<Ask>),
    /// What was to be asked need not be, if it is not on its way.
    Withdraw(CommandId),
    /// Give a sign of life: somebody else says that he is this station.
    Probe(oneshot::Sender<()>),
    /// Another connection of the same station has taken over.
    Displaced,
    /// It ends, for this reason.
    Close(&'static str),
}

/// Orders that may wait; a station that lets more pile up is cut off and comes back.
pub const ORDERS: usize = 256;

/// Calls of a station that may wait for the site's decision; the next one is read when one of them is answered. A station has
/// one at a time (OCPP-J 1.6 §4.1.1); one that has lost its mind must not fill the inbox that all share.
const IN_HAND: usize = 16;

/// What every connection goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interval told at boot.
    pub heartbeat_seconds: u16,
    /// How long a station may take to answer, or to take in what is sent.
    pub answer: Duration,
    /// How long it may be silent.
    pub silence: Duration,
    /// How fast it is read.
    pub pace: Option<Pace>,
}

/// A connection.
pub struct Link<S> {
    /// Which connection.
    pub id: LinkId,
    /// Whose.
    pub station: StationId,
    /// The socket.
    pub ws: WebSocketStream<S>,
    /// The site.
    pub site: mpsc::Sender<Message>,
    /// From the site.
    pub orders: mpsc::Receiver<Order>,
    /// What to go by.
    pub settings: Arc<Settings>,
    /// What is known of the station.
    pub directory: Arc<Directory>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Where what is said is logged.
    pub tap: Tap,
}

/// Why a connection ends.
enum End {
    Gone,
    Failed(String),
    Close(CloseCode, &'static str),
}

struct Running<S> {
    link: Link<S>,
    peer: Peer<CommandId>,
    calls: HashMap<CallId, CallKey>,
    next_call: u64,
    heard: Instant,
    /// What it has said in a row, by [`Pace`]'s reckoning.
    said: u64,
    manner: Manner,
    probe: Option<oneshot::Sender<()>>,
    skew: Skew,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link<S> {
    /// Runs until either side ends the connection.
    pub async fn run(self) {
        let limits = Limits { mended: TRANSACTION_ACTIONS, ..Limits::default() };
        let prefix = format!("{}-", self.id.0);
        let peer = Peer::new(prefix, limits);
        let mut running = Running {
            link: self,
            peer,
            calls: HashMap::new(),
            next_call: 0,
            heard: Instant::now(),
            said: 0,
            manner: Manner::default(),
            probe: None,
            skew: Skew::default(),
        };
        let end = running.serve().await;
        running.leave(end).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Running<S> {
    async fn serve(&mut self) -> End {
        loop {
            let wait = self.too_fast_by();
            let wake = wait.map_or_else(|| self.wake(), |wait| self.wake().min(Instant::now() + wait));
            let step = tokio::select! {
                frame = self.link.ws.next(), if wait.is_none() && self.calls.len() < IN_HAND => self.heard(frame).await,
                order = self.link.orders.recv() => self.obey(order).await,
                () = tokio::time::sleep_until(wake) => self.watch().await,
            };
            if let Err(end) = step {
                return end;
            }
            if let Err(end) = self.poll().await {
                return end;
            }
        }
    }

    /// How long it has to wait at its socket, if at all.
    fn too_fast_by(&self) -> Option<Duration> {
        let wait = self.link.settings.pace?.next(self.said).saturating_sub(self.link.clock.mono_ms());
        (wait > 0).then(|| Duration::from_millis(wait))
    }

    async fn heard(&mut self, frame: Option<Result<Ws, tungstenite::Error>>) -> Result<(), End> {
        self.heard = Instant::now();
        if let Some(pace) = self.link.settings.pace {
            pace.took(&mut self.said, self.link.clock.mono_ms());
        }
        let ponged = matches!(frame, Some(Ok(Ws::Pong(_))));
        if matches!(frame, Some(Ok(_))) && self.manner.heard(ponged) {
            self.suspect(manner::no_ping());
        }
        if matches!(frame, Some(Ok(_)))
            && let Some(probe) = self.probe.take()
        {
            let _ = probe.send(());
        }
        match frame {
            None | Some(Ok(Ws::Close(_))) => Err(End::Gone),
            Some(Ok(Ws::Text(text))) => self.received(text.as_str()).await,
            Some(Ok(Ws::Binary(_))) => {
                counter!("edge_frames_bad_total", "why" => "binary").increment(1);
                Err(End::Close(CloseCode::Unsupported, "OCPP-J is text"))
            }
            Some(Ok(Ws::Ping(_) | Ws::Pong(_) | Ws::Frame(_))) => Ok(()),
            Some(Err(tungstenite::Error::Capacity(_))) => {
                counter!("edge_frames_bad_total", "why" => "too large").increment(1);
                Err(End::Close(CloseCode::Size, "the message is too large"))
            }
            Some(Err(error)) => Err(End::Failed(error.to_string())),
        }
    }

    async fn received(&mut self, text: &str) -> Result<(), End> {
        self.link.tap.leave(self.link.clock.now(), Direction::Received, text);
        match self.peer.receive(text) {
            Received::Call { key, action, payload, mended } => {
                counter!("edge_calls_total").increment(1);
                let habits = self.link.directory.habits(&self.link.station);
                match StationCall::read_of(&habits.quirks, &action, &payload) {
                    Ok(mut read) => {
                        read.findings.extend(mended.then(notice::mended));
                        self.called(key, read, text, &habits).await
                    }
                    Err(code) => {
                        counter!("edge_frames_bad_total", "why" => "unknown action").increment(1);
                        self.odd("", vec![notice::unknown_action(&action)], text);
                        let reply = RpcReply::Error(code, format!("{action:.50} is not known here"));
                        self.reply(key, &reply).await
                    }
                }
            }
            Received::Replay(text) => self.send(Ws::text(text)).await,
            Received::Answered { ticket, answer } => self.answered(ticket, answer).await,
            Received::Bad { reply, bad } => {
                counter!("edge_frames_bad_total", "why" => "not a frame").increment(1);
                tracing::info!(station = %self.link.station, reason = bad.reason, "a message that is no OCPP-J frame");
                self.odd("", vec![notice::no_frame(bad.reason)], text);
                match reply {
                    Some(text) => self.send(Ws::text(text)).await,
                    None => Ok(()),
                }
            }
            Received::Repeat | Received::Late(_) | Received::Unasked | Received::Ignored => Ok(()),
        }
    }

    async fn called(
        &mut self,
        key: CallKey,
        read: Read<StationCall>,
        text: &str,
        habits: &Habits,
    ) -> Result<(), End> {
        let Read { value: call, mut findings } = read;
        let action = call.action();
        let frame = Frame::of(&self.link.station, action, self.link.clock.now());
        let bills = matches!(call, StationCall::StartTransaction(_) | StationCall::StopTransaction(_));
        if let Some(said) = skew::said_at(&call)
            && let Some(skew_ms) = self.skew.hear(self.link.clock.now(), said)
        {
            if skew_ms.unsigned_abs() > skew::WRONG_MS {
                tracing::warn!(station = %self.link.station, skew_ms, "the station's clock is wrong");
            }
            self.tell(None, StationFact::ClockMeasured(skew_ms), None, None).await?;
        }
        self.manner.called(key.clone(), matches!(call, StationCall::StartTransaction(_)));
        let (station, now) = (self.link.station.clone(), self.link.clock.now());
        let meaning = v16::meaning((&station, habits), call, now, &mut findings);
        let odd = !findings.is_empty();
        if odd {
            counter!("edge_frames_odd_total").increment(1);
            self.odd(action, findings, text);
        }
        let keep = bills || (odd && TRANSACTION_ACTIONS.contains(&action));
        match meaning {
            Meaning::Answer(payload) => self.reply(key, &RpcReply::Result(payload)).await,
            Meaning::Fact(fact) => {
                self.next_call += 1;
                let call = CallId(self.next_call);
                self.calls.insert(call, key);
                let raw =
                    keep.then(|| RawMessage { station: self.link.station.clone(), text: text.to_owned() });
                self.tell(Some(call), fact, raw, frame).await
            }
        }
    }

    async fn answered(&mut self, command: CommandId, answer: Answer) -> Result<(), End> {
        let end = v16::ended(answer);
        self.inform(Message::Input(Input::Asked { command, end })).await
    }

    async fn obey(&mut self, order: Option<Order>) -> Result<(), End> {
        match order {
            None => Err(End::Close(CloseCode::Away, "the gateway restarts")),
            Some(Order::Probe(answer)) => {
                self.probe = Some(answer);
                self.send(Ws::Ping(bytes::Bytes::new())).await
            }
            Some(Order::Close(reason)) => Err(End::Close(CloseCode::Policy, reason)),
            Some(Order::Displaced) => Err(End::Close(CloseCode::Policy, "a newer connection took over")),
            Some(Order::Reply(call, reply)) => match self.calls.remove(&call) {
                Some(key) => {
                    let payload = v16::answer(&reply, self.link.settings.heartbeat_seconds);
                    self.reply(key, &RpcReply::Result(payload)).await
                }
                None => Ok(()),
            },
            Some(Order::Ask(command, ask)) => self.ask(command, &ask).await,
            Some(Order::Withdraw(command)) => {
                self.peer.withdraw(&command);
                Ok(())
            }
        }
    }

    async fn ask(&mut self, command: CommandId, ask: &Ask) -> Result<(), End> {
        let timeout = self.patience();
        let refused = match v16::request(ask, self.link.clock.now()) {
            Err(reason) => AskEnd::plain(Outcome::Rejected, reason),
            Ok((action, payload)) => {
                match self.peer.call(Outgoing { ticket: command, action, payload, timeout }) {
                    Ok(()) => return Ok(()),
                    Err(_) => AskEnd::plain(Outcome::Failed, "too many requests wait for this station"),
                }
            }
        };
        self.inform(Message::Input(Input::Asked { command, end: refused })).await
    }

    /// Sends what is due, and ends what was not answered.
    async fn poll(&mut self) -> Result<(), End> {
        while let Some(text) = self.manner.due_answer(Instant::now()) {
            self.send(Ws::text(text)).await?;
        }
        while let Some(due) = self.peer.poll(self.link.clock.mono_ms()) {
            match due {
                Due::Send(text) => self.send(Ws::text(text)).await?,
                Due::TimedOut(command) => self.answered(command, Answer::Timeout).await?,
            }
        }
        Ok(())
    }

    /// Half of the silence allowed passes in peace, then a ping asks for a sign of life; any frame is one (Q5).
    async fn watch(&mut self) -> Result<(), End> {
        let silence = self.silence();
        if self.heard.elapsed() >= silence {
            return Err(End::Failed("silent for too long".into()));
        }
        if self.heard.elapsed() >= silence / 2 && self.manner.may_ping() {
            self.manner.pinged();
            let quirks = &self.link.directory.habits(&self.link.station).quirks;
            if !quirks.no_ping {
                return self.send(Ws::Ping(bytes::Bytes::new())).await;
            }
        }
        Ok(())
    }

    fn wake(&self) -> Instant {
        let silence = self.silence();
        let quiet = self.heard + if self.manner.may_ping() { silence / 2 } else { silence };
        let quiet = self.manner.next_answer().map_or(quiet, |answer| answer.min(quiet));
        let answer = self.peer.next_deadline().map(|deadline| {
            Instant::now() + Duration::from_millis(deadline.saturating_sub(self.link.clock.mono_ms()))
        });
        answer.map_or(quiet, |answer| answer.min(quiet))
    }

    async fn reply(&mut self, key: CallKey, reply: &RpcReply) -> Result<(), End> {
        let habits = self.link.directory.habits(&self.link.station);
        let delay = Duration::from_millis(habits.quirks.answer_delay_ms.into());
        let due = self.manner.answers(&key, delay);
        let text = self.peer.reply(key, reply);
        match due {
            Some(due) => self.manner.answer_later(due, text),
            None => self.send(Ws::text(text)).await?,
        }
        Ok(())
    }

    async fn send(&mut self, message: Ws) -> Result<(), End> {
        if let Ws::Text(text) = &message {
            self.link.tap.leave(self.link.clock.now(), Direction::Sent, text);
        }
        match timeout(self.link.settings.answer, self.link.ws.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::Failed(error.to_string())),
            Err(_) => Err(End::Failed("the station does not read".into())),
        }
    }

    async fn tell(
        &mut self,
        call: Option<CallId>,
        fact: StationFact,
        raw: Option<RawMessage>,
        frame: Option<Frame>,
    ) -> Result<(), End> {
        let (station, link) = (self.link.station.clone(), self.link.id);
        let input = Input::Station { station, link, call, fact };
        self.inform(Message::Station { input, raw, frame }).await
    }

    async fn inform(&mut self, message: Message) -> Result<(), End> {
        self.link.site.send(message).await.map_err(|_| End::Close(CloseCode::Away, "the gateway restarts"))
    }

    /// What was asked and not answered never will be.
    async fn leave(mut self, end: End) {
        if matches!(end, End::Gone | End::Failed(_)) && self.manner.left_at_once() {
            self.suspect(manner::answer_delay());
        }
        match end {
            End::Gone => tracing::info!(station = %self.link.station, "station left"),
            End::Failed(reason) => tracing::info!(station = %self.link.station, reason, "connection lost"),
            End::Close(code, reason) => {
                tracing::info!(station = %self.link.station, reason, "connection closed");
                let frame = CloseFrame { code, reason: reason.into() };
                let _ = timeout(Duration::from_secs(2), self.link.ws.close(Some(frame))).await;
            }
        }
        let (site, station, link) = (self.link.site, self.link.station, self.link.id);
        self.link.orders.close();
        let mut unanswered = self.peer.close();
        while let Ok(order) = self.link.orders.try_recv() {
            if let Order::Ask(command, _) = order {
                unanswered.push(command);
            }
        }
        for command in unanswered {
            let end = AskEnd::plain(Outcome::StationOffline, "the station left before it answered");
            let _ = site.send(Message::Input(Input::Asked { command, end })).await;
        }
        let _ = site.send(Message::LinkDown { station, link }).await;
    }
}
