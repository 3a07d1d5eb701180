//! The socket shell of one station: one task that reads, writes, dials again with growing jittered pauses, and does what
//! its [`crate::Station`] handle asks. All deciding is in [`crate::station`].

mod line;
mod received;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::SinkExt;
use shared::ocpp::ErrorCode;
use shared::ocpp::frame::Frame;
use shared::ocpp::rpc::{Due, Limits, Outgoing, Peer};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite::Message;

use self::line::{Line, News, sleep_until};
use crate::behaviour::v16;
use crate::carry::carry;
use crate::clock::{Clock, random, wall};
use crate::config::StationConfig;
use crate::dial::{dial, shown};
use crate::event::{Event, View};
use crate::station::files::{Carried, Load};
use crate::station::{Core, Fact, Outcome, Ticket};
use crate::tempo::{Millis, Tempo};

/// How a station answers a command, for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Response {
    /// As it should.
    #[default]
    Normal,
    /// With a refusal, doing nothing.
    Reject,
    /// Not at all.
    Silent,
    /// With a CALLERROR.
    Error(ErrorCode),
}

/// Something that a handle wants done in its station's task.
pub(crate) type Order = Box<dyn FnOnce(&mut Link) + Send>;

/// Turns a frame that is to be sent into what is sent.
pub(crate) type Mangle = Box<dyn FnMut(String) -> String + Send>;

const MOST_VIOLATIONS: usize = 64;

/// One station and its line.
pub(crate) struct Link {
    pub(crate) station: Core,
    pub(crate) clock: Clock,
    pub(crate) network: bool,
    pub(crate) subscribers: Vec<mpsc::Sender<Event>>,
    pub(crate) responses: HashMap<String, Response>,
    /// Frames to send as they are.
    pub(crate) raw: Vec<String>,
    /// What becomes of a frame before it is sent.
    pub(crate) mangle: Option<Mangle>,
    /// What the CSMS sent against the schema, the first few.
    pub(crate) violations: Vec<String>,
    /// The last StartTransaction and StopTransaction as they were sent.
    pub(crate) last_start: Option<String>,
    pub(crate) last_stop: Option<String>,
    config: Arc<StationConfig>,
    view: watch::Sender<View>,
    peer: Option<Peer<(Ticket, &'static str)>>,
    failures: u32,
    connections: u64,
    seed: u64,
    carried: mpsc::Sender<(u64, Carried)>,
    loads: mpsc::Receiver<(u64, Carried)>,
}

impl Link {
    pub(crate) fn new(config: Arc<StationConfig>, view: watch::Sender<View>) -> Self {
        let clock = Clock::start();
        let seed = random() >> 16;
        let origin = wall().plus_millis(config.clock_offset);
        let (carried, loads) = mpsc::channel(16);
        let tempo = Tempo { scale: config.time_scale, origin, since: 0 };
        Link {
            station: Core::new(&config, tempo, seed),
            clock,
            network: true,
            subscribers: Vec::new(),
            responses: HashMap::new(),
            raw: Vec::new(),
            mangle: None,
            violations: Vec::new(),
            last_start: None,
            last_stop: None,
            config,
            view,
            peer: None,
            failures: 0,
            connections: 0,
            seed,
            carried,
            loads,
        }
    }

    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut line = Line::Down { dial_at: 0 };
        loop {
            let (deadline, may_dial) = (self.next_deadline(), self.may_dial());
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => order(&mut self),
                    None => break,
                },
                Some((number, carried)) = self.loads.recv() => {
                    self.station.carried(self.clock.now(), number, carried);
                }
                news = line.next(self.clock, may_dial) => self.take(news, &mut line),
                () = sleep_until(self.clock, deadline) => self.station.tick(self.clock.now()),
            }
            self.settle(&mut line).await;
        }
        line.say_goodbye().await;
    }

    fn may_dial(&self) -> bool {
        self.network && self.station.is_powered()
    }

    fn next_deadline(&self) -> Option<Millis> {
        let peer = self.peer.as_ref().and_then(Peer::next_deadline);
        self.station.next_deadline().into_iter().chain(peer).min()
    }

    fn take(&mut self, news: News, line: &mut Line) {
        let now = self.clock.now();
        match news {
            News::DialNow => {
                let config = self.station.dial_with(&self.config);
                *line = Line::Dialing(Box::pin(async move { dial(&config).await }));
            }
            News::Dialled(socket) => {
                self.station.shown(&shown(&socket));
                *line = Line::Up(socket);
                self.failures = 0;
                self.connections += 1;
                let prefix = format!("{:x}-{}-", self.seed & 0xffff_ffff, self.connections);
                self.peer = Some(Peer::new(prefix, Limits { queued: 256, ..Limits::default() }));
                self.station.connected(now);
            }
            News::Text(text) => self.receive(now, &text),
            News::Gone(reason) => self.hang_up(line, reason),
            News::Untrusted(reason) => {
                self.station.distrusts(now, reason.clone());
                self.hang_up(line, reason);
            }
            News::Nothing => {}
        }
    }

    /// The line is dead, or shall be: dial again after a pause.
    fn hang_up(&mut self, line: &mut Line, reason: String) {
        let now = self.clock.now();
        self.peer = None;
        self.failures += 1;
        *line = Line::Down { dial_at: now + self.pause() };
        self.station.disconnected(now, reason);
    }

    /// Doubles from the first pause to the longest, then varies by half so that a thousand stations do not dial at once.
    fn pause(&self) -> Millis {
        let (first, longest) = self.config.redial;
        let grown = first.saturating_mul(1 << (self.failures - 1).min(16)).min(longest).max(1);
        grown / 2 + random() % (grown / 2 + 1)
    }

    /// Does all that the last input brought about.
    async fn settle(&mut self, line: &mut Line) {
        loop {
            let now = self.clock.now();
            let effects = self.station.take();
            if let Some(journal) = &self.config.journal {
                journal.write(&effects.records);
            }
            for (ticket, fact) in effects.sends {
                self.call(now, ticket, &fact);
            }
            for load in effects.loads {
                self.carry(load);
            }
            for event in effects.events {
                self.publish(&event);
            }
            self.flush(line).await;
            let cut_off = !self.may_dial();
            if effects.restart || cut_off {
                if !cut_off {
                    line.say_goodbye().await;
                }
                let reason = if cut_off { "the line is cut" } else { "restart" };
                match line {
                    Line::Up(_) => self.hang_up(line, reason.to_owned()),
                    Line::Dialing(_) if cut_off => *line = Line::Down { dial_at: now },
                    Line::Dialing(_) | Line::Down { .. } => {}
                }
            }
            if self.station.is_quiet() && self.raw.is_empty() {
                break;
            }
        }
        let view = self.station.view();
        self.view.send_if_modified(|shown| {
            let changed = *shown != view;
            *shown = view;
            changed
        });
    }

    fn call(&mut self, now: Millis, ticket: Ticket, fact: &Fact) {
        let (action, payload) = match v16::call(fact, &self.station.hardware) {
            Ok(call) => call,
            Err(violation) => {
                let refused = Outcome::Refused(violation.to_string());
                return self.station.answered(now, ticket, refused);
            }
        };
        let timeout = self.config.call_timeout;
        let outgoing = Outgoing { ticket: (ticket, action), action, payload, timeout };
        let Some(peer) = &mut self.peer else { return };
        if let Err(full) = peer.call(outgoing) {
            self.station.answered(now, full.ticket.0, Outcome::TimedOut);
        }
    }

    /// Files are moved beside everything else.
    fn carry(&self, load: Load) {
        let (done, tls) = (self.carried.clone(), self.station.dial_with(&self.config).tls);
        tokio::spawn(async move {
            let number = load.number;
            let carried = carry(load, tls).await;
            // The station may be gone by now.
            let _ = done.send((number, carried)).await;
        });
    }

    /// Sends what is due.
    async fn flush(&mut self, line: &mut Line) {
        let now = self.clock.now();
        // An answer goes before what it announces (1.6 §5.17; A02.FR.02).
        let mut texts = std::mem::take(&mut self.raw);
        if let Some(peer) = &mut self.peer {
            while let Some(due) = peer.poll(now) {
                match due {
                    Due::Send(text) => texts.push(text),
                    Due::TimedOut((ticket, _)) => self.station.answered(now, ticket, Outcome::TimedOut),
                }
            }
        }
        for text in texts {
            let text = match &mut self.mangle {
                Some(mangle) => mangle(text),
                None => text,
            };
            self.remember(&text);
            let Line::Up(socket) = line else { return };
            let sending = socket.send(Message::text(text));
            match timeout(Duration::from_millis(self.config.call_timeout), sending).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return self.hang_up(line, error.to_string()),
                Err(_) => return self.hang_up(line, "nobody reads".to_owned()),
            }
        }
    }

    fn remember(&mut self, text: &str) {
        if text.contains("\"StartTransaction\"") {
            self.last_start = Some(text.to_owned());
        } else if text.contains("\"StopTransaction\"") {
            self.last_stop = Some(text.to_owned());
        }
    }

    /// Tells everybody who watches. Who does not keep up misses events.
    fn publish(&mut self, event: &Event) {
        tracing::debug!(station = %self.config.identity, ?event);
        if let Event::Violation { text } = event
            && self.violations.len() < MOST_VIOLATIONS
        {
            self.violations.push(text.clone());
        }
        self.subscribers.retain(|subscriber| {
            !matches!(subscriber.try_send(event.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
    }
}

/// A frame's text with another message id.
pub(crate) fn with_new_id(text: &str) -> Option<String> {
    match Frame::parse(text).ok()? {
        Frame::Call { action, payload, .. } => {
            Some(Frame::Call { id: format!("again-{:x}", random()), action, payload }.to_text())
        }
        Frame::Result { .. } | Frame::Error { .. } | Frame::Unknown { .. } => None,
    }
}
