//! Images that an installer brings, where there is no cloud to fetch them from: into the same folder, under the same name, so
//! that an order finds them there and asks nobody.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use shared::model::file::Sha256;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use uuid::Uuid;

use super::Files;
use super::cache::Cache;
use super::fetch::digest;

/// The images on this gateway, for the local API.
#[derive(Clone)]
pub struct Images(pub(super) Arc<Files>);

impl Images {
    /// Takes an image of `size` bytes in. Done means: it is whole, and on the disk.
    ///
    /// # Errors
    /// When there is no room for it, or fewer bytes came than were announced.
    pub async fn take(&self, size: u64, body: impl AsyncRead + Unpin + Send) -> anyhow::Result<Sha256> {
        self.0.cache.take(size, &self.0.places.images(), body).await
    }

    /// Its bytes, if it is here.
    pub fn size(&self, sha256: &Sha256) -> Option<u64> {
        std::fs::metadata(self.0.cache.find(sha256)?).ok().map(|image| image.len())
    }
}

impl Cache {
    async fn take(
        &self,
        size: u64,
        wanted: &HashSet<Sha256>,
        body: impl AsyncRead + Unpin + Send,
    ) -> anyhow::Result<Sha256> {
        let part = self.folder.join(format!("{}.part", Uuid::new_v4()));
        self.make_room(size, wanted, &part)?;
        let written = write(&part, size, body).await;
        let kept = match written {
            Ok(sha256) => self.keep(&part, &sha256).map(|()| sha256),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            // Nobody goes on with it: whoever brings it again begins anew.
            let _ = tokio::fs::remove_file(&part).await;
        }
        kept
    }
}

async fn write(part: &Path, size: u64, body: impl AsyncRead + Unpin + Send) -> anyhow::Result<Sha256> {
    let mut file = File::create_new(part).await.context("keeping the image")?;
    let came =
        tokio::io::copy(&mut body.take(size), &mut file).await.context("the image did not come whole")?;
    ensure!(came == size, "the image did not come whole: {came} of {size} bytes");
    file.sync_all().await.context("keeping the image")?;
    drop(file);
    digest(&mut File::open(part).await?).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn what_comes_whole_is_kept_under_what_it_hashes_to_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(None).unwrap().files;
        (config.firmware_megabytes, config.spare_megabytes) = (1, 0);
        let cache = Cache::open(folder.path(), &config).unwrap();
        let none = HashSet::new();
        let sha256 = cache.take(3, &none, &b"abc"[..]).await.unwrap();
        assert!(sha256.to_string().starts_with("ba7816bf") && cache.find(&sha256).is_some());
        assert_eq!(sha256.to_string().parse(), Ok(sha256));
        assert!(cache.take(4, &none, &b"abd"[..]).await.unwrap_err().to_string().contains("3 of 4"));
        assert!(
            cache
                .take(2_000_000, &none, &b""[..])
                .await
                .unwrap_err()
                .to_string()
                .contains("firmware_megabytes")
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of those");
    }
}
