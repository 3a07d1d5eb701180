//! FTP, as chargers of 1.6 know it: a user and a password for each place, passive mode, one file in or out. There are no
//! folders: whatever path a station names, it means its one file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use libunftp::ServerBuilder;
use tokio::io::{AsyncRead, AsyncSeekExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use unftp_core::auth::{
    AuthenticationError, Authenticator, Credentials, Principal, UserDetail, UserDetailError,
    UserDetailProvider,
};
use unftp_core::storage::{Error, ErrorKind, FEATURE_RESTART, Fileinfo, Metadata, Result, StorageBackend};

use super::Files;
use super::inbox::NotTaken;
use super::place::{self, Place};

/// Connections at most.
const AT_ONCE: usize = 32;
/// Seconds that a station may be idle.
const IDLE: u64 = 60;

/// Lets stations in.
pub(super) async fn accept(listener: TcpListener, passive: std::ops::RangeInclusive<u16>, files: Arc<Files>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "accepting an FTP connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let storage = files.clone();
        let server = ServerBuilder::with_user_detail_provider(
            Box::new(move || Storage(storage.clone())),
            Arc::new(Door(files.clone())),
        )
        .authenticator(Arc::new(Door(files.clone())))
        .greeting("files of this site's stations")
        .passive_ports(passive.clone())
        .idle_session_timeout(IDLE)
        .build();
        match server {
            Ok(server) => drop(tokio::spawn(async move {
                let _turn = turn;
                if let Err(error) = server.service(socket).await {
                    tracing::info!(%error, "an FTP connection ended early");
                }
            })),
            Err(error) => tracing::error!(%error, "FTP cannot be served"),
        }
    }
}

/// Checks who comes: the user names the place's command, the password is its secret.
struct Door(Arc<Files>);

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// A station at its place. The secret stays with it, so that a place that is closed meanwhile is closed for it, too.
struct Guest {
    secret: String,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guest")
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a station")
    }
}

impl UserDetail for Guest {}

#[async_trait::async_trait]
impl Authenticator for Door {
    async fn authenticate(
        &self,
        user: &str,
        shown: &Credentials,
    ) -> std::result::Result<Principal, AuthenticationError> {
        let secret = shown.password.as_deref().unwrap_or_default();
        match self.0.place(secret) {
            Some(place) if place::user(place.command) == user => {
                Ok(Principal { username: secret.to_owned() })
            }
            Some(_) | None => Err(AuthenticationError::BadPassword),
        }
    }
}

#[async_trait::async_trait]
impl UserDetailProvider for Door {
    type User = Guest;

    async fn provide_user_detail(
        &self,
        principal: &Principal,
    ) -> std::result::Result<Guest, UserDetailError> {
        Ok(Guest { secret: principal.username.clone() })
    }
}

/// The one file of each place, as a file system.
struct Storage(Arc<Files>);

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Storage")
    }
}

#[derive(Clone, Debug)]
struct Facts {
    size: u64,
    is_folder: bool,
}

impl Metadata for Facts {
    fn len(&self) -> u64 {
        self.size
    }
    fn is_dir(&self) -> bool {
        self.is_folder
    }
    fn is_file(&self) -> bool {
        !self.is_folder
    }
    fn is_symlink(&self) -> bool {
        false
    }
    fn modified(&self) -> Result<SystemTime> {
        Ok(SystemTime::UNIX_EPOCH)
    }
    fn gid(&self) -> u32 {
        0
    }
    fn uid(&self) -> u32 {
        0
    }
}

impl Storage {
    fn place(&self, guest: &Guest) -> Result<Place> {
        self.0.place(&guest.secret).ok_or_else(|| Error::from(ErrorKind::PermissionDenied))
    }
}

#[async_trait::async_trait]
impl StorageBackend<Guest> for Storage {
    type Metadata = Facts;

    fn supported_features(&self) -> u32 {
        FEATURE_RESTART
    }

    async fn metadata<P: AsRef<Path> + Send + fmt::Debug>(&self, guest: &Guest, path: P) -> Result<Facts> {
        let image = self.place(guest)?.image;
        let is_folder = path.as_ref().parent().is_none();
        match image {
            _ if is_folder => Ok(Facts { size: 0, is_folder: true }),
            Some(image) => Ok(Facts { size: image.size, is_folder: false }),
            None => Err(ErrorKind::PermanentFileNotAvailable.into()),
        }
    }

    async fn list<P: AsRef<Path> + Send + fmt::Debug>(
        &self,
        guest: &Guest,
        _: P,
    ) -> Result<Vec<Fileinfo<PathBuf, Facts>>> {
        let image = self.place(guest)?.image;
        let file = image.map(|image| Fileinfo {
            path: PathBuf::from(place::safe_name(&image.file_name)),
            metadata: Facts { size: image.size, is_folder: false },
        });
        Ok(file.into_iter().collect())
    }

    async fn get<P: AsRef<Path> + Send + fmt::Debug>(
        &self,
        guest: &Guest,
        _: P,
        from: u64,
    ) -> Result<Box<dyn AsyncRead + Send + Sync + Unpin>> {
        let image = self.place(guest)?.image.ok_or(ErrorKind::PermanentFileNotAvailable)?;
        let path = self.0.cache.find(&image.sha256).ok_or(ErrorKind::PermanentFileNotAvailable)?;
        let mut file = tokio::fs::File::open(path).await?;
        file.seek(io::SeekFrom::Start(from)).await?;
        metrics::counter!("edge_firmware_served_total").increment(1);
        Ok(Box::new(file))
    }

    async fn put<P: AsRef<Path> + Send + fmt::Debug, R: AsyncRead + Send + Sync + Unpin + 'static>(
        &self,
        guest: &Guest,
        input: R,
        path: P,
        from: u64,
    ) -> Result<u64> {
        let place = self.place(guest)?;
        if place.image.is_some() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let name = path.as_ref().file_name().and_then(|name| name.to_str()).unwrap_or("log").to_owned();
        let taken = self.0.inbox.take(&place, &name, from, input).await;
        taken.inspect(|size| tracing::info!(station = %place.station, size, "a log came")).map_err(|error| {
            tracing::warn!(station = %place.station, ?error, "a log was not taken");
            match error {
                NotTaken::TooLarge(_) => Error::new(ErrorKind::ExceededStorageAllocationError, error),
                NotTaken::NoRoom | NotTaken::Disk(_) => {
                    Error::new(ErrorKind::InsufficientStorageSpaceError, error)
                }
                NotTaken::Busy => Error::new(ErrorKind::TransientFileNotAvailable, error),
                NotTaken::NotThere => Error::new(ErrorKind::PermanentFileNotAvailable, error),
                NotTaken::Ended(_) => Error::new(ErrorKind::ConnectionClosed, error),
            }
        })
    }

    async fn del<P: AsRef<Path> + Send + fmt::Debug>(&self, _: &Guest, _: P) -> Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    /// Stations that make a folder first are let do so: it means nothing here.
    async fn mkd<P: AsRef<Path> + Send + fmt::Debug>(&self, guest: &Guest, _: P) -> Result<()> {
        self.place(guest).map(drop)
    }

    /// Stations that bring a file under a passing name may name it at the end.
    async fn rename<P: AsRef<Path> + Send + fmt::Debug>(&self, guest: &Guest, _: P, _: P) -> Result<()> {
        self.place(guest).map(drop)
    }

    async fn rmd<P: AsRef<Path> + Send + fmt::Debug>(&self, _: &Guest, _: P) -> Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    async fn cwd<P: AsRef<Path> + Send + fmt::Debug>(&self, guest: &Guest, _: P) -> Result<()> {
        self.place(guest).map(drop)
    }
}
