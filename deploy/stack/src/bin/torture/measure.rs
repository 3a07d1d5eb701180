//! What things cost: memory of a process, size of a folder's database, and what a plain COPY would do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use sqlx::PgPool;
use sqlx::postgres::PgPoolCopyExt;
use tokio::task::AbortHandle;

/// Watches how much memory a process holds at most.
pub(crate) struct Peak {
    bytes: Arc<AtomicU64>,
    looking: AbortHandle,
}

impl Peak {
    pub(crate) fn of(pid: u32) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let seen = bytes.clone();
        let look = async move {
            loop {
                seen.fetch_max(resident(pid).unwrap_or_default(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        Self { bytes, looking: tokio::spawn(look).abort_handle() }
    }

    pub(crate) fn finish(self) -> u64 {
        self.looking.abort();
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The memory that a process holds, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// What an edge's database takes, its log included, in bytes.
pub(crate) fn size(data: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in ["edge.sqlite3", "edge.sqlite3-wal"] {
        let path = data.join(file);
        bytes += path.metadata().map(|meta| meta.len()).unwrap_or_default();
    }
    Ok(bytes)
}

/// How fast Postgres takes the same records in by COPY, into a table of the same shape, in words.
pub(crate) async fn copy_rate(db: &PgPool) -> Result<String> {
    let rows: Vec<bytes::Bytes> =
        db.copy_out_raw("copy (select * from records) to stdout").await?.try_collect().await?;
    sqlx::query("create table copied (like records including all)").execute(db).await?;
    let begin = Instant::now();
    let mut copy = db.copy_in_raw("copy copied from stdin").await?;
    for piece in rows {
        copy.send(piece.as_ref()).await?;
    }
    let count = copy.finish().await?;
    let took = begin.elapsed();
    sqlx::query("drop table copied").execute(db).await?;
    let rate = u128::from(count) * 1_000 / took.as_millis().max(1);
    Ok(format!("{rate} a second"))
}
