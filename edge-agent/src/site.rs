//! The shell around the core: one task owns the site's state, so there are no locks.
//!
//! It drains what has arrived, lets the core decide each input, commits everything in one transaction, and only then
//! sends. While a commit runs the inbox fills, so the batch grows with the load: group commit without a timer.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use shared::id::{CommandId, StationId};
use shared::model::command::Outcome;
use shared::model::document::DocumentVersion;
use shared::model::{Command, CommandResult};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use traces::Moment;

use crate::clock::Clock;
use crate::core::{
    Arrival, AskEnd, Core, Effects, Input, InstallerAct, LinkId, Made, Passes, Send, StationFact, Visitor,
    Write,
};
use crate::files;
use crate::local::Snapshot;
use crate::ocpp::credentials::Directory;
use crate::ocpp::link::Order;
use crate::store::{RawMessage, Stamp, Store, StoreFailed};
use crate::trace::{Frame, SiteTrace};
use crate::workshop::Workshop;

/// Inputs that may wait. When full, connections wait, and then the stations at their sockets.
pub const INBOX: usize = 4096;
/// Inputs decided in one batch at most.
const BATCH: usize = 512;

/// What the site's task hears.
pub enum Message {
    /// An input that needs no connection.
    Input(Input),
    /// A station's word, and its text if that must be kept.
    Station {
        /// The input.
        input: Input,
        /// The station's own words.
        raw: Option<RawMessage>,
        /// The message that it came in, if that may be about a session.
        frame: Option<Frame>,
    },
    /// A station connected.
    LinkUp {
        /// Who.
        station: StationId,
        /// The connection.
        link: LinkId,
        /// Through which door, and with what.
        arrival: Arrival,
        /// Nobody knows it: it waits for a decision.
        visitor: Option<Visitor>,
        /// How to reach it.
        orders: mpsc::Sender<Order>,
    },
    /// A connection ended.
    LinkDown {
        /// Whose.
        station: StationId,
        /// Which.
        link: LinkId,
    },
    /// An installer orders something of a station, and waits for its end.
    Order {
        /// What.
        command: Command,
        /// For its end.
        done: oneshot::Sender<CommandResult>,
    },
    /// Somebody wants to see the site.
    Snapshot(oneshot::Sender<Snapshot>),
    /// The installer decides something; he hears when it is done, or why it cannot be.
    Installer {
        /// What.
        act: InstallerAct,
        /// For the answer.
        done: oneshot::Sender<Result<(), String>>,
    },
}

impl Message {
    fn frame(&mut self) -> Option<Frame> {
        if let Message::Station { frame, .. } = self { frame.take() } else { None }
    }
}

/// The site's task.
pub struct Site {
    /// The rules and the state.
    pub core: Core,
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Who may connect.
    pub directory: Arc<Directory>,
    /// The fast path for command results; lossy, the outbox has them too.
    pub results: mpsc::Sender<CommandResult>,
    /// The documents held, for hello.
    pub documents: watch::Sender<Vec<DocumentVersion>>,
    /// The connections.
    pub links: Links,
    /// What stations fetch and bring.
    pub files: mpsc::Sender<files::Job>,
    /// Makes what stations' security needs.
    pub workshop: Workshop,
    /// What it made.
    pub made: Vec<(StationId, Made)>,
    /// Commands that could not be put to their station.
    pub unasked: Vec<CommandId>,
    /// Installers who wait for the end of what they ordered.
    pub ordered: HashMap<CommandId, Vec<oneshot::Sender<CommandResult>>>,
    /// Installers who wait for the commit of what they decided.
    pub installers: Vec<oneshot::Sender<Result<(), String>>>,
    /// What is told of sessions.
    pub trace: SiteTrace,
    /// Cancelled when the agent shall stop.
    pub stop: CancellationToken,
}

/// The connections by number, and each station's current one.
#[derive(Default)]
pub struct Links {
    orders: HashMap<LinkId, mpsc::Sender<Order>>,
    current: HashMap<StationId, Current>,
}

/// A station's connection.
#[derive(Clone, Copy)]
struct Current {
    link: LinkId,
    profile: u8,
    reached_at: IpAddr,
}

impl Links {
    /// The OCPP security profile of a station's connection.
    pub fn profile(&self, station: &StationId) -> Option<u8> {
        self.current.get(station).map(|current| current.profile)
    }

    /// Where a station reached us.
    pub fn reached(&self, station: &StationId) -> Option<files::Reached> {
        let current = self.current.get(station)?;
        Some(files::Reached { address: current.reached_at, tls: current.profile > 1 })
    }
}

impl Site {
    /// Runs until the inbox is closed, or a commit fails.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<(), StoreFailed> {
        let restarted = self.core.handle(self.clock.now(), Input::Restarted);
        self.perform(restarted, Vec::new()).await?;
        self.publish_documents();
        loop {
            let wake = self.wake();
            tokio::select! {
                first = inbox.recv() => match first {
                    Some(first) => self.batch(first, &mut inbox).await?,
                    None => return Ok(()),
                },
                () = tokio::time::sleep(wake) => self.tick().await?,
                () = self.stop.cancelled() => return self.finish(inbox).await,
            }
            self.end_unasked().await?;
            self.hand_over().await?;
        }
    }

    /// Gives the core what was made for it.
    async fn hand_over(&mut self) -> Result<(), StoreFailed> {
        while let Some((station, made)) = self.made.pop() {
            let effects = self.core.handle(self.clock.now(), Input::Made { station, made });
            self.perform(effects, Vec::new()).await?;
        }
        Ok(())
    }

    /// What was received is still decided, committed and answered; then the connections are let go.
    async fn finish(&mut self, mut inbox: mpsc::Receiver<Message>) -> Result<(), StoreFailed> {
        while let Ok(message) = inbox.try_recv() {
            self.batch(message, &mut inbox).await?;
        }
        Ok(())
    }

    async fn batch(
        &mut self,
        first: Message,
        inbox: &mut mpsc::Receiver<Message>,
    ) -> Result<(), StoreFailed> {
        let mut messages = VecDeque::from([first]);
        while messages.len() < BATCH
            && let Ok(more) = inbox.try_recv()
        {
            messages.push_back(more);
        }
        histogram!("edge_batch_size").record(f64::from(u32::try_from(messages.len()).unwrap_or(u32::MAX)));
        let (mut effects, mut raw) = (Effects::default(), Vec::new());
        for mut message in messages {
            let (frame, taken) = (message.frame(), Moment::now(self.clock.now()));
            let more = self.take(message, &mut raw).await;
            self.trace.decided(frame, taken, &more);
            effects.writes.extend(more.writes);
            effects.sends.extend(more.sends);
        }
        self.perform(effects, raw).await?;
        self.installers.drain(..).for_each(|done| drop(done.send(Ok(()))));
        Ok(())
    }

    async fn take(&mut self, message: Message, raw: &mut Vec<RawMessage>) -> Effects {
        let input = match message {
            Message::Input(input) => input,
            Message::Station { input, raw: words, frame: _ } => {
                raw.extend(words);
                self.recall(&input).await;
                input
            }
            Message::LinkUp { station, link, arrival, visitor, orders } => {
                return self.link_up(station, link, arrival, visitor, orders);
            }
            Message::LinkDown { station, link } => self.link_down(station, link),
            Message::Order { command, done } => {
                self.ordered.entry(command.id).or_default().push(done);
                Input::Command(command)
            }
            Message::Installer { act, done } => match self.core.objection(&act) {
                None => {
                    self.installers.push(done);
                    Input::Installer(act)
                }
                Some(objection) => {
                    let _ = done.send(Err(objection));
                    return Effects::default();
                }
            },
            Message::Snapshot(asker) => {
                let _ = asker.send(Snapshot::of(&self.core, &self.links, self.clock.now()));
                return Effects::default();
            }
        };
        self.core.handle(self.clock.now(), input)
    }

    /// A repeat of something old: the session that it is about is fetched from the database first.
    async fn recall(&mut self, input: &Input) {
        let Input::Station { station, fact, .. } = input else { return };
        let Some(wanted) = self.core.recall_needed(station, fact) else { return };
        match self.store.recall(wanted).await {
            Ok(Some(session)) => self.core.sessions.insert(session),
            Ok(None) => {}
            Err(error) => tracing::error!(%station, %error, "looking up an older session failed"),
        }
    }

    /// The newest connection of a station is the station; one that was still there is told to go.
    fn link_up(
        &mut self,
        station: StationId,
        link: LinkId,
        arrival: Arrival,
        visitor: Option<Visitor>,
        orders: mpsc::Sender<Order>,
    ) -> Effects {
        let current = Current { link, profile: arrival.profile, reached_at: arrival.reached_at };
        self.links.orders.insert(link, orders);
        if let Some(old) = self.links.current.insert(station.clone(), current)
            && let Some(old) = self.links.orders.remove(&old.link)
        {
            counter!("edge_links_displaced_total").increment(1);
            let _ = old.try_send(Order::Displaced);
        }
        let now = self.clock.now();
        let mut effects = self.core.handle(now, Input::Arrived { station: station.clone(), arrival });
        let fact = visitor.map_or(StationFact::Connected, StationFact::ConnectedPending);
        let connected = self.core.handle(now, Input::Station { station, link, call: None, fact });
        effects.writes.extend(connected.writes);
        effects.sends.extend(connected.sends);
        effects
    }

    fn link_down(&mut self, station: StationId, link: LinkId) -> Input {
        self.links.orders.remove(&link);
        if self.links.current.get(&station).is_some_and(|current| current.link == link) {
            self.links.current.remove(&station);
        }
        Input::Station { station, link, call: None, fact: StationFact::Disconnected }
    }

    /// Commits, then sends.
    async fn perform(&mut self, effects: Effects, raw: Vec<RawMessage>) -> Result<(), StoreFailed> {
        let documents = effects.writes.iter().any(|write| matches!(write, Write::Document(_)));
        if !effects.writes.is_empty() || !raw.is_empty() {
            let (stamp, writes) = (self.stamp(), newest_sessions_only(effects.writes));
            let told = self.trace.committing(stamp, &writes);
            self.store.commit(stamp, writes, raw).await?;
            self.trace.committed(told);
        }
        if documents {
            self.publish_documents();
        }
        for send in effects.sends {
            self.send(send);
        }
        gauge!("edge_stations_connected")
            .set(f64::from(u32::try_from(self.links.current.len()).unwrap_or(u32::MAX)));
        Ok(())
    }

    fn send(&mut self, send: Send) {
        match send {
            Send::Reply { link, call, reply } => self.order(link, Order::Reply(call, Box::new(reply))),
            Send::Ask { link, command, ask } => self.order(link, Order::Ask(command, Box::new(ask))),
            Send::Withdraw { link, command } => self.order(link, Order::Withdraw(command)),
            Send::Result(result) => self.tell_end(result),
            Send::Directory(stations) => self.announce(stations),
            Send::Prepare(errand) => {
                let (command, reached) = (errand.command, self.links.reached(&errand.station));
                if self.files.try_send(files::Job::Prepare(errand, reached)).is_err() {
                    self.unasked.push(command);
                }
            }
            // There are no more jobs of these kinds than room for them: a place is opened and closed once.
            Send::Serve(errand) => drop(self.files.try_send(files::Job::Serve(errand))),
            Send::Close(command) => drop(self.files.try_send(files::Job::Close(command))),
            Send::Make { station, what } => {
                let made = self.workshop.make(&station, what, self.clock.now());
                self.made.push((station, made));
            }
            Send::Gate(gate) => self.directory.open(gate),
            Send::HangUp { link, reason } => self.order(link, Order::Close(reason)),
        }
    }

    /// To the installers who wait for it, else to the cloud.
    fn tell_end(&mut self, result: CommandResult) {
        match self.ordered.remove(&result.id) {
            Some(waiting) => waiting.into_iter().for_each(|done| drop(done.send(result.clone()))),
            None => drop(self.results.try_send(result)),
        }
    }

    /// A connection that is gone, or takes nothing in any more, is cut off; the station comes back and asks again.
    fn order(&mut self, link: LinkId, order: Order) {
        let asked = if let Order::Ask(command, _) = &order { Some(*command) } else { None };
        let sent = self.links.orders.get(&link).is_some_and(|orders| orders.try_send(order).is_ok());
        if !sent {
            self.links.orders.remove(&link);
            self.unasked.extend(asked);
        }
    }

    /// Ends the commands whose station left before it could be asked.
    async fn end_unasked(&mut self) -> Result<(), StoreFailed> {
        while let Some(command) = self.unasked.pop() {
            let end = AskEnd::plain(Outcome::StationOffline, "the station left before it could be asked");
            let effects = self.core.handle(self.clock.now(), Input::Asked { command, end });
            self.perform(effects, Vec::new()).await?;
        }
        Ok(())
    }

    fn announce(&self, stations: Passes) {
        tracing::info!(stations = stations.stations.len(), "the list of stations was renewed");
        self.directory.replace(stations);
    }

    async fn tick(&mut self) -> Result<(), StoreFailed> {
        let effects = self.core.handle(self.clock.now(), Input::Tick);
        self.perform(effects, Vec::new()).await
    }

    fn wake(&self) -> Duration {
        let day = Duration::from_secs(86_400);
        let Some(deadline) = self.core.next_deadline() else { return day };
        let millis = deadline.millis_since(self.clock.now()).max(0);
        Duration::from_millis(millis.unsigned_abs() + 1).min(day)
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            at: self.clock.now(),
            clock: self.clock.quality(),
            boot: self.clock.boot,
            mono_ms: self.clock.mono_ms(),
        }
    }

    fn publish_documents(&self) {
        self.documents.send_replace(self.core.documents());
    }
}

/// Within one commit only the last state of a session matters.
fn newest_sessions_only(writes: Vec<Write>) -> Vec<Write> {
    let mut last = HashMap::new();
    for (place, write) in writes.iter().enumerate() {
        if let Write::Session(running) = write {
            last.insert(running.session.id(), place);
        }
    }
    let kept = |place: usize, write: &Write| match write {
        Write::Session(running) => last.get(&running.session.id()) == Some(&place),
        Write::Event(_)
        | Write::Command { .. }
        | Write::Document(_)
        | Write::TxRefFloor(_)
        | Write::Reservation(_)
        | Write::ReservationGone(_)
        | Write::CommandWaits(_)
        | Write::LocalList(_)
        | Write::Errand(_)
        | Write::ErrandGone(_)
        | Write::DecidedHere(_)
        | Write::Settings(_)
        | Write::SettingsMemory(..)
        | Write::SecurityMemory(..)
        | Write::Known(..)
        | Write::Finding(_)
        | Write::Suggested(_) => true,
    };
    writes
        .into_iter()
        .enumerate()
        .filter(|(place, write)| kept(*place, write))
        .map(|(_, write)| write)
        .collect()
}
