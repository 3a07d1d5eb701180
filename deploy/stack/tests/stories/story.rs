//! What every story starts with, and the questions that most of them ask at the end.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use shared::units::Timestamp;
use sqlx::{FromRow, PgPool};
use stack::house::{BrokerKind, House};
use stack::postgres::Postgres;
use stack::puppet::Puppet;
use stack::wait;
use stack::workdir::Workdir;
use tokio::sync::OnceCell;

/// How long something may take that crosses disk, broker and database; generous, because CI machines stall.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A furnished house with an own database, and its folder, which outlives it.
pub(crate) struct Story {
    pub(crate) house: House,
    pub(crate) db: PgPool,
    _dir: Workdir,
}

/// A bill as the cloud wrote it, with the session it is for.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Bill {
    pub(crate) station: String,
    pub(crate) energy_wh: i64,
    pub(crate) total_micros: i64,
    pub(crate) edge_total_micros: Option<i64>,
}

impl Story {
    /// A house with the embedded broker and stations S1, S2 and S3.
    pub(crate) async fn begin(name: &str) -> Self {
        Self::with_broker(name, BrokerKind::Embedded).await
    }

    /// The same with stations of one's own.
    pub(crate) async fn with_stations(name: &str, stations: &[&str]) -> Self {
        let database_url = postgres().await.create_database().await.unwrap();
        Self::furnished(&database_url, name, BrokerKind::Embedded, stations).await
    }

    pub(crate) async fn with_broker(name: &str, broker: BrokerKind) -> Self {
        Self::on(&postgres().await.create_database().await.unwrap(), name, broker).await
    }

    pub(crate) async fn on(database_url: &str, name: &str, broker: BrokerKind) -> Self {
        Self::furnished(database_url, name, broker, &["S1", "S2", "S3"]).await
    }

    async fn furnished(database_url: &str, name: &str, broker: BrokerKind, stations: &[&str]) -> Self {
        let dir = Workdir::new(name).unwrap();
        let house = House::build(dir.path(), database_url, broker, stations).await.unwrap();
        let story = Self { house, db: PgPool::connect_lazy(database_url).unwrap(), _dir: dir };
        story.documents_arrived().await;
        story
    }

    /// A booted station; its documents have reached the agent by now.
    pub(crate) async fn station(&self, identity: &str) -> Puppet {
        Puppet::boot(&self.edge.ocpp_url(), identity, &self.site.password).await.unwrap()
    }

    /// Waits until the agent knows the stations, and holds the tariffs and the lists of tokens, the driver's part of the public
    /// one among them.
    async fn documents_arrived(&self) {
        let held = "select count(*) > 3 and bool_and(held_version = version) from documents";
        wait::until("the agent's documents", SOON, || async {
            sqlx::query_scalar::<_, Option<bool>>(held).fetch_one(&self.db).await.ok()?.filter(|held| *held)
        })
        .await
        .unwrap();
    }

    /// Waits until there are `count` bills, and returns them all, by station and energy.
    pub(crate) async fn bills(&self, count: usize) -> Vec<Bill> {
        let all = "select station, energy_wh, total_micros, edge_total_micros from bills
                   join sessions on sessions.id = bills.session_id order by station, energy_wh";
        wait::until(&format!("{count} bills"), SOON, || async {
            let bills: Vec<Bill> = sqlx::query_as(all).fetch_all(&self.db).await.ok()?;
            (bills.len() >= count).then_some(bills)
        })
        .await
        .unwrap()
    }

    /// Waits until everything that the agent holds is acknowledged: nothing more can change the cloud.
    pub(crate) async fn settled(&self) {
        wait::until("an empty outbox", SOON, || async {
            let state = self.edge.state().await.ok()?;
            state["lanes"].as_object()?.values().all(|lane| lane["backlog"] == 0).then_some(())
        })
        .await
        .unwrap();
    }

    /// One number from the database.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.db).await.unwrap()
    }

    /// Every lane holds every number from 1 to its watermark exactly once.
    pub(crate) async fn assert_lanes_whole(&self) {
        let broken = "select count(*) from cursors c where watermark <>
            (select count(*) from records r where r.gateway_id = c.gateway_id and r.epoch = c.epoch and r.lane = c.lane)";
        assert_eq!(self.count(broken).await, 0, "a lane has a gap or a repeat");
        assert_eq!(self.count("select count(*) from quarantine").await, 0, "something was parked");
    }
}

impl Deref for Story {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

impl DerefMut for Story {
    fn deref_mut(&mut self) -> &mut House {
        &mut self.house
    }
}

/// The one Postgres of all stories that do not kill it.
async fn postgres() -> &'static Postgres {
    static POSTGRES: OnceCell<(Postgres, Workdir)> = OnceCell::const_new();
    let start = async || {
        let dir = Workdir::new("shared-postgres").unwrap();
        (Postgres::start(dir.path()).await.unwrap(), dir)
    };
    &POSTGRES.get_or_init(start).await.0
}

/// The time of this machine, which is a charger's in these stories.
#[expect(clippy::disallowed_methods, reason = "outside every core")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

/// Sessions as a charger tells them, in its own words.
pub(crate) trait Charging {
    /// Starts on connector 1 and returns the transaction id.
    async fn start(&mut self, id_tag: &str, meter: i64) -> i64;
    /// Sends one meter reading of a transaction.
    async fn meter(&mut self, transaction: i64, register: i64, power: i64);
    /// Stops a transaction.
    async fn stop(&mut self, transaction: i64, meter: i64);
}

impl Charging for Puppet {
    async fn start(&mut self, id_tag: &str, meter: i64) -> i64 {
        self.status("Preparing").await.unwrap();
        let answer = self.call("StartTransaction", start(id_tag, meter, now())).await.unwrap();
        assert_eq!(answer["idTagInfo"]["status"], "Accepted", "{answer}");
        self.status("Charging").await.unwrap();
        answer["transactionId"].as_i64().unwrap()
    }

    async fn meter(&mut self, transaction: i64, register: i64, power: i64) {
        let values = json!([
            { "value": register.to_string(), "measurand": "Energy.Active.Import.Register", "unit": "Wh" },
            { "value": power.to_string(), "measurand": "Power.Active.Import", "unit": "W" },
        ]);
        let sample = json!({ "timestamp": now().to_string(), "sampledValue": values });
        let payload = json!({ "connectorId": 1, "transactionId": transaction, "meterValue": [sample] });
        self.call("MeterValues", payload).await.unwrap();
    }

    async fn stop(&mut self, transaction: i64, meter: i64) {
        self.call("StopTransaction", stop(transaction, meter, now())).await.unwrap();
        self.status("Available").await.unwrap();
    }
}

/// The payload of a StartTransaction.
pub(crate) fn start(id_tag: &str, meter: i64, at: Timestamp) -> Value {
    json!({ "connectorId": 1, "idTag": id_tag, "meterStart": meter, "timestamp": at.to_string() })
}

/// The payload of a StopTransaction.
pub(crate) fn stop(transaction: i64, meter: i64, at: Timestamp) -> Value {
    json!({ "transactionId": transaction, "meterStop": meter, "timestamp": at.to_string(), "reason": "EVDisconnected" })
}

/// What `energy` costs, by arithmetic of our own: 0.45 $ per kWh, rounded half up to whole cents.
pub(crate) fn cost(energy_wh: i64) -> i64 {
    let micros = energy_wh * stack::house::PRICE_MICROS / 1000;
    (micros + 5_000) / 10_000 * 10_000
}
