//! Load: thousands of stations that do nothing but call, to find out what a CSMS can take.
//!
//! Lean on purpose, because it runs on the machine that it measures: prepared frames, no station behind them, one task
//! per socket. In the *closed* loop a station calls again as soon as it is answered; in the *open* loop calls are due at
//! fixed times and latency counts from when a call was due, so that a server that stalls cannot hide it.

mod histogram;
pub mod hostile;
mod report;
mod script;
mod server;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::{SinkExt, StreamExt};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use self::histogram::Histogram;
pub use self::histogram::Quantiles;
pub use self::report::{Report, ServerCost};
use self::script::Script;
use self::server::Usage;
use crate::clock::random;
use crate::config::StationConfig;
use crate::dial::{Socket, dial};
use crate::fleet::Credentials;

/// How stations call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As soon as the last call is answered.
    Closed,
    /// So many calls a second in all.
    Open {
        /// Calls a second, over all stations.
        rate: u32,
    },
    /// Not at all after the boot: what does a connection cost?
    Idle,
}

/// A run.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Where the CSMS is.
    pub url: String,
    /// Who calls.
    pub credentials: Credentials,
    /// How many stations.
    pub stations: u32,
    /// How they call.
    pub mode: Mode,
    /// The token that they charge with.
    pub tag: String,
    /// Before measuring.
    pub warm_up: Duration,
    /// Measuring.
    pub duration: Duration,
    /// New connections a second; 0 is all at once.
    pub ramp: u32,
    /// The server's process, to measure what it costs.
    pub server: Option<u32>,
}

/// What all stations of a run share.
struct Run {
    config: LoadConfig,
    phase: AtomicU8,
    booted: AtomicU64,
    calls: AtomicU64,
    sessions: AtomicU64,
    errors: AtomicU64,
    losses: AtomicU64,
    latency: Histogram,
    first_error: OnceLock<String>,
    /// Handshakes at a time: a burst that the kernel's backlog takes.
    handshakes: Semaphore,
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
const FIRST_BOOT_PATIENCE: Duration = Duration::from_secs(10);
const BOOT_PATIENCE: Duration = Duration::from_secs(120);
const HANDSHAKES: usize = 4_000;

/// Runs a load and reports.
pub async fn run(config: LoadConfig) -> anyhow::Result<Report> {
    let stations = config.stations;
    let run = Arc::new(Run {
        config,
        phase: AtomicU8::new(WARMING),
        booted: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        sessions: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        losses: AtomicU64::new(0),
        latency: Histogram::new(),
        first_error: OnceLock::new(),
        handshakes: Semaphore::new(HANDSHAKES),
    });
    let before = Usage::of(run.config.server)?;
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..stations {
        tasks.spawn(station(run.clone(), number, began));
    }
    all_booted(&run, began).await?;
    let boot_time = began.elapsed();
    sleep(run.config.warm_up).await;
    let (idle, from) = (Usage::of(run.config.server)?, Instant::now());
    run.phase.store(MEASURING, Ordering::Relaxed);
    sleep(run.config.duration).await;
    run.phase.store(OVER, Ordering::Relaxed);
    let (took, after) = (from.elapsed(), Usage::of(run.config.server)?);
    tasks.abort_all();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Report {
        mode: run.config.mode,
        stations,
        boot_time,
        took,
        calls: count(&run.calls),
        sessions: count(&run.sessions),
        errors: count(&run.errors),
        losses: count(&run.losses),
        latency: run.latency.quantiles(),
        server: report::server_cost(before, idle, after, count(&run.calls), stations),
    })
}

/// Waits until every station is booted; gives up early when none is.
async fn all_booted(run: &Run, began: Instant) -> anyhow::Result<()> {
    let stations = u64::from(run.config.stations);
    loop {
        let booted = run.booted.load(Ordering::Relaxed);
        if booted >= stations {
            return Ok(());
        }
        let patience = if booted == 0 { FIRST_BOOT_PATIENCE } else { BOOT_PATIENCE };
        anyhow::ensure!(
            began.elapsed() < patience,
            "{booted} of {stations} stations were booted after {patience:?}; the first error was: {}",
            run.first_error.get().map_or("none, the server does not answer", String::as_str),
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// One station: dials, boots and calls until the run is over, again whenever its socket is lost.
async fn station(run: Arc<Run>, number: u32, began: Instant) {
    if run.config.ramp > 0 {
        let at = Duration::from_secs(1) * number / run.config.ramp;
        sleep_until(began + at).await;
    }
    let (identity, password) = run.config.credentials.of(number);
    let mut config = StationConfig::new(run.config.url.clone(), identity);
    config.password = password;
    let mut script = Script::new(&run.config.tag);
    let mut booted = false;
    while run.phase.load(Ordering::Relaxed) != OVER {
        if let Err(error) = connection(&run, &config, &mut script, number, &mut booted).await {
            tracing::debug!(station = config.identity, %error, "connection lost");
            run.losses.fetch_add(1, Ordering::Relaxed);
            run.first_error.get_or_init(|| format!("{}: {error:#}", config.identity));
        }
        sleep(Duration::from_millis(200 + random() % 800)).await;
    }
}

async fn connection(
    run: &Run,
    config: &StationConfig,
    script: &mut Script,
    number: u32,
    booted: &mut bool,
) -> anyhow::Result<()> {
    let mut socket = {
        let _turn = run.handshakes.acquire().await?;
        dial(config).await?
    };
    exchange(&mut socket, &script.boot(), script).await?;
    if !std::mem::replace(booted, true) {
        run.booted.fetch_add(1, Ordering::Relaxed);
    }
    match run.config.mode {
        Mode::Closed => loop {
            call(run, &mut socket, script, Instant::now()).await?;
        },
        Mode::Open { rate } => {
            let interval = Duration::from_secs(1) * run.config.stations / rate.max(1);
            let mut due = Instant::now() + interval * number / run.config.stations.max(1);
            loop {
                sleep_until(due).await;
                call(run, &mut socket, script, due).await?;
                due += interval;
            }
        }
        Mode::Idle => {
            while let Some(message) = socket.next().await {
                message?;
            }
            anyhow::bail!("closed")
        }
    }
}

/// One call of the script, its latency counted from when it was due.
async fn call(run: &Run, socket: &mut Socket, script: &mut Script, due: Instant) -> anyhow::Result<()> {
    let text = script.next();
    let accepted = exchange(socket, &text, script).await?;
    if run.phase.load(Ordering::Relaxed) == MEASURING {
        run.latency.record(due.elapsed());
        run.calls.fetch_add(1, Ordering::Relaxed);
        if !accepted {
            run.errors.fetch_add(1, Ordering::Relaxed);
        }
        if script.session_ended() {
            run.sessions.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Sends a call and waits for its answer. `false`: it was refused.
async fn exchange(socket: &mut Socket, text: &str, script: &mut Script) -> anyhow::Result<bool> {
    socket.send(Message::text(text)).await?;
    let answer = async {
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message?
                && let Some(accepted) = script.answered(&text)
            {
                return anyhow::Ok(accepted);
            }
        }
        anyhow::bail!("closed")
    };
    timeout(ANSWER_PATIENCE, answer).await?
}
