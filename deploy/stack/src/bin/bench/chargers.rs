//! Many chargers against the agent, which commits every Start, Stop and MeterValues before its answer, and against the
//! small servers of what people would pick instead, in turn.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use firmware_sim::fleet::Credentials;
use firmware_sim::load::{self, LoadConfig, Mode, Report};
use nix::sys::signal::Signal;
use stack::ports;
use stack::process::{Process, RunAs, command};
use stack::workdir::Workdir;
use tokio::net::TcpStream;

use crate::figure::{Figure, millis};
use crate::stage::{PREFIX, Stage};

const MOST: u32 = 2_000;
const START_LIMIT: Duration = Duration::from_secs(20);

/// A way to load a server, and what we want of it.
struct Trial {
    work: &'static str,
    stations: u32,
    mode: Mode,
    told: fn(&Report) -> String,
    reach: &'static str,
}

const TRIALS: [Trial; 5] = [
    Trial {
        work: "calls, 100 chargers, closed loop",
        stations: 100,
        mode: Mode::Closed,
        told: rate,
        reach: "≥ 15 k/s, ≤ 60 µs",
    },
    Trial {
        work: "calls, 1,000 chargers, closed loop",
        stations: 1_000,
        mode: Mode::Closed,
        told: rate,
        reach: "≥ 15 k/s, ≤ 60 µs",
    },
    Trial {
        work: "p99 from due, 1,000 chargers at 2,000 calls/s",
        stations: 1_000,
        mode: Mode::Open { rate: 2_000 },
        told: p99,
        reach: "≤ 15 ms",
    },
    Trial {
        work: "2,000 chargers at once, all booted",
        stations: MOST,
        mode: Mode::Idle,
        told: boot,
        reach: "≤ 2 s",
    },
    Trial {
        work: "memory per idle charger, 1,000; whole",
        stations: 1_000,
        mode: Mode::Idle,
        told: memory,
        reach: "≤ 16 KB; ≤ 40 MB",
    },
];

/// Somebody to load: where it is, which process, and how its stations log in.
struct Server {
    url: String,
    pid: u32,
    password: Option<String>,
    tag: String,
    /// Ends it, in the end.
    _process: Option<Process>,
}

pub(crate) async fn measure(time: Duration, peers: Option<&Path>) -> Result<Vec<Figure>> {
    let dir = Workdir::new("peers")?;
    let mut figures = Vec::new();
    for trial in &TRIALS {
        let ours = ours(trial, time).await?;
        let mut others = Vec::new();
        for peer in peers.map(installed).unwrap_or_default() {
            let told = match run(trial, time, &peer.start(dir.path()).await?).await {
                Ok(report) => (trial.told)(&report),
                Err(_) => "gives up".into(),
            };
            others.push(format!("{}: {told}", peer.name));
        }
        figures.push(Figure::new(trial.work, ours).beside(others.join("; ")).reach(trial.reach));
    }
    Ok(figures)
}

/// A fresh agent for each trial, so that none inherits the memory of another.
async fn ours(trial: &Trial, time: Duration) -> Result<String> {
    let mut stage = Stage::build(MOST as usize).await?;
    stage.edge.service().set("EDGE_OCPP__MAX_CONNECTIONS", 20_000);
    stage.edge.service().stop().await?;
    stage.edge.start().await?;
    let server = Server {
        url: stage.edge.ocpp_url(),
        pid: stage.edge.service().process()?.pid(),
        password: Some(stage.site.password.clone()),
        tag: stage.site.id_tag.clone(),
        _process: None,
    };
    Ok((trial.told)(&run(trial, time, &server).await?))
}

async fn run(trial: &Trial, time: Duration, server: &Server) -> Result<Report> {
    let config = LoadConfig {
        url: server.url.clone(),
        credentials: Credentials::Numbered { prefix: PREFIX.into(), password: server.password.clone() },
        stations: trial.stations,
        mode: trial.mode,
        tag: server.tag.clone(),
        warm_up: Duration::from_secs(1),
        duration: if trial.mode == Mode::Idle { Duration::from_secs(1) } else { time },
        ramp: 0,
        server: Some(server.pid),
    };
    load::run(config).await
}

/// A peer that can be started as often as one likes.
struct Peer {
    name: &'static str,
    program: PathBuf,
    script: PathBuf,
    durable: bool,
}

fn installed(folder: &Path) -> Vec<Peer> {
    let (node, python) = (folder.join("node"), folder.join("python"));
    let server = node.join("server.js");
    vec![
        Peer { name: "Node", program: "node".into(), script: server.clone(), durable: false },
        Peer { name: "Node durable", program: "node".into(), script: server, durable: true },
        Peer {
            name: "Python",
            program: python.join("bin/python"),
            script: python.join("server.py"),
            durable: false,
        },
    ]
}

impl Peer {
    async fn start(&self, dir: &Path) -> Result<Server> {
        let port = ports::free()?;
        let mut command = command(&self.program, RunAs::Ourselves, Signal::SIGKILL);
        command.arg(&self.script).arg(port.to_string());
        if self.durable {
            command.arg(dir.join(format!("journal-{port}")));
        }
        let mut process = Process::start(self.name, command, dir.join("peer.log"))?;
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        process.ready(START_LIMIT, async || TcpStream::connect(address).await.ok()).await?;
        let (pid, url) = (process.pid(), format!("ws://{address}/ocpp"));
        Ok(Server { url, pid, password: None, tag: "TAG".into(), _process: Some(process) })
    }
}

fn rate(report: &Report) -> String {
    let cpu = report.server.and_then(|server| server.cpu_micros_per_call).unwrap_or_default();
    let p99 = millis(Duration::from_micros(report.latency.p99));
    let calls = report.calls_per_second();
    format!("{}.{} k/s, {cpu} µs, p99 {p99}{}", calls / 1_000, calls % 1_000 / 100, blemishes(report))
}

fn p99(report: &Report) -> String {
    format!("{}{}", millis(Duration::from_micros(report.latency.p99)), blemishes(report))
}

fn boot(report: &Report) -> String {
    millis(report.boot_time)
}

fn memory(report: &Report) -> String {
    let Some(server) = report.server else { return "?".into() };
    format!("{} B; {} MiB", server.bytes_per_station, server.rss_after_kib / 1024)
}

/// What would make a figure worthless.
fn blemishes(report: &Report) -> String {
    match (report.errors, report.losses) {
        (0, 0) => String::new(),
        (errors, losses) => format!(" ({errors} refused, {losses} lost)"),
    }
}
