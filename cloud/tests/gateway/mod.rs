//! A cloud replica with its embedded broker over a real database, and a gateway that says exactly what a test wants.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails loudly")]

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use cloud::{Config, config::Secret, gateways, live};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use shared::id::{BootId, Epoch, EvseNo, GatewayId, SessionId, Shard, StationId, StationTxRef};
use shared::model::event::{SessionPriced, StatusChanged};
use shared::model::session::{SessionStarted, SessionStopped, StopReason, TariffRef};
use shared::model::token::{AuthStatus, AuthorisedBy, IdToken};
use shared::model::{ConnectorStatus, Event as Fact, Lane};
use shared::sync::v1::PerLane;
use shared::sync::{
    Ahead, Batch, ClockQuality, Down, FrameKey, Header, Hello, Record, Topic, Up, UpTopic, Welcome,
};
use shared::units::{Timestamp, Wh};
use sqlx::PgPool;
use stack::mosquitto::Mosquitto;
use stack::nats::Nats;
use stack::postgres::Postgres;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const T0: i64 = 1_790_000_000_000;
const SOON: Duration = Duration::from_secs(10);

/// One replica with all roles, in this process.
pub(crate) struct House {
    pub(crate) db: PgPool,
    pub(crate) live: live::Hub,
    pub(crate) http: String,
    pub(crate) mqtt: u16,
    pub(crate) site: i64,
    config: Config,
    replica: JoinHandle<anyhow::Result<()>>,
    broker: Option<External>,
    dir: TempDir,
    _postgres: Postgres,
}

/// A broker that we did not write.
pub(crate) enum External {
    Mosquitto(Mosquitto),
    Nats(Nats),
}

async fn config(dir: &TempDir, postgres: &Postgres) -> Config {
    let url = postgres.create_database().await.unwrap();
    let mut config =
        Config { database_url: Secret::new(&url), data_dir: dir.path().join("cloud"), ..Config::default() };
    config.http.listen.set_port(0);
    config
}

impl House {
    /// With a site, a station `CP1` with one connector at 0.25 USD per kWh, and a token `card` of user 1.
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let postgres = Postgres::start(dir.path()).await.unwrap();
        let mut config = config(&dir, &postgres).await;
        config.mqtt.listen.set_port(0);
        config.mqtt.cut_off_revoked_seconds = NonZeroU64::MIN;
        Self::start(dir, postgres, config, None).await
    }

    /// The same with mosquitto as the broker.
    pub(crate) async fn with_mosquitto() -> Self {
        Self::with(async |config, db, dir| {
            cloud::gateways::mosquitto::write(config, db, dir).await.unwrap();
            let mut mosquitto = Mosquitto::prepare(dir).unwrap();
            mosquitto.restart().await.unwrap();
            (mosquitto.address(), External::Mosquitto(mosquitto))
        })
        .await
    }

    /// The same with NATS as the broker.
    pub(crate) async fn with_nats() -> Self {
        Self::with(async |config, db, dir| {
            cloud::gateways::nats::write(config, db, dir).await.unwrap();
            let mut nats = Nats::prepare(dir).unwrap();
            nats.restart().await.unwrap();
            (nats.address(), External::Nats(nats))
        })
        .await
    }

    async fn with(start: impl AsyncFnOnce(&Config, &PgPool, &Path) -> (SocketAddr, External)) -> Self {
        let dir = TempDir::new().unwrap();
        let postgres = Postgres::start(dir.path()).await.unwrap();
        let mut config = config(&dir, &postgres).await;
        config.mqtt.password = Some(Secret::new("of the replicas"));
        let db = cloud::db::open(&config).await.unwrap();
        let (address, broker) = start(&config, &db, dir.path()).await;
        config.mqtt.url = Some(format!("mqtt://{address}"));
        Self::start(dir, postgres, config, Some((address, broker))).await
    }

    async fn start(
        dir: TempDir,
        postgres: Postgres,
        config: Config,
        broker: Option<(SocketAddr, External)>,
    ) -> Self {
        let db = cloud::db::open(&config).await.unwrap();
        let file = config.data_dir.join("listening.json");
        let replica = tokio::spawn(cloud::run(config.clone()));
        let listening: Value = timeout(SOON, async {
            loop {
                match std::fs::read(&file) {
                    Ok(bytes) => break serde_json::from_slice(&bytes).unwrap(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await
        .expect("the replica starts");
        let gate = || listening["mqtt"].as_str().unwrap().parse().unwrap();
        let mqtt: SocketAddr = broker.as_ref().map_or_else(gate, |(address, _)| *address);
        Self {
            live: live::Hub::start(db.clone(), CancellationToken::new()),
            http: listening["http"].as_str().unwrap().into(),
            mqtt: mqtt.port(),
            site: furnish(&db).await,
            config,
            db,
            replica,
            broker: broker.map(|(_, broker)| broker),
            dir,
            _postgres: postgres,
        }
    }

    /// Tells an external broker of gateways that were enrolled since.
    pub(crate) async fn tell_broker(&self) {
        let (config, db, dir) = (&self.config, &self.db, self.dir.path());
        match self.broker.as_ref().unwrap() {
            External::Mosquitto(mosquitto) => {
                cloud::gateways::mosquitto::write(config, db, dir).await.unwrap();
                mosquitto.reload().unwrap();
            }
            External::Nats(nats) => {
                cloud::gateways::nats::write(config, db, dir).await.unwrap();
                nats.reload().unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    /// A box that was just enrolled; not connected.
    pub(crate) async fn enroll(&self) -> Identity {
        self.enroll_at(self.site).await
    }

    /// One more site.
    pub(crate) async fn build_site(&self) -> i64 {
        sqlx::query_scalar("insert into sites (name, default_price) values ('Elsewhere', 0.25) returning id")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// A box that was just enrolled at a site; not connected.
    pub(crate) async fn enroll_at(&self, site: i64) -> Identity {
        let claim = gateways::create_claim(&self.db, site, Duration::from_secs(60)).await.unwrap();
        let (status, body) = self.post_enroll(&claim.code).await;
        assert_eq!(status, 200, "{body}");
        let secret = body["secret"].as_str().unwrap().to_owned();
        Identity {
            id: body["gateway"].as_str().unwrap().parse().unwrap(),
            shard: Shard(u16::try_from(body["shard"].as_u64().unwrap()).unwrap()),
            secret,
            mqtt: self.mqtt,
        }
    }

    pub(crate) async fn post_enroll(&self, code: &str) -> (u16, Value) {
        let body = json!({ "claim": code, "agent": "test" }).to_string();
        let request = format!(
            "POST /enroll HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut socket = TcpStream::connect(&self.http).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// The database of the replica, for another one.
    pub(crate) fn database_url(&self) -> &str {
        self.config.database_url.expose()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.replica.abort();
    }
}

async fn furnish(db: &PgPool) -> i64 {
    sqlx::query("insert into users (id, username) overriding system value values (1, 'driver')")
        .execute(db)
        .await
        .unwrap();
    sqlx::query("insert into id_tokens (user_id, token) values (1, 'Card')").execute(db).await.unwrap();
    let site: i64 =
        sqlx::query_scalar("insert into sites (name, default_price) values ('Yard', 0.25) returning id")
            .fetch_one(db)
            .await
            .unwrap();
    sqlx::query("insert into charge_points (site_id, charge_point_hardware_id, credential) values ($1, 'CP1', 'sha256$x$y')")
        .bind(site)
        .execute(db)
        .await
        .unwrap();
    sqlx::query(
        "insert into connectors (site_id, charge_point_id, connector_id, label)
         select site_id, id, 1, '1' from charge_points",
    )
    .execute(db)
    .await
    .unwrap();
    site
}

/// What a box keeps.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: GatewayId,
    pub(crate) shard: Shard,
    pub(crate) secret: String,
    pub(crate) mqtt: u16,
}

impl Identity {
    pub(crate) fn key(&self) -> FrameKey {
        use base64::Engine as _;
        FrameKey::derive(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&self.secret).unwrap())
    }

    pub(crate) fn options(&self) -> MqttOptions {
        let id = self.id.to_string();
        let mut options = MqttOptions::new(&id, "127.0.0.1", self.mqtt);
        options.set_credentials(&id, &self.secret).set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(2_000_000, 2_000_000);
        options
    }

    pub(crate) fn topic(&self, way: UpTopic) -> Topic {
        Topic::new(self.shard, self.id, way)
    }

    /// Connects and subscribes to what the cloud says.
    pub(crate) async fn connect(&self) -> Gateway {
        let (client, mut connection) = AsyncClient::new(self.options(), 64);
        client.subscribe(Topic::down_filter(self.shard, self.id), QoS::AtLeastOnce).await.unwrap();
        until(&mut connection, |packet| matches!(packet, Packet::SubAck(_)).then_some(())).await;
        Gateway { identity: self.clone(), client, connection, epoch: Epoch(Uuid::new_v4()), said: vec![] }
    }
}

/// A connected box.
pub(crate) struct Gateway {
    pub(crate) identity: Identity,
    pub(crate) client: AsyncClient,
    pub(crate) connection: EventLoop,
    pub(crate) epoch: Epoch,
    /// What was heard while waiting for something else.
    said: Vec<Down>,
}

impl Gateway {
    pub(crate) async fn publish(&self, way: UpTopic, message: &Up) {
        let topic = self.identity.topic(way);
        let frame = self.identity.key().seal(&topic, message);
        self.client.publish(topic.to_string(), QoS::AtLeastOnce, false, frame).await.unwrap();
    }

    /// The next message that fits; the others are kept for later.
    pub(crate) async fn hear<T>(&mut self, mut fits: impl FnMut(&Down) -> Option<T>) -> T {
        if let Some(place) = self.said.iter().position(|down| fits(down).is_some()) {
            return fits(&self.said.remove(place)).unwrap();
        }
        let key = self.identity.key();
        let said = &mut self.said;
        until(&mut self.connection, |packet| {
            let Packet::Publish(publish) = packet else { return None };
            let down: Down =
                key.open(&publish.topic.parse().unwrap(), &publish.payload).expect("sealed by the cloud");
            let found = fits(&down);
            if found.is_none() {
                said.push(down);
            }
            found
        })
        .await
    }

    pub(crate) async fn hello(&mut self, heads: PerLane, acked: PerLane) -> Welcome {
        let hello = Hello {
            versions: (1, 1),
            kinds: vec![],
            epoch: self.epoch,
            parent: None,
            heads,
            acked,
            boot: BootId(Uuid::nil()),
            wallclock: Timestamp(T0),
            clock: ClockQuality::Synced,
            documents: vec![],
            agent: "test 1".into(),
        };
        self.publish(UpTopic::Hello, &Up::Hello(hello)).await;
        self.welcome().await
    }

    pub(crate) async fn welcome(&mut self) -> Welcome {
        self.hear(|down| match down {
            Down::Welcome(welcome) => Some(welcome.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn send(&self, lane: Lane, first_seq: u64, records: Vec<Record>) {
        let boot = BootId(Uuid::nil());
        let batch = Batch { epoch: self.epoch, boot, lane, first_seq, records };
        self.publish(UpTopic::Batch, &Up::Batch(batch)).await;
    }

    pub(crate) async fn publish_ahead(&self, records: Vec<(u64, Record)>) {
        self.publish(UpTopic::Batch, &Up::Ahead(Ahead { epoch: self.epoch, records })).await;
    }

    /// Sends billing records ahead of their turn, and waits until that was worked on.
    pub(crate) async fn ahead(&mut self, records: Vec<(u64, Record)>) {
        self.publish_ahead(records).await;
        // What one gateway says is worked on in its order, and this is answered whatever it means.
        self.batch(Lane::Status, 1_000, vec![record(&status(1, ConnectorStatus::Available, 1), 1)]).await;
    }

    /// Sends a batch; the watermark that it is answered with.
    pub(crate) async fn batch(&mut self, lane: Lane, first_seq: u64, records: Vec<Record>) -> u64 {
        self.send(lane, first_seq, records).await;
        self.hear(|down| match down {
            Down::Ack(ack) if ack.lane == lane => Some(ack.watermark),
            _ => None,
        })
        .await
    }
}

/// Polls for as long as something else takes.
pub(crate) async fn meanwhile<T>(connection: &mut EventLoop, something: impl Future<Output = T>) -> T {
    tokio::select! {
        done = something => done,
        () = async { while connection.poll().await.is_ok() {} } => panic!("the connection broke"),
    }
}

/// Polls until a packet fits.
pub(crate) async fn until<T>(connection: &mut EventLoop, mut fits: impl FnMut(&Packet) -> Option<T>) -> T {
    timeout(SOON, async {
        loop {
            if let Event::Incoming(packet) = connection.poll().await.expect("the connection holds")
                && let Some(found) = fits(&packet)
            {
                return found;
            }
        }
    })
    .await
    .expect("it comes soon")
}

/// A fact as a record; `count` makes keys of repeatable facts differ.
pub(crate) fn record(fact: &Fact, count: u64) -> Record {
    let boot = BootId(Uuid::nil());
    Record {
        header: Header {
            kind: fact.kind(),
            kind_ver: 1,
            occurred_at: Timestamp(T0),
            clock: ClockQuality::Synced,
            boot,
            mono_ms: count,
            key: fact.key(boot, count),
        },
        body: fact.body(),
    }
}

pub(crate) fn station() -> StationId {
    StationId::new("CP1").unwrap()
}

/// The tariff that the cloud makes of the site's price.
pub(crate) fn tariff() -> shared::tariff::Tariff {
    cloud::documents::price_per_kwh("USD", "0.25".parse().unwrap()).unwrap()
}

pub(crate) fn started(session: SessionId) -> Fact {
    let tariff: TariffRef = tariff().reference();
    Fact::SessionStarted(SessionStarted {
        session,
        station: station(),
        evse: EvseNo(1),
        tx_ref: StationTxRef("7".into()),
        token: Some(IdToken::new("CARD")),
        auth: AuthStatus::Accepted,
        authorised_by: AuthorisedBy::SiteList,
        at: Timestamp(T0),
        meter_start: Wh(1_000),
        tariff: Some(tariff),
        caused_by: None,
        flags: vec![],
    })
}

pub(crate) fn stopped(session: SessionId, energy: i64) -> Fact {
    Fact::SessionStopped(SessionStopped {
        session,
        at: Timestamp(T0 + 3_600_000),
        meter_stop: Wh(1_000 + energy),
        energy: Wh(energy),
        reason: StopReason::Local,
        token: None,
        flags: vec![],
    })
}

pub(crate) fn priced(session: SessionId, energy: i64) -> Fact {
    let cost = shared::tariff::price_quantities(Wh(energy), 3_600, &tariff());
    Fact::SessionPriced(SessionPriced { session, tariff: tariff().reference(), cost })
}

pub(crate) fn status(evse: u16, status: ConnectorStatus, at: i64) -> Fact {
    Fact::StatusChanged(StatusChanged {
        station: station(),
        evse: Some(EvseNo(evse)),
        status,
        error: None,
        at: Timestamp(T0 + at),
    })
}
