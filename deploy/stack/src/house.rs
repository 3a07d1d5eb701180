//! The one-box default, furnished: a cloud with its broker, an operator, a driver with a card, a site with stations,
//! and the site's agent, enrolled, whose way to the broker leads through a fault proxy.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cloud::{Broker, Cloud};
use crate::edge::Edge;
use crate::graphql::Client;
use crate::mosquitto::Mosquitto;
use crate::nats::Cluster;
use crate::proxy::Proxy;

/// Price of a kWh at every connector, in millionths of a dollar.
pub const PRICE_MICROS: i64 = 450_000;

/// One may die.
const NODES: usize = 3;
const OPERATOR: &str = "operator@example.com";
const DRIVER: &str = "driver@example.com";

/// A furnished house.
#[derive(Debug)]
pub struct House {
    /// Where everything keeps its data.
    pub dir: PathBuf,
    /// The database of this house.
    pub database_url: String,
    /// The first cloud replica.
    pub cloud: Cloud,
    /// The external broker, if it is not the embedded one.
    pub mosquitto: Option<Mosquitto>,
    /// The external brokers, if they are a cluster.
    pub nats: Option<Cluster>,
    /// The internet between the agent and the broker.
    pub proxy: Proxy,
    /// The internet between the agent and the cloud's files.
    pub files: Proxy,
    /// The site's agent.
    pub edge: Edge,
    /// Logged in as the operator who owns the site.
    pub operator: Client,
    /// Logged in as the driver.
    pub driver: Client,
    /// What is at the site.
    pub site: Site,
    replica_password: String,
    passwords: String,
}

/// What is at the site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its number.
    pub id: i64,
    /// Identities of its stations, each with one connector.
    pub stations: Vec<String>,
    /// The password of every station.
    pub password: String,
    /// The driver's card.
    pub id_tag: String,
    /// The driver's number.
    pub driver: i64,
}

/// Which broker the house uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerKind {
    /// The cloud's own.
    Embedded,
    /// Debian's mosquitto.
    Mosquitto,
    /// Three of Debian's nats-servers. Their gateways are not behind the house's fault proxy.
    NatsCluster,
}

impl House {
    /// Builds a house on an empty database and starts everything.
    pub async fn build(
        dir: &Path,
        database_url: &str,
        broker: BrokerKind,
        stations: &[&str],
    ) -> Result<Self> {
        let replica_password = secret();
        let Started { cloud, mosquitto, nats } =
            start_cloud(dir, database_url, broker, &replica_password).await?;
        let passwords = secret();
        let operator = cloud.operator(OPERATOR, &passwords).await?;
        let (driver, driver_id, id_tag) = create_driver(&cloud, &operator, &passwords).await?;
        let site = create_site(&operator, stations).await?;
        let site = Site { id_tag, driver: driver_id, ..site };
        let broker = match (&mosquitto, &nats) {
            (Some(mosquitto), _) => mosquitto.address(),
            (None, Some(nats)) => nats.address(0),
            (None, None) => cloud.mqtt()?,
        };
        let proxy = Proxy::start(broker).await?;
        let claim = cloud.claim(&site.id.to_string())?;
        let through = nats.is_none().then(|| proxy.address());
        let mut edge = Edge::enroll(&dir.join("edge"), &cloud.http_url(), &claim, through)?;
        let files = Proxy::start(cloud.http()).await?;
        edge.service().set("EDGE_SYNC__CLOUD_URL", format!("http://{}", files.address()));
        let (dir, database_url) = (dir.to_owned(), database_url.to_owned());
        let mut house = Self {
            dir,
            database_url,
            cloud,
            mosquitto,
            nats,
            proxy,
            files,
            edge,
            operator,
            driver,
            site,
            replica_password,
            passwords,
        };
        house.refresh_acl()?;
        house.edge.start().await?;
        Ok(house)
    }

    /// Logs operator and driver in again: tokens end after an hour.
    pub async fn renew_tokens(&mut self) -> Result<()> {
        let client = self.cloud.graphql();
        self.operator = client.log_in(OPERATOR, &self.passwords).await?;
        self.driver = client.log_in(DRIVER, &self.passwords).await?;
        Ok(())
    }

    /// Ends the agent and the cloud as an operating system would, and expects them to end cleanly.
    pub async fn stop(&mut self) -> Result<()> {
        self.edge.service().stop().await?;
        self.cloud.service().stop().await
    }

    /// A further replica on the same database and broker.
    pub async fn replica(&self, name: &str) -> Result<Cloud> {
        let url = match (&self.mosquitto, &self.nats) {
            (Some(mosquitto), _) => format!("mqtt://{}", mosquitto.address()),
            (None, Some(nats)) => nats.url(),
            (None, None) => format!("mqtt://{}", self.cloud.mqtt()?),
        };
        Cloud::start(&self.dir.join(name), &self.database_url, &at(url, &self.replica_password)).await
    }

    /// Enrols one more gateway at the same site, without starting it.
    pub fn another_gateway(&mut self, name: &str) -> Result<Edge> {
        let claim = self.cloud.claim(&self.site.id.to_string())?;
        let edge = Edge::enroll(&self.dir.join(name), &self.cloud.http_url(), &claim, None)?;
        self.refresh_acl()?;
        Ok(edge)
    }

    /// Gives an external broker the passwords of all gateways; the embedded one asks by itself.
    fn refresh_acl(&mut self) -> Result<()> {
        if let Some(nats) = &self.nats {
            write_acl(&mut self.cloud, "nats", &self.dir)?;
            return nats.accounts(&self.dir);
        }
        let Some(mosquitto) = &self.mosquitto else { return Ok(()) };
        write_acl(&mut self.cloud, "mosquitto", &self.dir)?;
        mosquitto.reload()
    }
}

/// A random password.
pub fn secret() -> String {
    Uuid::new_v4().simple().to_string()
}

async fn start_cloud(dir: &Path, database_url: &str, broker: BrokerKind, password: &str) -> Result<Started> {
    let data = dir.join("cloud");
    match broker {
        BrokerKind::Embedded => {
            let broker = Broker::Embedded { password: password.to_owned() };
            let cloud = Cloud::start(&data, database_url, &broker).await?;
            Ok(Started { cloud, mosquitto: None, nats: None })
        }
        BrokerKind::Mosquitto => {
            let mut mosquitto = Mosquitto::prepare(dir)?;
            let url = format!("mqtt://{}", mosquitto.address());
            let mut cloud = Cloud::prepare(&data, database_url, &at(url, password))?;
            write_acl(&mut cloud, "mosquitto", dir)?;
            mosquitto.restart().await?;
            cloud.restart().await?;
            Ok(Started { cloud, mosquitto: Some(mosquitto), nats: None })
        }
        BrokerKind::NatsCluster => {
            let mut nats = Cluster::prepare(dir, NODES)?;
            let mut cloud = Cloud::prepare(&data, database_url, &at(nats.url(), password))?;
            write_acl(&mut cloud, "nats", dir)?;
            nats.accounts(dir)?;
            nats.start().await?;
            cloud.restart().await?;
            Ok(Started { cloud, mosquitto: None, nats: Some(nats) })
        }
    }
}

/// A cloud that runs, and its brokers.
struct Started {
    cloud: Cloud,
    mosquitto: Option<Mosquitto>,
    nats: Option<Cluster>,
}

fn at(url: String, password: &str) -> Broker {
    Broker::At { url, password: password.to_owned() }
}

fn write_acl(cloud: &mut Cloud, broker: &str, dir: &Path) -> Result<()> {
    let out = dir.display().to_string();
    cloud.service().tool(&["broker-acl", broker, "--out", &out], "").map(drop)
}

async fn create_driver(cloud: &Cloud, operator: &Client, password: &str) -> Result<(Client, i64, String)> {
    let id_tag = secret()[..14].to_uppercase();
    let create = "mutation($input: CreateUserInput!) { createUser(input: $input) { id } }";
    let input = json!({ "name": "Demo Driver", "email": DRIVER, "password": password, "role": "driver" });
    let answer = operator.ask(create, json!({ "input": input })).await?;
    let id = answer["createUser"]["id"].as_str().context("an id")?.to_owned();
    let add = "mutation($user: ID!, $token: String!) { addIdToken(userId: $user, token: $token) { id } }";
    operator.ask(add, json!({ "user": id, "token": id_tag })).await?;
    let driver = cloud.graphql().log_in(DRIVER, password).await?;
    Ok((driver, id.parse()?, id_tag))
}

async fn create_site(operator: &Client, stations: &[&str]) -> Result<Site> {
    let save = "mutation($input: CustomSiteCreateInputDto!) {
        createOrUpdateSiteWithChargePoints(input: $input) { siteId } }";
    let chargepoints: Vec<Value> = stations.iter().map(|station| charge_point(station)).collect();
    let data = json!({
        "name": "Harbour", "address": "1 Quay Street", "zip_code": 10115, "phone_number": "+4930901820",
        "default_price": 0.45, "location": { "type": "Point", "coordinates": [13.4, 52.5] },
        "chargepoints": chargepoints,
    });
    let answer = operator.ask(save, json!({ "input": { "data": data } })).await?;
    let id =
        answer.pointer("/createOrUpdateSiteWithChargePoints/siteId").and_then(whole).context("a siteId")?;
    let password = secret();
    let provision = "mutation($site: ID!, $stations: [StationInput!]!) {
        provisionStations(siteId: $site, stations: $stations) { identity } }";
    let list: Vec<Value> =
        stations.iter().map(|station| json!({ "identity": station, "password": password })).collect();
    operator.ask(provision, json!({ "site": id.to_string(), "stations": list })).await?;
    let stations = stations.iter().map(|&station| station.to_owned()).collect();
    Ok(Site { id, stations, password, id_tag: String::new(), driver: 0 })
}

fn charge_point(identity: &str) -> Value {
    json!({
        "chargePointHardwareId": identity, "chargePointName": identity, "power": 22,
        "connectors": [{
            "label": "A", "connectorId": 1, "chargePointHardwareId": identity, "connectorTypeName": "Type 2",
            "connectorTypeId": "2", "power": 22, "maxPower": 22, "price": 0.45, "priceUnit": "$/kWh",
        }],
    })
}

/// A whole number, also when it is written as a float, as this API does.
pub fn whole(value: &Value) -> Option<i64> {
    let text = value.to_string();
    text.strip_suffix(".0").unwrap_or(&text).trim_matches('"').parse().ok()
}
