//! The two databases as the checker reads them: with its own queries, changing nothing.

use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use sqlx::{FromRow, PgPool};

/// A session as a database has it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Kept {
    pub(crate) station: String,
    pub(crate) tx_ref: Option<String>,
    /// In milliseconds of Unix time.
    pub(crate) started_at: Option<i64>,
    pub(crate) ended: bool,
    pub(crate) energy_wh: Option<i64>,
    /// What was billed, in the cloud.
    pub(crate) billed: Option<i64>,
}

/// How far a lane is, by one of the two.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct LaneAt {
    pub(crate) gateway: String,
    pub(crate) epoch: String,
    pub(crate) lane: i64,
    pub(crate) watermark: i64,
    /// Records of this lane, parked ones included.
    pub(crate) records: i64,
}

/// What the cloud's Postgres says.
#[derive(Clone, Debug, Default)]
pub(crate) struct CloudBook {
    pub(crate) sessions: Vec<Kept>,
    pub(crate) lanes: Vec<LaneAt>,
    pub(crate) records: i64,
    pub(crate) parked: i64,
}

/// What an edge's SQLite says.
#[derive(Clone, Debug, Default)]
pub(crate) struct EdgeBook {
    pub(crate) epoch: String,
    pub(crate) sessions: Vec<Kept>,
    /// Number of the lane, last number written, last number that the cloud said is committed.
    pub(crate) lanes: Vec<(i64, i64, i64)>,
}

impl CloudBook {
    pub(crate) async fn read(db: &PgPool) -> Result<Self> {
        let sessions =
            "select station, tx_ref, (extract(epoch from started_at) * 1000)::bigint as started_at,
                stopped_at is not null as ended, energy_wh, total_micros as billed
            from sessions s left join bills on session_id = id order by s.started_at, id";
        let records = "select count(*) from records";
        Ok(Self {
            sessions: sqlx::query_as(sessions).fetch_all(db).await?,
            lanes: lanes(db).await?,
            records: sqlx::query_scalar(records).fetch_one(db).await?,
            parked: sqlx::query_scalar("select count(*) from quarantine").fetch_one(db).await?,
        })
    }
}

impl CloudBook {
    /// Only how far the lanes are: cheap enough to look often.
    pub(crate) async fn watermarks(db: &PgPool) -> Result<Self> {
        let lanes =
            "select gateway_id::text as gateway, epoch::text, lane::bigint, watermark, watermark as records
            from cursors";
        Ok(Self { lanes: sqlx::query_as(lanes).fetch_all(db).await?, ..Self::default() })
    }

    /// Records that are committed of an epoch, over all its lanes.
    pub(crate) fn committed(&self, epoch: &str) -> i64 {
        self.lanes.iter().filter(|at| at.epoch == epoch).map(|at| at.watermark).sum()
    }
}

/// How far every lane is, with a count of what was kept up to there.
async fn lanes(db: &PgPool) -> Result<Vec<LaneAt>> {
    let lanes = "with kept as (
            select epoch, lane, seq from records union select epoch, lane, seq from quarantine)
        select gateway_id::text as gateway, epoch::text, lane::bigint, watermark,
            (select count(*) from kept where kept.epoch = c.epoch and kept.lane = c.lane) as records
        from cursors c order by epoch, lane";
    Ok(sqlx::query_as(lanes).fetch_all(db).await?)
}

impl EdgeBook {
    /// Reads the database in an edge's data folder; the edge may be running.
    pub(crate) fn read(data: &Path) -> Result<Self> {
        let db = open(data)?;
        let mut sessions = db.prepare("select station, tx_ref, open, energy_wh, started_at from sessions")?;
        let sessions = sessions.query_map([], |row| {
            let open: bool = row.get(2)?;
            let (station, tx_ref, energy_wh, started_at) =
                (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
            Ok(Kept { station, tx_ref, started_at, ended: !open, energy_wh, billed: None })
        })?;
        Ok(Self { sessions: sessions.collect::<rusqlite::Result<_>>()?, ..Self::position(data)? })
    }

    /// Only how far its lanes are.
    pub(crate) fn position(data: &Path) -> Result<Self> {
        let db = open(data)?;
        let epoch: Option<String> =
            db.query_row("select value from meta where key = 'epoch'", [], |row| row.get(0)).optional()?;
        let mut lanes = db.prepare("select lane, head, acked from lanes order by lane")?;
        let lanes = lanes.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(Self {
            epoch: epoch.unwrap_or_default(),
            sessions: Vec::new(),
            lanes: lanes.collect::<rusqlite::Result<_>>()?,
        })
    }

    /// Records that the cloud has not said it has.
    pub(crate) fn backlog(&self) -> i64 {
        self.lanes.iter().map(|(_, head, acked)| head - acked).sum()
    }
}

fn open(data: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(data.join("edge.sqlite3"), flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(db)
}
