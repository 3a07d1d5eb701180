//! Records per second from gateways' frames to acknowledged rows, beside what the same Postgres takes by bare UNNEST.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use rumqttc::{AsyncClient, Event as MqttEvent, EventLoop, MqttOptions, Packet, QoS};
use shared::id::{BootId, Epoch, EvseNo, SessionId, Shard, StationId, StationTxRef};
use shared::model::session::SessionStarted;
use shared::model::token::{AuthStatus, AuthorisedBy};
use shared::model::{Event, Lane, MeterReading, event::SessionMetered};
use shared::sync::{
    Batch, ClockQuality, Down, FrameKey, Header, Hello, MAX_BATCH_RECORDS, MAX_FRAME_BYTES, Record, Topic,
    Up, UpTopic, Verdict, record::kind,
};
use shared::units::{Timestamp, Watts, Wh};
use sqlx::PgPool;
use stack::edge::Identity;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::figure::{Figure, per_second};
use crate::stage::{Stage, now};

const GATEWAYS: usize = 8;
const WRITERS: usize = 2;
const ROWS: usize = 1_000;

pub(crate) async fn measure(time: Duration) -> Result<Vec<Figure>> {
    let mut stage = Stage::build(1).await?;
    let gate = stage.cloud.mqtt()?;
    let mut gateways = JoinSet::new();
    for number in 0..GATEWAYS {
        let identity = stage.another_gateway(&format!("gateway-{number}"))?.identity()?;
        gateways.spawn(async move { Gateway::connect(&identity, gate).await?.pour(time).await });
    }
    let mut records = 0;
    while let Some(count) = gateways.join_next().await {
        records += count??;
    }
    let parked: i64 = sqlx::query_scalar("select count(*) from quarantine").fetch_one(&stage.db).await?;
    if parked > 0 {
        bail!("{parked} records were parked: that is not what is to be measured");
    }
    let rows = unnest(&stage.db, time).await?;
    let share = records * 100 / rows.max(1);
    let ours = format!("{} ({share} % of UNNEST)", per_second(records, time));
    let beside = format!("UNNEST of 1,000 rows: {}", per_second(rows, time));
    Ok(vec![Figure::new("records ingested, acknowledged after commit", ours).beside(beside).reach("≥ 50 %")])
}

/// A gateway that has nothing to do but to send meter records, one batch in flight.
struct Gateway {
    client: AsyncClient,
    events: EventLoop,
    key: FrameKey,
    shard: Shard,
    id: shared::id::GatewayId,
    epoch: Epoch,
    boot: BootId,
}

impl Gateway {
    async fn connect(identity: &Identity, gate: SocketAddr) -> Result<Self> {
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
        };
        gateway.introduce().await?;
        Ok(gateway)
    }

    async fn introduce(&mut self) -> Result<()> {
        let filter = Topic::down_filter(self.shard, self.id);
        self.client.subscribe(filter, QoS::AtLeastOnce).await?;
        let hello = Hello {
            versions: (1, 1),
            kinds: kind::ALL.to_vec(),
            epoch: self.epoch,
            parent: None,
            heads: [1, u64::MAX >> 2, 0],
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

    /// Starts a session and sends readings of it for a while; returns how many records were acknowledged.
    async fn pour(mut self, time: Duration) -> Result<u64> {
        let session = SessionId(Uuid::now_v7());
        self.batch(Lane::Billing, 1, vec![self.record(&started(session)?, 0)]).await?;
        let (begin, deadline) = (now(), Instant::now() + time);
        let mut sent = 0;
        while Instant::now() < deadline {
            let numbers = sent..sent + MAX_BATCH_RECORDS as u64;
            let records =
                numbers.map(|number| self.record(&metered(session, begin, number), number)).collect();
            self.batch(Lane::Meter, sent + 1, records).await?;
            sent += MAX_BATCH_RECORDS as u64;
        }
        Ok(sent)
    }

    async fn batch(&mut self, lane: Lane, first_seq: u64, records: Vec<Record>) -> Result<()> {
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

    fn record(&self, event: &Event, count: u64) -> Record {
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
        Ok(self.client.publish(topic.to_string(), QoS::AtLeastOnce, false, frame).await?)
    }

    async fn hear(&mut self) -> Result<Down> {
        let next = async {
            loop {
                if let MqttEvent::Incoming(Packet::Publish(publish)) = self.events.poll().await? {
                    let topic: Topic = publish.topic.parse()?;
                    return Ok(self.key.open(&topic, &publish.payload)?);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.context("the cloud is silent")?
    }
}

fn started(session: SessionId) -> Result<Event> {
    Ok(Event::SessionStarted(SessionStarted {
        session,
        station: StationId::new(crate::stage::identity(1))?,
        evse: EvseNo(1),
        tx_ref: StationTxRef(session.to_string()),
        token: None,
        auth: AuthStatus::Accepted,
        authorised_by: AuthorisedBy::SiteList,
        at: now(),
        meter_start: Wh(0),
        tariff: None,
        caused_by: None,
        flags: Vec::new(),
    }))
}

fn metered(session: SessionId, begin: Timestamp, number: u64) -> Event {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let reading = MeterReading {
        power: Some(Watts(11_000)),
        ..MeterReading::of_register(Timestamp(begin.0 + number), Wh(number))
    };
    Event::SessionMetered(SessionMetered { session, reading })
}

/// The limit: bare inserts of the same rows, committed by the thousand, without any meaning.
async fn unnest(db: &PgPool, time: Duration) -> Result<u64> {
    sqlx::query("create table bench_records (like records including all)").execute(db).await?;
    let deadline = Instant::now() + time;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let db = db.clone();
        writers.spawn(async move {
            let (gateway, mut written) = (Uuid::new_v4(), 0);
            while Instant::now() < deadline {
                insert(&db, gateway, written).await?;
                written += ROWS as u64;
            }
            anyhow::Ok(written)
        });
    }
    let mut rows = 0;
    while let Some(written) = writers.join_next().await {
        rows += written??;
    }
    Ok(rows)
}

async fn insert(db: &PgPool, gateway: Uuid, first: u64) -> Result<()> {
    let first = i64::try_from(first)?;
    let numbers: Vec<i64> = (first..).take(ROWS).collect();
    let keys: Vec<Vec<u8>> =
        numbers.iter().map(|number| format!("{gateway}/{number}").into_bytes()).collect();
    let bodies: Vec<Vec<u8>> = numbers.iter().map(|_| vec![7; 40]).collect();
    let insert = "insert into bench_records
            (gateway_id, epoch, lane, seq, kind, kind_ver, occurred_at, clock, boot_id, mono_ms, key, body)
        select $1, $1, 1, seq, 16, 1, now(), 0, $1, seq, key, body
        from unnest($2::bigint[], $3::bytea[], $4::bytea[]) as rows (seq, key, body)";
    sqlx::query(insert).bind(gateway).bind(&numbers).bind(&keys).bind(&bodies).execute(db).await?;
    Ok(())
}
