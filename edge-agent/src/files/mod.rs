//! Where files lie between the cloud and the stations.
//!
//! An image is fetched from the cloud once and served from here to any number of stations, also when the internet is gone by
//! then. A log that a station brings is whole on the disk before the station hears so, and is passed on when the cloud is
//! there. What a station is told is always an address of this gateway's own: no app can point a station, or us, anywhere
//! else (a server-side request forgery would need that).
//!
//! Each errand has a place of its own, with a secret in its address, open until the errand is over.

mod cache;
mod cloud;
mod fetch;
mod forward;
mod ftp;
mod images;
mod inbox;
mod listen;
mod place;
mod serve;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::id::CommandId;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use images::Images;
pub use listen::{Addresses, Doors};

use crate::clock::Clock;
use crate::config;
use crate::core::{Errand, Input, Slot, Work};
use crate::ocpp::credentials::Directory;
use crate::site::Message;
use cache::Cache;
use cloud::Cloud;
use inbox::Inbox;
use place::{Place, Places};

/// Jobs that may wait. There are no more than open commands.
pub const JOBS: usize = 1024;
/// Images fetched from the cloud at a time.
const FETCHES: usize = 2;
/// An image that is not here after so long was not meant to be.
const FETCH_TIME: Duration = Duration::from_hours(6);

/// What the site wants of its files.
#[derive(Debug)]
pub enum Job {
    /// Make the place of an errand ready, for a station that reached us so.
    Prepare(Box<Errand>, Option<Reached>),
    /// Keep open what was open before a restart.
    Serve(Box<Errand>),
    /// Close a place.
    Close(CommandId),
}

/// Where a station's connection came in: there it can find us again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Our address, as the station sees it.
    pub address: IpAddr,
    /// Does it know TLS?
    pub tls: bool,
}

/// What the files work with.
pub struct Setting<'a> {
    /// The settings.
    pub config: &'a config::Files,
    /// Settings of the way to the cloud.
    pub sync: &'a config::Sync,
    /// Where to keep them.
    pub data_dir: &'a Path,
    /// The certificate to show stations, for HTTPS.
    pub acceptor: Option<TlsAcceptor>,
    /// Who may be served.
    pub directory: Arc<Directory>,
    /// Whom to tell.
    pub site: mpsc::Sender<Message>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Is the cloud there?
    pub online: watch::Receiver<bool>,
    /// When to end.
    pub stop: CancellationToken,
}

/// The files' own state; shared by its servers.
pub(crate) struct Files {
    addresses: Addresses,
    host: Option<String>,
    place_time_ms: i64,
    places: Places,
    cache: Cache,
    inbox: Inbox,
    cloud: Cloud,
    fetches: Semaphore,
    directory: Arc<Directory>,
    site: mpsc::Sender<Message>,
    clock: Arc<Clock>,
}

/// Opens the folders and the doors, and begins to work. Returns where the doors are, and the images.
///
/// # Errors
/// When a folder cannot be made or an address is in use.
pub fn start(setting: Setting<'_>, mut jobs: mpsc::Receiver<Job>) -> anyhow::Result<(Addresses, Images)> {
    let config = setting.config;
    let doors = Doors::open(config, setting.acceptor)?;
    let addresses = doors.addresses();
    let folder = setting.data_dir.join("files");
    let files = Arc::new(Files {
        addresses,
        host: Some(config.address.clone()).filter(|address| !address.is_empty()),
        place_time_ms: i64::from(config.open_hours) * 3_600_000,
        places: Places::default(),
        cache: Cache::open(&folder.join("firmware"), config)?,
        inbox: Inbox::open(&folder.join("logs"), config, setting.site.clone())?,
        cloud: Cloud::new(setting.data_dir, setting.sync)?,
        fetches: Semaphore::new(FETCHES),
        directory: setting.directory,
        site: setting.site,
        clock: setting.clock,
    });
    doors.serve(&files, &setting.stop);
    let forward = forward::run(files.clone(), setting.online, config.keep_hours);
    tokio::spawn(setting.stop.clone().run_until_cancelled_owned(forward));
    let images = Images(files.clone());
    tokio::spawn(setting.stop.run_until_cancelled_owned(async move {
        while let Some(job) = jobs.recv().await {
            files.clone().take(job);
        }
    }));
    Ok((addresses, images))
}

impl Files {
    fn take(self: Arc<Self>, job: Job) {
        match job {
            Job::Close(command) => self.places.close(command),
            Job::Serve(errand) => {
                if let Some(slot) = errand.slot.clone() {
                    self.open(&errand, slot);
                }
            }
            Job::Prepare(errand, reached) => {
                tokio::spawn(async move {
                    let prepared = self.prepare(&errand, reached).await;
                    if let Err(reason) = &prepared {
                        tracing::warn!(station = %errand.station, reason, "a file's place cannot be made");
                    }
                    let input = Input::Prepared { command: errand.command, prepared };
                    // The site is gone: nobody waits any more.
                    let _ = self.site.send(Message::Input(input)).await;
                });
            }
        }
    }

    /// Fetches what has to be here and opens the place; or says why not, for a person.
    async fn prepare(&self, errand: &Errand, reached: Option<Reached>) -> Result<Slot, String> {
        let reached = reached.ok_or("the station left")?;
        let transfer = match &errand.work {
            Work::Firmware(update) => update.transfer,
            Work::Log(log) => log.transfer,
        };
        // Before anything is fetched in vain.
        let way = self.addresses.way(transfer, reached)?;
        if let Work::Firmware(update) = &errand.work {
            let _turn = self.fetches.acquire().await.map_err(|_| "the gateway stops")?;
            let wanted = self.places.images();
            let held = self.cache.hold(&update.image, &wanted, &self.cloud);
            match tokio::time::timeout(FETCH_TIME, held).await {
                Ok(held) => {
                    held.map_err(|error| format!("the gateway could not get the image: {error:#}"))?
                }
                Err(_) => return Err("the gateway could not get the image in time".into()),
            }
        }
        let secret = place::secret();
        let host = self.host.clone().unwrap_or_else(|| listen::host_of(reached.address));
        let location = place::location(errand, way, &host, &secret);
        let until = self.clock.now().plus_millis(self.place_time_ms);
        let slot = Slot { secret, location, until: place::until(errand, until, self.place_time_ms) };
        self.open(errand, slot.clone());
        Ok(slot)
    }

    fn open(&self, errand: &Errand, slot: Slot) {
        self.places.open(Place::new(errand, slot));
    }

    /// The open place that a secret names, of a station that still belongs here.
    fn place(&self, secret: &str) -> Option<Place> {
        let place = self.places.find(secret, self.clock.now())?;
        self.directory.knows(&place.station).then_some(place)
    }
}
