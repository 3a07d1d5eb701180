//! A gateway without stations: speaks to the cloud as an agent does, and sends what it is given.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use rumqttc::{AsyncClient, Event as MqttEvent, EventLoop, MqttOptions, Packet, QoS};
use shared::id::{BootId, Epoch, Shard};
use shared::model::{Event, Lane};
use shared::sync::{
    Batch, ClockQuality, Down, FrameKey, Header, Hello, MAX_FRAME_BYTES, Record, Topic, Up, UpTopic, Verdict,
    record::kind,
};
use stack::edge::Identity;
use uuid::Uuid;

use crate::stage::now;

/// One batch in flight.
pub(crate) struct Gateway {
    client: AsyncClient,
    events: EventLoop,
    key: FrameKey,
    shard: Shard,
    id: shared::id::GatewayId,
    epoch: Epoch,
    boot: BootId,
    /// Bytes of frames, both ways.
    pub(crate) carried: u64,
}

impl Gateway {
    pub(crate) async fn connect(identity: &Identity, gate: SocketAddr) -> Result<Self> {
        let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&identity.secret)?;
        let mut options = MqttOptions::new(&identity.gateway, gate.ip().to_string(), gate.port());
        options.set_credentials(&identity.gateway, &identity.secret);
        options.set_max_packet_size(MAX_FRAME_BYTES, MAX_FRAME_BYTES);
        let (client, mut events) = AsyncClient::new(options, 16);
        events.network_options.set_tcp_nodelay(true);
        let mut gateway = Self {
            client,
            events,
            key: FrameKey::derive(&secret),
            shard: Shard(identity.shard),
            id: identity.gateway.parse()?,
            epoch: Epoch(Uuid::new_v4()),
            boot: BootId(Uuid::new_v4()),
            carried: 0,
        };
        gateway.introduce().await?;
        Ok(gateway)
    }

    async fn introduce(&mut self) -> Result<()> {
        let filter = Topic::down_filter(self.shard, self.id);
        self.client.subscribe(filter, QoS::AtMostOnce).await?;
        let hello = Hello {
            versions: (1, 1),
            kinds: kind::ALL.to_vec(),
            epoch: self.epoch,
            parent: None,
            heads: [u64::MAX >> 2; 3],
            acked: [0; 3],
            boot: self.boot,
            wallclock: now(),
            clock: ClockQuality::Synced,
            documents: Vec::new(),
            agent: "bench".into(),
        };
        self.send(UpTopic::Hello, &Up::Hello(hello)).await?;
        loop {
            match self.hear().await? {
                Down::Welcome(welcome) if welcome.verdict == Verdict::Continue => return Ok(()),
                Down::Welcome(welcome) => bail!("not welcome: {:?}", welcome.verdict),
                Down::Ack(_) | Down::Command(_) | Down::Want(_) => {}
            }
        }
    }

    /// Sends a batch and waits until it is committed.
    pub(crate) async fn batch(&mut self, lane: Lane, first_seq: u64, records: Vec<Record>) -> Result<()> {
        let last = first_seq + records.len() as u64 - 1;
        let boot = BootId(Uuid::nil());
        let batch = Batch { epoch: self.epoch, boot, lane, first_seq, records };
        self.send(UpTopic::Batch, &Up::Batch(batch)).await?;
        loop {
            if let Down::Ack(ack) = self.hear().await?
                && ack.lane == lane
                && ack.watermark >= last
            {
                return Ok(());
            }
        }
    }

    /// The `count`-th record.
    pub(crate) fn record(&self, event: &Event, count: u64) -> Record {
        let header = Header {
            kind: event.kind(),
            kind_ver: 1,
            occurred_at: now(),
            clock: ClockQuality::Synced,
            boot: self.boot,
            mono_ms: count,
            key: event.key(self.boot, count),
        };
        Record { header, body: event.body() }
    }

    async fn send(&mut self, topic: UpTopic, message: &Up) -> Result<()> {
        let topic = Topic::new(self.shard, self.id, topic);
        let frame = self.key.seal(&topic, message);
        self.carried += frame.len() as u64;
        Ok(self.client.publish(topic.to_string(), QoS::AtLeastOnce, false, frame).await?)
    }

    /// Is there, and says nothing.
    pub(crate) async fn idle(mut self) -> Result<()> {
        loop {
            self.events.poll().await?;
        }
    }

    async fn hear(&mut self) -> Result<Down> {
        let next = async {
            loop {
                if let MqttEvent::Incoming(Packet::Publish(publish)) = self.events.poll().await? {
                    self.carried += publish.payload.len() as u64;
                    let topic: Topic = publish.topic.parse()?;
                    return Ok(self.key.open(&topic, &publish.payload)?);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.context("the cloud is silent")?
    }
}
