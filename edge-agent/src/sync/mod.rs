//! The cloud's side: MQTT around the pure [`machine`].
//!
//! The broker is a lossy pipe: its acknowledgements say nothing, a publish that does not fit its queue is dropped and sent
//! again when no answer comes. Sessions are clean; nothing is retained.

pub mod machine;
mod mqtt;

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use rumqttc::{AsyncClient, QoS};
use shared::id::{CommandId, StationId};
use shared::model::command::{Command, CommandBody, Outcome, Told};
use shared::model::document::DocumentVersion;
use shared::model::frame_log::FrameFilter;
use shared::model::{CommandResult, Lane};
use shared::sync::topic::Way;
use shared::sync::{Ahead, Batch, Down, DownTopic, FrameKey, Hello, Topic, Up, UpTopic, VERSION, record};
use shared::units::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config;
use crate::core::Input;
use crate::enroll::Identity;
use crate::frames::FrameLog;
use crate::site::Message;
use crate::store::{Position, Store};
use crate::trace::LaneTrace;
use machine::{Action, Heard, Machine, Patience};
pub use mqtt::Event;

/// What the sync task works with.
pub struct Sync {
    /// Who we are.
    pub identity: Identity,
    /// The configuration.
    pub config: config::Sync,
    /// The database.
    pub store: Store,
    /// Where commands and documents go.
    pub site: mpsc::Sender<Message>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Command results, for the fast path.
    pub results: mpsc::Receiver<CommandResult>,
    /// The documents held.
    pub documents: watch::Receiver<Vec<DocumentVersion>>,
    /// What was said to stations.
    pub frames: FrameLog,
    /// For displays: is the cloud there?
    pub online: watch::Sender<bool>,
    /// What is told of sessions.
    pub trace: LaneTrace,
}

/// A welcome that comes within this tells what time it is.
const PROMPT: Duration = Duration::from_secs(5);

struct Running {
    sync: Sync,
    key: FrameKey,
    client: AsyncClient,
    elsewhere: mpsc::Sender<()>,
    machine: Machine,
    position: watch::Receiver<Position>,
    /// When the last hello was said on this connection.
    hello_at: Option<Instant>,
}

impl Sync {
    /// Runs until the process ends. Fails only on a configuration that can never work.
    pub async fn run(self) -> anyhow::Result<()> {
        let key = self.identity.frame_key()?;
        let mqtt::Line { client, mut events, elsewhere } = mqtt::connect(&self.identity, &self.config)?;
        let mut position = self.store.position();
        let at = position.borrow_and_update().clone();
        let patience = Patience {
            first_ms: self.config.ack_timeout_seconds.max(1) * 1000,
            most_ms: self.config.ack_timeout_most_seconds.max(1) * 1000,
            quiet_ms: 3_600_000,
        };
        let machine = Machine::new(self.clock.boot, at.epoch, at.heads, at.acked, patience);
        let mut running = Running { sync: self, key, client, elsewhere, machine, position, hello_at: None };
        loop {
            let wake = running.wake();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => running.mqtt(event).await?,
                    None => return Ok(()),
                },
                changed = running.position.changed() => match changed {
                    Ok(()) => running.committed().await?,
                    Err(_) => return Ok(()),
                },
                Some(result) = running.sync.results.recv() => running.publish(UpTopic::Result, &Up::Result(result)),
                () = tokio::time::sleep_until(wake) => running.hear(Heard::Tick).await?,
            }
        }
    }
}

impl Running {
    async fn mqtt(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Connected => {
                let filter = Topic::down_filter(self.sync.identity.shard, self.sync.identity.gateway);
                // As it is sent: for more, a NATS would keep a consumer with replicas for each gateway.
                if self.client.try_subscribe(filter, QoS::AtMostOnce).is_err() {
                    tracing::warn!("the subscription did not fit the queue");
                }
                Ok(())
            }
            Event::Subscribed => self.hear(Heard::Connected).await,
            Event::Disconnected => {
                self.hello_at = None;
                self.sync.online.send_replace(false);
                self.hear(Heard::Disconnected).await
            }
            Event::Received { topic, payload } => self.received(&topic, &payload).await,
        }
    }

    async fn received(&mut self, topic: &str, payload: &[u8]) -> anyhow::Result<()> {
        let down = match self.open(topic, payload) {
            Ok(down) => down,
            Err(error) => {
                counter!("edge_sync_rejected_total").increment(1);
                tracing::warn!(topic, %error, "a frame that is not from our cloud was refused");
                return Ok(());
            }
        };
        match down {
            Down::Welcome(welcome) => {
                // One that a broker kept for us tells a time that is over.
                if self.hello_at.take().is_some_and(|at| at.elapsed() < PROMPT) {
                    self.sync.clock.heard_server_time(welcome.server_time);
                }
                self.hear(Heard::Welcome(welcome)).await
            }
            Down::Ack(ack) => self.hear(Heard::Ack(ack)).await,
            Down::Command(Command {
                body: CommandBody::ReadFrames(filter), id, station, expires_at, ..
            }) => {
                if expires_at > self.sync.clock.now() {
                    self.tell_frames(id, station, filter).await;
                }
                Ok(())
            }
            Down::Command(command) => self.to_site(Input::Command(command)).await,
            Down::Want(document) => self.to_site(Input::Document(document)).await,
        }
    }

    /// A question that changes nothing leaves no trace: when its answer is lost, the cloud asks again.
    async fn tell_frames(&self, id: CommandId, station: StationId, filter: FrameFilter) {
        let at = self.sync.clock.now();
        let result = match self.sync.frames.page(station, filter).await {
            Ok(page) => CommandResult {
                told: Told::Frames(page),
                ..CommandResult::plain(id, Outcome::Accepted, "", at)
            },
            Err(error) => CommandResult::plain(id, Outcome::Failed, format!("{error:#}"), at),
        };
        self.publish(UpTopic::Result, &Up::Result(result));
    }

    /// A frame must be sealed with our key for the topic it came on, and say what that topic is for.
    fn open(&self, topic: &str, payload: &[u8]) -> anyhow::Result<Down> {
        let topic: Topic = topic.parse()?;
        let down: Down = self.key.open(&topic, payload)?;
        let fits = match (&down, topic.way) {
            (Down::Welcome(_), Way::Down(DownTopic::Welcome))
            | (Down::Ack(_), Way::Down(DownTopic::Ack))
            | (Down::Command(_), Way::Down(DownTopic::Command))
            | (Down::Want(_), Way::Down(DownTopic::Want)) => true,
            (_, Way::Down(_) | Way::Up(_)) => false,
        };
        anyhow::ensure!(fits, "the frame is on the wrong topic");
        Ok(down)
    }

    async fn committed(&mut self) -> anyhow::Result<()> {
        let Position { epoch, heads, acked, .. } = *self.position.borrow_and_update();
        for lane in Lane::ALL {
            let backlog = heads[lane.index()].saturating_sub(acked[lane.index()]);
            gauge!("edge_outbox_backlog", "lane" => lane.name())
                .set(f64::from(u32::try_from(backlog).unwrap_or(u32::MAX)));
        }
        self.hear(Heard::Committed { epoch, heads }).await
    }

    async fn hear(&mut self, heard: Heard) -> anyhow::Result<()> {
        let now = self.sync.clock.mono_ms();
        for action in self.machine.on(now, heard) {
            self.act(action).await?;
        }
        let ready = self.machine.is_ready();
        self.sync.online.send_if_modified(|online| std::mem::replace(online, ready) != ready);
        Ok(())
    }

    async fn act(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Hello => {
                self.hello_at = Some(Instant::now());
                self.publish(UpTopic::Hello, &Up::Hello(self.hello()));
            }
            Action::Send { lane, after, limit } => self.send(lane, after, limit).await?,
            Action::SendAhead { after, limit } => self.send_ahead(after, limit).await?,
            Action::Acked { lane, watermark } => {
                counter!("edge_sync_acked_total", "lane" => lane.name()).increment(1);
                self.sync.trace.acked(lane, watermark);
                self.sync.store.acked(lane, watermark).await?;
            }
            // One wish is enough.
            Action::Elsewhere => drop(self.elsewhere.try_send(())),
            Action::NewEpoch { reason } => {
                tracing::warn!(reason, "the cloud and this database disagree: a new epoch begins");
                counter!("edge_sync_epochs_total").increment(1);
                self.sync.trace.renumbered();
                self.sync.store.new_epoch().await?;
            }
            Action::Stuck { reason } => tracing::error!(reason, "the cloud refuses this gateway"),
        }
        Ok(())
    }

    async fn send(&mut self, lane: Lane, after: u64, limit: usize) -> anyhow::Result<()> {
        let epoch = self.position.borrow().epoch;
        self.sync.store.reserve(lane, after + u64::try_from(limit)?).await?;
        let records = self.sync.store.records(lane, after, limit).await?;
        let Some((first_seq, _)) = records.first() else { return Ok(()) };
        let (first_seq, boot) = (*first_seq, self.sync.clock.boot);
        self.sync.trace.sent(lane, &records, self.sync.clock.now());
        let records = records.into_iter().map(|(_, record)| record).collect();
        self.publish(UpTopic::Batch, &Up::Batch(Batch { epoch, boot, lane, first_seq, records }));
        Ok(())
    }

    async fn send_ahead(&mut self, after: u64, limit: usize) -> anyhow::Result<()> {
        let Position { epoch, acked, .. } = *self.position.borrow();
        let records = self.sync.store.live_sessions(acked[Lane::Billing.index()], after, limit).await?;
        let Some((last, _)) = records.last() else { return Ok(()) };
        self.sync.store.reserve(Lane::Billing, *last).await?;
        self.sync.trace.sent(Lane::Billing, &records, self.sync.clock.now());
        counter!("edge_sync_ahead_total").increment(u64::try_from(records.len())?);
        self.publish(UpTopic::Batch, &Up::Ahead(Ahead { epoch, records }));
        Ok(())
    }

    fn hello(&self) -> Hello {
        let Position { epoch, parent, heads, acked, .. } = self.position.borrow().clone();
        Hello {
            versions: (VERSION, VERSION),
            kinds: record::kind::ALL.to_vec(),
            epoch,
            parent,
            heads,
            acked,
            boot: self.sync.clock.boot,
            wallclock: Timestamp(self.sync.clock.now().0),
            clock: self.sync.clock.quality(),
            documents: self.sync.documents.borrow().clone(),
            agent: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// What does not fit the client's queue is lost here and sent again later.
    fn publish(&self, way: UpTopic, up: &Up) {
        let topic = Topic::new(self.sync.identity.shard, self.sync.identity.gateway, way);
        let frame = self.key.seal(&topic, up);
        if self.client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, frame).is_err() {
            counter!("edge_sync_dropped_total").increment(1);
        }
    }

    async fn to_site(&self, input: Input) -> anyhow::Result<()> {
        self.sync.site.send(Message::Input(input)).await.map_err(|_| anyhow::anyhow!("the site has stopped"))
    }

    fn wake(&mut self) -> Instant {
        let now = self.sync.clock.mono_ms();
        let wait = self.machine.deadline().map_or(3_600_000, |deadline| deadline.saturating_sub(now).max(1));
        Instant::now() + Duration::from_millis(wait)
    }
}
