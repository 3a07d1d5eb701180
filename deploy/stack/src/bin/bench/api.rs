//! The map queries that every open app asks, by 16 clients, at three sizes of 4 connectors per site; and the same asked of
//! PostGraphile over the same tables in the same Postgres.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::PgPool;
use stack::ports;
use stack::process::{Process, RunAs, command};
use tokio::net::TcpStream;

use crate::figure::Figure;
use crate::hammer::hammer;
use crate::plans;
use crate::stage::Stage;

const SIZES: [i64; 3] = [200, 1_000, 20_000];
const START_LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn measure(time: Duration, peers: Option<&Path>) -> Result<Vec<Figure>> {
    let mut stage = Stage::build(1).await?;
    let mut figures = Vec::new();
    for size in SIZES {
        fill(&stage.db, size).await?;
        let ours: SocketAddr = stage.cloud.http_url().trim_start_matches("http://").parse()?;
        let theirs = match peers {
            Some(folder) => Some(PostGraphile::start(folder, &stage).await?),
            None => None,
        };
        for work in WORK {
            let answers = hammer(ours, time, |client| (work.ours)(client, size)).await?;
            let name = format!("{}, {size} sites × 4, {} kB", work.name, answers.kilobytes());
            let mut figure = Figure::new(name, answers.told());
            if let Some(peer) = &theirs {
                let answers = hammer(peer.address, time, |client| (work.theirs)(client, size)).await?;
                figure = figure.beside(format!("PostGraphile {}", answers.told()));
            }
            figures.push(if size == 1_000 { figure.reach(work.reach) } else { figure });
        }
    }
    plans::print(&mut stage, WORK.iter().map(|work| (work.name, (work.ours)(0, 20_000)))).await?;
    Ok(figures)
}

/// One query, as ours and as theirs.
struct Work {
    name: &'static str,
    ours: fn(usize, i64) -> Value,
    theirs: fn(usize, i64) -> Value,
    reach: &'static str,
}

const WORK: [Work; 3] = [
    Work { name: "getFilteredSite", ours: our_site, theirs: their_site, reach: "≥ 5.0 k/s" },
    Work { name: "getFilteredMarkers of a city", ours: our_city, theirs: their_city, reach: "–" },
    Work { name: "whole getFilteredMarkers", ours: our_markers, theirs: their_markers, reach: "≥ 200/s" },
];

fn kinds() -> Value {
    json!(["Type 2", "CCS2"])
}

fn site(client: usize, size: i64) -> i64 {
    FIRST + i64::try_from(client).unwrap_or_default() * 61 % size
}

/// Half a degree of the strip where the sites are: some 8 of 20,000.
fn city(client: usize) -> (f64, f64, f64, f64) {
    let west = f64::from(u8::try_from(client).unwrap_or_default()) - 8.0;
    (west, 47.0, west + 0.5, 47.5)
}

fn our_site(client: usize, size: i64) -> Value {
    let query = "query($i: InputFilterSiteDto!) { getFilteredSite(input: $i) {
        connector_type power price site_name site_address available available_ids total } }";
    json!({ "query": query, "variables": { "i": { "siteId": site(client, size), "connectorTypesSelected": kinds() } } })
}

const OUR_MARKERS: &str =
    "query($i: InputFilterMarkersDto!) { getFilteredMarkers(input: $i) { siteid location available total } }";

fn our_markers(_: usize, _: i64) -> Value {
    json!({ "query": OUR_MARKERS, "variables": { "i": { "connectorTypesSelected": kinds() } } })
}

fn our_city(client: usize, _: i64) -> Value {
    let (west, south, east, north) = city(client);
    let within = json!({ "west": west, "south": south, "east": east, "north": north });
    let input = json!({ "connectorTypesSelected": kinds(), "boundingBox": within });
    json!({ "query": OUR_MARKERS, "variables": { "i": input } })
}

fn their_site(client: usize, size: i64) -> Value {
    let query = "query($site: BigInt, $types: [String]) { getFilteredSiteList(siteId: $site, types: $types) {
        connectorType power price siteName siteAddress available availableIds total } }";
    json!({ "query": query, "variables": { "site": site(client, size).to_string(), "types": kinds() } })
}

const THEIR_MARKERS: &str =
    "query($types: [String], $west: Float, $south: Float, $east: Float, $north: Float) {
    getFilteredMarkersList(types: $types, west: $west, south: $south, east: $east, north: $north) {
        siteid location available total } }";

fn their_markers(_: usize, _: i64) -> Value {
    json!({ "query": THEIR_MARKERS, "variables": { "types": kinds() } })
}

fn their_city(client: usize, _: i64) -> Value {
    let (west, south, east, north) = city(client);
    let variables = json!({ "types": kinds(), "west": west, "south": south, "east": east, "north": north });
    json!({ "query": THEIR_MARKERS, "variables": variables })
}

/// The peer on the stage's database.
struct PostGraphile {
    address: SocketAddr,
    _process: Process,
}

impl PostGraphile {
    async fn start(peers: &Path, stage: &Stage) -> Result<Self> {
        let functions = std::fs::read_to_string(peers.join("node/map.sql"))?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(functions)).execute(&stage.db).await?;
        let port = ports::free()?;
        let mut command = command(&PathBuf::from("node"), RunAs::Ourselves, Signal::SIGKILL);
        command.arg(peers.join("node/postgraphile.js")).arg(port.to_string()).arg(&stage.database_url);
        command.env("NODE_ENV", "production");
        let mut process = Process::start("PostGraphile", command, stage.dir().join("postgraphile.log"))?;
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        process.ready(START_LIMIT, async || TcpStream::connect(address).await.ok()).await?;
        Ok(Self { address, _process: process })
    }
}

/// The number of the first of our sites.
const FIRST: i64 = 1_000_000;

/// So many sites with two connectors each of two kinds, spread over 30 × 20 degrees.
pub(crate) async fn fill(db: &PgPool, sites: i64) -> Result<()> {
    sqlx::query("delete from sites where id >= $1").bind(FIRST).execute(db).await?;
    sqlx::query(
        "with s as (
             insert into sites (id, name, address, location, default_price)
             select $1 + n, 'Site ' || n, n || ' Quay Street', jsonb_build_object('type', 'Point', 'coordinates',
                 jsonb_build_array(n * 7919 % 30000 / 1000.0 - 10, n * 104729 % 20000 / 1000.0 + 40)), 0.45
             from generate_series(0, $2 - 1) n returning id),
         p as (
             insert into charge_points (site_id, charge_point_hardware_id, charge_point_name)
             select id, 'M' || id, 'M' || id from s returning id, site_id)
         insert into connectors (charge_point_id, site_id, connector_id, charge_point_hardware_id,
             connector_type_name, status_name, power, max_power, price)
         select p.id, p.site_id, n, 'M' || p.site_id, case when n < 3 then 'Type 2' else 'CCS2' end,
             case when n % 2 = 0 then 'Available' else 'Charging' end, n * 11, n * 11, 0.45
         from p, generate_series(1, 4) n",
    )
    .bind(FIRST)
    .bind(sites)
    .execute(db)
    .await?;
    sqlx::query("vacuum analyze").execute(db).await?;
    Ok(())
}
