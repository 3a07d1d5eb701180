//! The site gateway: it terminates OCPP from the chargers, decides by itself, keeps every session in SQLite, and syncs
//! with the cloud when there is one.
//!
//! In OCPP terms it is a CSMS, a site-local one, and not a "Local Controller" (2.0.1 Part 4 §6): it answers by itself
//! while the internet is away.
//!
//! ```text
//! station ── ocpp::server ── ocpp::link ──► site (core decides · store commits · then replies) ◄── sync ── MQTT ── cloud
//! ```

pub mod clock;
pub mod config;
pub mod core;
pub mod doors;
pub mod enroll;
pub mod files;
pub mod frames;
pub mod local;
pub mod ocpp;
pub mod pki;
pub mod site;
pub mod store;
pub mod sync;
pub mod tls;
pub mod trace;
pub mod workshop;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusBuilder;
use shared::model::CommandResult;
use shared::model::event::{Event, SecurityNoticed};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use traces::{Courier, Traces};

use clock::Clock;
use config::Config;
use core::{Core, Write};
use enroll::Identity;
use frames::{FrameLog, Room};
use ocpp::caps::{Caps, Pace};
use ocpp::credentials::Directory;
use ocpp::link::Settings;
use ocpp::server::Server;
use ocpp::visitors;
use pki::Authority;
use site::{Links, Message, Site};
use store::{Budget, Damage, Opened, Stamp, Store};
use trace::{LaneTrace, SiteTrace};
use workshop::Workshop;

/// How long the last commits may take when the agent stops.
const STOPPING: Duration = Duration::from_secs(10);

/// The first snapshot comes when the stations are back.
const FIRST_SNAPSHOT: Duration = Duration::from_mins(2);

/// Runs the agent until `stop`, or until its database fails.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder().context("starting the metrics")?;
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("creating {}", config.data_dir.display()))?;
    let budget =
        Budget { megabytes: config.store.megabytes, ballast_megabytes: config.store.ballast_megabytes };
    let Opened { store, restored, last_committed, damages, failed } =
        Store::open_within(&config.data_dir, budget)?;
    let clock = Arc::new(Clock::new(last_committed));
    let (traces, courier) = start_traces(&config, &clock);
    let directory = Arc::new(Directory::new(config.ocpp.max_failed_logins));

    let room = Room { per_station: config.frames.keep_per_station, megabytes: config.frames.keep_megabytes };
    let frames = FrameLog::open(&config.data_dir, room)?;

    let (to_site, inbox) = mpsc::channel(site::INBOX);
    let (results, fast_path) = mpsc::channel(64);
    let (documents, held) = watch::channel(Vec::new());
    let (online, is_online) = watch::channel(false);
    let authority = Arc::new(Authority::open(&config.data_dir, clock.now())?);
    let doors::Opened { doors, files: acceptor } = doors::open(&config, &authority, &clock, &stop)?;
    let mut core = Core::new(Box::new(clock::uuid_at), restored);
    // Stations that are told to trust the authority shall find it behind what the doors show.
    let shown = config.tls.certificate.is_none();
    let pem = if shown { authority.pem().to_owned() } else { String::new() };
    core.set_doors(doors.iter().map(|door| (door.profile(), door.address.port())).collect(), pem);
    core.set_patience_with_files(Duration::from_mins(config.files.stalled_minutes.into()));
    directory.replace(core.directory());
    directory.open(core.gate());
    let (to_files, jobs) = mpsc::channel(files::JOBS);
    let site = Site {
        core,
        store: store.clone(),
        clock: clock.clone(),
        directory: directory.clone(),
        results,
        documents,
        links: Links::default(),
        files: to_files,
        workshop: Workshop { authority },
        made: Vec::new(),
        unasked: Vec::new(),
        installers: Vec::new(),
        ordered: HashMap::new(),
        trace: SiteTrace::new(traces.clone()),
        stop: stop.child_token(),
    };
    let site = tokio::spawn(site.run(inbox));
    tell_damage(&store, &clock, &damages).await?;

    let setting = files::Setting {
        config: &config.files,
        sync: &config.sync,
        data_dir: &config.data_dir,
        acceptor,
        directory: directory.clone(),
        site: to_site.clone(),
        clock: clock.clone(),
        online: is_online.clone(),
        stop: stop.clone(),
    };
    let (files, images) = files::start(setting, jobs)?;
    let pages = TcpListener::bind(&config.local.listen).await;
    let pages = pages.with_context(|| format!("listening on {}", config.local.listen))?;
    announce(&config.data_dir, &doors, &files, &pages)?;
    let local = local::Local {
        site: to_site.clone(),
        position: store.position(),
        store: store.clone(),
        damages,
        frames: frames.clone(),
        online: is_online,
        metrics,
        authority: pki::authority_file(&config.data_dir),
        guard: Arc::new(local::Guard::new(config.data_dir.clone())?),
        directory: directory.clone(),
        clock: clock.clone(),
        images,
    };
    tokio::spawn(serve_pages(pages, local, stop.clone()));
    let server = door_keeper(&config, directory, &to_site, (&clock, &frames));
    doors.into_iter().for_each(|door| door.serve(server.clone(), stop.clone()));
    let uplink =
        Uplink { fast_path, held, online, site: to_site.clone(), clock: clock.clone(), frames, traces };
    let uplink = tokio::spawn(uplink.run(config.clone(), store.clone()));
    tokio::spawn(keep_snapshots(
        store.clone(),
        Duration::from_mins(config.store.snapshot_minutes.max(1).into()),
    ));
    tokio::spawn(keep_tidy(store, clock, config.sync.keep_days));

    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let outcome = until_stopped(&stop, failed, uplink).await;
    tracing::info!("stopping: no new connections, what was received is still committed");
    stop.cancel();
    let _ = tokio::time::timeout(STOPPING, site).await;
    courier.finish().await;
    outcome
}

/// Nobody charges less because a collector cannot be used.
fn start_traces(config: &Config, clock: &Clock) -> (Traces, Courier) {
    let version = env!("CARGO_PKG_VERSION");
    Traces::start(&config.traces, "edge-agent", version, clock.boot.to_string()).unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "sessions are not traced");
        Default::default()
    })
}

/// Waits for the end: the stop signal, or a failure that only a restart mends.
async fn until_stopped(
    stop: &CancellationToken,
    failed: oneshot::Receiver<anyhow::Error>,
    uplink: tokio::task::JoinHandle<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        Ok(error) = failed => Err(error),
        ended = uplink => ended.context("the sync task stopped")?.context("syncing with the cloud"),
    }
}

fn door_keeper(
    config: &Config,
    directory: Arc<Directory>,
    site: &mpsc::Sender<Message>,
    (clock, frames): (&Arc<Clock>, &FrameLog),
) -> Arc<Server> {
    let settings = Settings {
        heartbeat_seconds: u16::try_from(config.ocpp.heartbeat_seconds).unwrap_or(u16::MAX),
        answer: Duration::from_secs(config.ocpp.answer_seconds.max(1)),
        silence: Duration::from_secs(config.ocpp.silence_seconds.max(2)),
        pace: Pace::messages(config.ocpp.messages_per_second),
    };
    Arc::new(Server {
        directory,
        site: site.clone(),
        settings: Arc::new(settings),
        clock: clock.clone(),
        caps: Caps::new(
            config.ocpp.max_connections,
            config.ocpp.max_connections_per_address,
            config.ocpp.handshakes_per_minute,
        ),
        frames: frames.clone(),
        max_message_bytes: config.ocpp.max_message_bytes,
        presence: Default::default(),
        waiting: Arc::new(Semaphore::new(visitors::WAITING)),
        next_link: AtomicU64::new(1),
    })
}

/// What the sync task needs besides the store.
struct Uplink {
    fast_path: mpsc::Receiver<CommandResult>,
    held: watch::Receiver<Vec<shared::model::document::DocumentVersion>>,
    online: watch::Sender<bool>,
    site: mpsc::Sender<Message>,
    clock: Arc<Clock>,
    frames: FrameLog,
    traces: Traces,
}

impl Uplink {
    /// A gateway that is not enrolled yet serves its stations and waits.
    async fn run(self, config: Config, store: Store) -> anyhow::Result<()> {
        let Some(identity) = wait_for_identity(&config.data_dir).await? else { return Ok(()) };
        tracing::info!(gateway = %identity.gateway, "syncing with the cloud");
        let Uplink { fast_path, held, online, site, clock, frames, traces } = self;
        let config = config.sync;
        let trace = LaneTrace::new(traces, identity.gateway);
        sync::Sync {
            identity,
            config,
            store,
            site,
            clock,
            results: fast_path,
            documents: held,
            online,
            frames,
            trace,
        }
        .run()
        .await
    }
}

async fn wait_for_identity(data_dir: &Path) -> anyhow::Result<Option<Identity>> {
    let mut told = false;
    loop {
        if let Some(identity) = Identity::load(data_dir)? {
            return Ok(Some(identity));
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!("not enrolled yet: run `edge-agent enroll`; nothing is lost meanwhile");
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn serve_pages(listener: TcpListener, local: local::Local, stop: CancellationToken) {
    let pages = local::router(local).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, pages).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the local pages stopped");
    }
}

/// An alarm for the cloud, which keeps it until somebody has looked.
async fn tell_damage(store: &Store, clock: &Clock, damages: &[Damage]) -> anyhow::Result<()> {
    if damages.is_empty() {
        return Ok(());
    }
    let (at, quality) = (clock.now(), clock.quality());
    let stamp = Stamp { at, clock: quality, boot: clock.boot, mono_ms: clock.mono_ms() };
    let notice = |damage: &Damage| {
        let (what, detail) = (damage.what.clone(), damage.detail.clone());
        Write::Event(Event::SecurityNoticed(SecurityNoticed { station: None, what, detail, at }))
    };
    store.commit(stamp, damages.iter().map(notice).collect(), Vec::new()).await?;
    Ok(store.damage_told().await?)
}

/// A snapshot soon after the start, and then one every hour or as often as wanted.
async fn keep_snapshots(store: Store, every: Duration) {
    let mut wait = FIRST_SNAPSHOT.min(every);
    loop {
        tokio::time::sleep(wait).await;
        match store.snapshot().await {
            Ok(()) => metrics::counter!("edge_store_snapshots_total", "result" => "made").increment(1),
            Err(error) => {
                metrics::counter!("edge_store_snapshots_total", "result" => "failed").increment(1);
                tracing::error!(error = format!("{error:#}"), "no snapshot could be made");
            }
        }
        wait = every;
    }
}

/// Once an hour, deletes what has been acknowledged for long enough.
async fn keep_tidy(store: Store, clock: Arc<Clock>, keep_days: u32) {
    loop {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let since = clock.now().plus_millis(-86_400_000 * i64::from(keep_days));
        if store.retain(since).await.is_err() {
            return;
        }
    }
}

/// Says where we listen: in the log, and in a file for tools, because port 0 lets the system choose.
fn announce(
    data_dir: &Path,
    doors: &[doors::Open],
    files: &files::Addresses,
    pages: &TcpListener,
) -> anyhow::Result<()> {
    let mut listening = serde_json::Map::new();
    let doors = doors.iter().map(|door| (door.name, door.address)).chain(files.named());
    for (name, address) in doors.chain([("local", pages.local_addr()?)]) {
        tracing::info!(name, %address, "listening");
        listening.insert(name.to_owned(), address.to_string().into());
    }
    let text = serde_json::Value::from(listening).to_string();
    let (path, draft) = (data_dir.join("listening.json"), data_dir.join("listening.json.new"));
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, &path))
        .context("writing listening.json")
}
