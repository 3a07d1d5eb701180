//! The logs that stations bring: bounded each and in all, whole on the disk before anybody is told, and kept until the cloud
//! has them and a while longer.
//!
//! A log is three files in turn, named by its command: `.part` while it comes, `.json` with what it is, and `.log` once it is
//! whole; the cloud has it when it is called `.sent`. So a crash between any two steps leaves nothing half done.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use metrics::counter;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256 as Hasher};
use shared::id::{CommandId, StationId};
use shared::model::file::{ReceivedFile, Sha256};
use tokio::fs::OpenOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};

use super::cache::free;
use super::place::{Place, safe_name};
use crate::config;
use crate::core::Input;
use crate::site::Message;

/// The folder of logs.
pub(super) struct Inbox {
    folder: PathBuf,
    /// Bytes of one log at most.
    most: u64,
    /// Bytes of all logs at most.
    most_of_all: u64,
    spare: u64,
    site: mpsc::Sender<Message>,
    coming: Mutex<HashSet<CommandId>>,
    /// A log came.
    pub(super) news: Notify,
}

/// What a log is, beside it on the disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Label {
    pub(super) command: CommandId,
    pub(super) station: StationId,
    pub(super) file: ReceivedFile,
}

/// Why a log was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("a log has at most {0} bytes here")]
    TooLarge(u64),
    #[error("there is no room for more logs")]
    NoRoom,
    #[error("the same log is coming already")]
    Busy,
    #[error("what came before is not here any more: begin anew")]
    NotThere,
    #[error("the log could not be kept")]
    Disk(#[source] std::io::Error),
    #[error("the connection ended early")]
    Ended(#[source] std::io::Error),
}

impl Inbox {
    pub(super) fn open(
        folder: &Path,
        config: &config::Files,
        site: mpsc::Sender<Message>,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let megabytes = |count: u64| count.saturating_mul(1_000_000);
        Ok(Inbox {
            folder: folder.to_owned(),
            most: megabytes(config.log_megabytes),
            most_of_all: megabytes(config.logs_megabytes),
            spare: megabytes(config.spare_megabytes),
            site,
            coming: Mutex::default(),
            news: Notify::new(),
        })
    }

    /// Takes a log in, after the first `from` bytes that came before. Done means: it is on the disk.
    pub(super) async fn take(
        &self,
        place: &Place,
        name: &str,
        from: u64,
        body: impl AsyncRead + Unpin + Send,
    ) -> Result<u64, NotTaken> {
        let _coming = Coming::begin(&self.coming, place.command).ok_or(NotTaken::Busy)?;
        let part = self.path(place.command, "part");
        let (size, sha256) = self.write(&part, from, body).await?;
        let file = ReceivedFile { name: safe_name(name), size, sha256 };
        let label = Label { command: place.command, station: place.station.clone(), file };
        self.keep(&part, &label).map_err(NotTaken::Disk)?;
        counter!("edge_logs_received_total").increment(1);
        self.tell(label).await;
        self.news.notify_one();
        Ok(size)
    }

    async fn write(
        &self,
        part: &Path,
        from: u64,
        mut body: impl AsyncRead + Unpin + Send,
    ) -> Result<(u64, Sha256), NotTaken> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .read(true)
            .truncate(from == 0)
            .open(part)
            .await
            .map_err(NotTaken::Disk)?;
        if file.metadata().await.map_err(NotTaken::Disk)?.len() < from {
            return Err(NotTaken::NotThere);
        }
        file.set_len(from).await.map_err(NotTaken::Disk)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut size = 0;
        while size < from {
            let count = file.read(&mut buffer).await.map_err(NotTaken::Disk)?;
            hasher.update(&buffer[..count]);
            size += count as u64;
        }
        let mut room = self.room(part);
        loop {
            let count = match body.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => count,
                // What came stays for a station that goes on from there.
                Err(error) => return Err(NotTaken::Ended(error)),
            };
            size += count as u64;
            let refused = if size > self.most {
                Some(NotTaken::TooLarge(self.most))
            } else if room < count as u64 {
                Some(NotTaken::NoRoom)
            } else {
                None
            };
            if let Some(refused) = refused {
                drop(file);
                let _ = tokio::fs::remove_file(part).await;
                return Err(refused);
            }
            room -= count as u64;
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).await.map_err(NotTaken::Disk)?;
        }
        file.sync_all().await.map_err(NotTaken::Disk)?;
        Ok((size, Sha256(hasher.finalize().into())))
    }

    /// Bytes that may still come. What the cloud has makes room, the oldest first.
    fn room(&self, part: &Path) -> u64 {
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.len());
        let all: Vec<PathBuf> = self.files().into_iter().filter(|path| path != part).collect();
        let mut total: u64 = all.iter().map(size).sum();
        let is_sent = |path: &&PathBuf| path.extension().is_some_and(|kind| kind == "sent");
        let mut sent: Vec<&PathBuf> = all.iter().filter(is_sent).collect();
        sent.sort_by_key(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        for path in sent {
            if total.saturating_add(self.most) <= self.most_of_all {
                break;
            }
            total -= size(path);
            self.forget(path);
        }
        let disk = free(&self.folder).unwrap_or(0).saturating_sub(self.spare);
        self.most_of_all.saturating_sub(total).min(disk)
    }

    fn keep(&self, part: &Path, label: &Label) -> std::io::Result<()> {
        let text = serde_json::to_vec(label)?;
        let (draft, json) = (self.path(label.command, "json.part"), self.path(label.command, "json"));
        fs::write(&draft, text)?;
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(&draft, json)?;
        fs::rename(part, self.path(label.command, "log"))?;
        // A log that was brought once more takes the place of the first one.
        let _ = fs::remove_file(self.path(label.command, "sent"));
        fs::File::open(&self.folder)?.sync_all()
    }

    async fn tell(&self, label: Label) {
        let Label { command: log, station, file } = label;
        // The site is gone: it is told again after the restart.
        let _ = self.site.send(Message::Input(Input::Received { log, station, file })).await;
    }

    /// Tells the site of what is here: a crash may have come between the disk and the telling.
    pub(super) async fn tell_all(&self) {
        for label in self.waiting() {
            self.tell(label).await;
        }
    }

    /// The logs that the cloud does not have.
    pub(super) fn waiting(&self) -> Vec<Label> {
        let logs = self.files().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        logs.filter_map(|path| serde_json::from_slice(&fs::read(path.with_extension("json")).ok()?).ok())
            .collect()
    }

    /// A waiting log's file.
    pub(super) fn log(&self, command: CommandId) -> PathBuf {
        self.path(command, "log")
    }

    /// The cloud has it. It stays here for a while, in case somebody stands before the gateway.
    pub(super) fn sent(&self, command: CommandId) -> std::io::Result<()> {
        fs::rename(self.path(command, "log"), self.path(command, "sent"))
    }

    /// Deletes what the cloud has, and what never became whole, when it is older than this.
    pub(super) fn tidy(&self, age: std::time::Duration) {
        for path in self.files() {
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            let old = fs::metadata(&path)
                .and_then(|file| file.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age));
            if old && matches!(kind, "sent" | "part") {
                self.forget(&path);
            }
        }
    }

    fn forget(&self, path: &Path) {
        let label = path.with_extension("json");
        for file in [path, &label] {
            if let Err(error) = fs::remove_file(file)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(file = %file.display(), %error, "an old log stays");
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
    }

    fn path(&self, command: CommandId, kind: &str) -> PathBuf {
        self.folder.join(format!("{command}.{kind}"))
    }
}

/// One at a time writes a log.
struct Coming<'a> {
    all: &'a Mutex<HashSet<CommandId>>,
    command: CommandId,
}

impl<'a> Coming<'a> {
    fn begin(all: &'a Mutex<HashSet<CommandId>>, command: CommandId) -> Option<Self> {
        let new = all.lock().unwrap_or_else(PoisonError::into_inner).insert(command);
        new.then_some(Coming { all, command })
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.command);
    }
}
