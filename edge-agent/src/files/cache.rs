//! The images that came from the cloud or from an installer, named by what they hash to: one file however many stations want it. When
//! room is needed, those go that were not asked for the longest; those that somebody may still come for stay.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use metrics::counter;
use shared::model::file::{FirmwareImage, Sha256};

use super::cloud::Cloud;
use super::fetch;
use crate::config;

/// The folder of images.
pub(super) struct Cache {
    pub(super) folder: PathBuf,
    /// Bytes of all images at most.
    most: u64,
    /// Bytes of the disk that stay free.
    spare: u64,
    /// Whoever wants the same image waits for the one who fetches it.
    fetching: Mutex<HashMap<Sha256, Arc<tokio::sync::Mutex<()>>>>,
}

struct Held {
    path: PathBuf,
    size: u64,
    used_at: SystemTime,
}

impl Cache {
    pub(super) fn open(folder: &Path, config: &config::Files) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let megabytes = |count: u64| count.saturating_mul(1_000_000);
        Ok(Cache {
            folder: folder.to_owned(),
            most: megabytes(config.firmware_megabytes),
            spare: megabytes(config.spare_megabytes),
            fetching: Mutex::default(),
        })
    }

    /// An image's file, if it is here. Whole: only what hashed right has this name.
    pub(super) fn find(&self, sha256: &Sha256) -> Option<PathBuf> {
        let path = self.path(sha256);
        let file = File::open(&path).ok()?;
        // When it was asked for; its modification time is part of its ETag and stays.
        #[expect(clippy::disallowed_methods, reason = "compared with other such marks only")]
        let _ = file.set_times(FileTimes::new().set_accessed(SystemTime::now()));
        Some(path)
    }

    /// Makes sure that an image is here. `wanted` are those that must not go for it.
    pub(super) async fn hold(
        &self,
        image: &FirmwareImage,
        wanted: &HashSet<Sha256>,
        cloud: &Cloud,
    ) -> anyhow::Result<()> {
        let turn = self.lock().entry(image.sha256).or_default().clone();
        let _turn = turn.lock().await;
        if self.find(&image.sha256).is_some() {
            return Ok(());
        }
        let part = self.folder.join(format!("{}.part", image.sha256));
        let begun = fs::metadata(&part).map_or(0, |part| part.len());
        self.make_room(image.size.saturating_sub(begun), wanted, &part)?;
        fetch::fetch(cloud, image, &part).await?;
        self.keep(&part, &image.sha256)?;
        counter!("edge_firmware_fetched_total").increment(1);
        tracing::info!(version = image.version, size = image.size, "an image was fetched from the cloud");
        Ok(())
    }

    /// What is whole gets its name.
    pub(super) fn keep(&self, part: &Path, sha256: &Sha256) -> anyhow::Result<()> {
        fs::rename(part, self.path(sha256)).context("keeping the image")?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).context("keeping the image")
    }

    /// Deletes what nobody needs until there is room, on the disk and under the limit. A begun fetch that is not this one goes
    /// first of all.
    pub(super) fn make_room(&self, needed: u64, wanted: &HashSet<Sha256>, part: &Path) -> anyhow::Result<()> {
        let mut all = self.list(part)?;
        all.sort_by_key(|held| (held.path.extension().is_none(), held.used_at));
        let mut total: u64 = all.iter().map(|held| held.size).sum();
        let keep: HashSet<PathBuf> = wanted.iter().map(|sha256| self.path(sha256)).collect();
        let stays: u64 = all.iter().filter(|held| keep.contains(&held.path)).map(|held| held.size).sum();
        ensure!(
            stays.saturating_add(needed) <= self.most,
            "it is larger than what files.firmware_megabytes leaves ({} bytes of {})",
            needed,
            self.most
        );
        for held in all {
            if total.saturating_add(needed) <= self.most && self.free()? >= needed.saturating_add(self.spare)
            {
                return Ok(());
            }
            if !keep.contains(&held.path) {
                tracing::info!(file = %held.path.display(), "deleting an image to make room");
                fs::remove_file(&held.path)?;
                total -= held.size;
            }
        }
        let free = self.free()?;
        ensure!(free >= needed.saturating_add(self.spare), "the disk has only {free} bytes left");
        Ok(())
    }

    fn list(&self, except: &Path) -> anyhow::Result<Vec<Held>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let (path, metadata) =
                (entry.as_ref().map(fs::DirEntry::path), entry.as_ref().map(fs::DirEntry::metadata));
            let (Ok(path), Ok(Ok(metadata))) = (path, metadata) else { continue };
            if path != except {
                all.push(Held { path, size: metadata.len(), used_at: metadata.accessed()? });
            }
        }
        Ok(all)
    }

    fn free(&self) -> anyhow::Result<u64> {
        free(&self.folder)
    }

    fn path(&self, sha256: &Sha256) -> PathBuf {
        self.folder.join(sha256.to_string())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256, Arc<tokio::sync::Mutex<()>>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that a disk has left.
pub(super) fn free(folder: &Path) -> anyhow::Result<u64> {
    let disk = nix::sys::statvfs::statvfs(folder).context("asking for the room on the disk")?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn cache(folder: &Path, most: u64) -> Cache {
        Cache { folder: folder.to_owned(), most, spare: 0, fetching: Mutex::default() }
    }

    fn image(cache: &Cache, number: u8, size: usize) -> Sha256 {
        let sha256 = Sha256([number; 32]);
        let path = cache.path(&sha256);
        fs::write(&path, vec![0; size]).unwrap();
        let used_at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(number));
        File::open(path).unwrap().set_times(FileTimes::new().set_accessed(used_at)).unwrap();
        sha256
    }

    #[test]
    fn the_least_recently_used_goes_first_and_what_is_wanted_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 100);
        let [one, two, three] = [1, 2, 3].map(|number| image(&cache, number, 30));
        assert!(cache.find(&one).is_some(), "asked for just now");
        let part = folder.path().join("x.part");
        cache.make_room(30, &HashSet::from([two]), &part).unwrap();
        let left = [one, two, three].map(|it| cache.path(&it).exists());
        assert_eq!(left, [true, true, false], "two is wanted, one was asked for lately");
        assert!(
            cache.make_room(80, &HashSet::from([one, two]), &part).is_err(),
            "there is no room to be had"
        );
        assert!(cache.path(&one).exists() && cache.path(&two).exists());
    }

    #[test]
    fn a_begun_fetch_of_something_else_goes_before_any_image() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 100);
        let one = image(&cache, 1, 50);
        fs::write(folder.path().join("old.part"), vec![0; 40]).unwrap();
        cache.make_room(40, &HashSet::new(), &folder.path().join("new.part")).unwrap();
        assert!(cache.path(&one).exists() && !folder.path().join("old.part").exists());
    }
}
