//! The two map queries that every open app asks, at 1,000 sites of 4 connectors, by 16 clients.
//!
//! The clients write HTTP by hand: on two cores a comfortable client would be half of what is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::figure::{Figure, per_second};
use crate::stage::Stage;

const CLIENTS: usize = 16;
const SITES: i64 = 1_000;

pub(crate) async fn measure(time: Duration) -> Result<Vec<Figure>> {
    let stage = Stage::build(1).await?;
    let first = fill(&stage.db).await?;
    let address: SocketAddr = stage.cloud.http_url().trim_start_matches("http://").parse()?;
    let filter = json!(["Type 2", "CCS2"]);
    let site = |client: usize| {
        let id = first + i64::try_from(client).unwrap_or_default() * 61 % SITES;
        json!({
            "query": "query($i: InputFilterSiteDto!) { getFilteredSite(input: $i) {
                connector_type power price site_name site_address available available_ids total } }",
            "variables": { "i": { "siteId": id, "connectorTypesSelected": filter } },
        })
    };
    let markers = |_| {
        json!({
            "query": "query($i: InputFilterMarkersDto!) { getFilteredMarkers(input: $i) { siteid location available total } }",
            "variables": { "i": { "connectorTypesSelected": filter } },
        })
    };
    let sites = hammer(address, time, site).await?;
    let whole = hammer(address, time, markers).await?;
    Ok(vec![
        Figure::new("getFilteredSite, 16 clients, 1,000 sites × 4", per_second(sites, time))
            .reach("≥ 5.0 k/s"),
        Figure::new("whole getFilteredMarkers, the same", per_second(whole, time)).reach("≥ 200/s"),
    ])
}

/// Writes sites with two connectors each of two kinds; returns the first site's number.
async fn fill(db: &PgPool) -> Result<i64> {
    let sites = "insert into sites (name, address, location, default_price)
        select 'Site ' || n, n || ' Quay Street',
               jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(n % 360 - 180, n % 180 - 90)),
               0.45
        from generate_series(1, $1) n returning id";
    let ids: Vec<i64> = sqlx::query_scalar(sites).bind(SITES).fetch_all(db).await?;
    let stations = "insert into charge_points (site_id, charge_point_hardware_id, charge_point_name)
        select id, 'M' || id, 'M' || id from unnest($1::bigint[]) id";
    sqlx::query(stations).bind(&ids).execute(db).await?;
    let connectors =
        "insert into connectors (charge_point_id, site_id, connector_id, charge_point_hardware_id,
            connector_type_name, status_name, power, max_power, price)
        select c.id, c.site_id, n, c.charge_point_hardware_id, case when n < 3 then 'Type 2' else 'CCS2' end,
            case when n % 2 = 0 then 'Available' else 'Charging' end, n * 11, n * 11, 0.45
        from charge_points c, generate_series(1, 4) n where c.charge_point_hardware_id like 'M%'";
    sqlx::query(connectors).execute(db).await?;
    sqlx::query("analyze").execute(db).await?;
    ids.into_iter().min().context("some sites")
}

/// Asks over and over from all clients; returns how many answers came.
async fn hammer(
    address: SocketAddr,
    time: Duration,
    body: impl Fn(usize) -> serde_json::Value,
) -> Result<u64> {
    let deadline = Instant::now() + time;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let body = body(client).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        clients.spawn(ask_until(deadline, address, request));
    }
    let mut answers = 0;
    while let Some(count) = clients.join_next().await {
        answers += count??;
    }
    Ok(answers)
}

async fn ask_until(deadline: Instant, address: SocketAddr, request: String) -> Result<u64> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    socket.get_ref().set_nodelay(true)?;
    let (mut answers, mut line, mut body) = (0, String::new(), Vec::new());
    while Instant::now() < deadline {
        socket.get_mut().write_all(request.as_bytes()).await?;
        let mut length = None;
        loop {
            line.clear();
            ensure!(socket.read_line(&mut line).await? > 0, "the cloud hung up");
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        body.resize(length.context("an answer of known length")?, 0);
        socket.read_exact(&mut body).await?;
        ensure!(
            body.starts_with(b"{\"data\":{"),
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(300)])
        );
        answers += 1;
    }
    Ok(answers)
}
