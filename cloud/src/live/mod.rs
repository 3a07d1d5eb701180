//! Changes, as any replica commits them.
//!
//! Whoever commits a change leaves a [`Hint`]; Postgres delivers it to every replica. Each replica reads what changed once and
//! fans it out to all its subscribers, however many they are.
//!
//! About sites and their connectors a hint says no more than "look now": a cursor of its own finds what changed, so a deletion is
//! seen as well as an edit, and a hint that was forgotten or lost (the listening connection broke, a replica died between
//! commit and hint) costs a second and nothing else. Sessions have no such marks: those that run are read again every 15 s.
//! Repeats are harmless, because what is sent is a state and not a step.
//!
//! A subscriber that is too slow gets `Lagged` from its receiver and starts over with a snapshot.

mod reader;
mod reread;
mod site;

pub use site::{AT_ONCE, Connector, Site, SitesChanged};

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgListener, PgNotification};
use sqlx::{PgConnection, PgPool};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CHANNEL: &str = "live";
const SUBSCRIBER_BUFFER: usize = 1024;
const PENDING_HINTS: usize = 1024;
const REREAD_EVERY: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Postgres takes 8000 bytes per notification: this many ids of either sort always fit.
const IDS_PER_HINT: usize = 80;

/// What changed: ids only, the rows are read by whoever hears it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hint {
    /// Sites that changed: as good as a connector's id, and needed where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<i64>,
    /// Connectors that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connectors: Vec<i64>,
    /// Sessions that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Uuid>,
    /// Commands that ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Uuid>,
    /// Entries of the audit log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<i64>,
    /// Sites where an unknown card was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_cards: Vec<i64>,
    /// Updates and logs that are a step further.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Uuid>,
    /// Sites whose stations are secured otherwise, or reported something of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<i64>,
    /// Orders to many stations that are further.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bulks: Vec<i64>,
}

/// A session as it is now.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct SessionChange {
    /// Its id.
    pub id: Uuid,
    /// The number apps know it by.
    pub history_id: i64,
    /// Where it is.
    pub site_id: Option<i64>,
    /// At which connector.
    pub connector_id: Option<i64>,
    /// Whose it is.
    pub user_id: Option<i64>,
    /// The station's own name for it.
    pub tx_ref: Option<String>,
    /// Power now, in watts.
    pub power_w: Option<i64>,
    /// Energy so far, in watt-hours.
    pub energy_wh: Option<i64>,
    /// The vehicle's state of charge in percent.
    pub soc: Option<i16>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub stopped_at: Option<DateTime<Utc>>,
    /// When its row changed.
    pub updated_at: DateTime<Utc>,
}

/// Fans changes out to the subscribers of one replica; cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    sites: broadcast::Sender<Arc<SitesChanged>>,
    sessions: broadcast::Sender<Arc<SessionChange>>,
    commands: broadcast::Sender<Uuid>,
    changes: broadcast::Sender<i64>,
    unknown_cards: broadcast::Sender<Arc<i64>>,
    files: broadcast::Sender<Arc<Uuid>>,
    security: broadcast::Sender<Arc<i64>>,
    bulks: broadcast::Sender<Arc<i64>>,
    hints: mpsc::Sender<Hint>,
}

impl Hub {
    /// Starts to listen; runs until `stop`.
    pub fn start(db: PgPool, stop: CancellationToken) -> Self {
        let (hints, pending) = mpsc::channel(PENDING_HINTS);
        let hub = Self {
            sites: broadcast::channel(SUBSCRIBER_BUFFER).0,
            sessions: broadcast::channel(SUBSCRIBER_BUFFER).0,
            commands: broadcast::channel(SUBSCRIBER_BUFFER).0,
            changes: broadcast::channel(SUBSCRIBER_BUFFER).0,
            unknown_cards: broadcast::channel(SUBSCRIBER_BUFFER).0,
            files: broadcast::channel(SUBSCRIBER_BUFFER).0,
            security: broadcast::channel(SUBSCRIBER_BUFFER).0,
            bulks: broadcast::channel(SUBSCRIBER_BUFFER).0,
            hints,
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(send_hints(db.clone(), pending)));
        tokio::spawn(stop.run_until_cancelled_owned(listen(db, hub.clone())));
        hub
    }

    /// Sites as they or their connectors change, anywhere.
    pub fn sites(&self) -> broadcast::Receiver<Arc<SitesChanged>> {
        self.sites.subscribe()
    }

    /// Sessions as they change, anywhere.
    pub fn sessions(&self) -> broadcast::Receiver<Arc<SessionChange>> {
        self.sessions.subscribe()
    }

    /// Ids of commands as they end.
    pub fn commands(&self) -> broadcast::Receiver<Uuid> {
        self.commands.subscribe()
    }

    /// Numbers of the audit log's entries as they are committed, in order; the log itself tells what was missed.
    pub fn changes(&self) -> broadcast::Receiver<i64> {
        self.changes.subscribe()
    }

    /// Sites as unknown cards are seen there.
    pub fn unknown_cards(&self) -> broadcast::Receiver<Arc<i64>> {
        self.unknown_cards.subscribe()
    }

    /// Ids of updates and logs (their commands') as they get a step further.
    pub fn files(&self) -> broadcast::Receiver<Arc<Uuid>> {
        self.files.subscribe()
    }

    /// Sites whose stations are secured otherwise, or reported something of it.
    pub fn security(&self) -> broadcast::Receiver<Arc<i64>> {
        self.security.subscribe()
    }

    /// Numbers of orders to many stations as they get further.
    pub fn bulks(&self) -> broadcast::Receiver<Arc<i64>> {
        self.bulks.subscribe()
    }

    /// Tells every replica, soon, of what is already committed.
    ///
    /// For the hot path: a notification inside a transaction makes all commits of the database wait for one another. Here
    /// many become one. When too many wait, this one is lost and the next re-read makes up for it.
    pub fn hint(&self, hint: Hint) {
        if hint != Hint::default() && self.hints.try_send(hint).is_err() {
            metrics::counter!("live_hints_lost_total").increment(1);
        }
    }
}

/// Tells every replica when this transaction commits: for the occasional change, which must not be lost.
///
/// # Errors
/// As any statement.
pub async fn notify(tx: &mut PgConnection, hint: &Hint) -> sqlx::Result<()> {
    for part in hint.parts() {
        let payload = serde_json::to_string(&part).expect("ids always serialise");
        sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(&mut *tx).await?;
    }
    Ok(())
}

impl Hint {
    /// A hint about one site.
    pub fn site(id: i64) -> Self {
        Self { sites: vec![id], ..Self::default() }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        merge(&mut self.sites, other.sites);
        merge(&mut self.connectors, other.connectors);
        merge(&mut self.sessions, other.sessions);
        merge(&mut self.commands, other.commands);
        merge(&mut self.changes, other.changes);
        merge(&mut self.unknown_cards, other.unknown_cards);
        merge(&mut self.files, other.files);
        merge(&mut self.security, other.security);
        merge(&mut self.bulks, other.bulks);
    }

    /// The same in pieces that fit into a notification.
    fn parts(&self) -> Vec<Self> {
        let sites = self.sites.chunks(IDS_PER_HINT).map(|ids| Self { sites: ids.into(), ..Self::default() });
        let connectors = self
            .connectors
            .chunks(IDS_PER_HINT)
            .map(|ids| Self { connectors: ids.into(), ..Self::default() });
        let sessions =
            self.sessions.chunks(IDS_PER_HINT).map(|ids| Self { sessions: ids.into(), ..Self::default() });
        let commands =
            self.commands.chunks(IDS_PER_HINT).map(|ids| Self { commands: ids.into(), ..Self::default() });
        let changes =
            self.changes.chunks(IDS_PER_HINT).map(|ids| Self { changes: ids.into(), ..Self::default() });
        let unknown_cards = self
            .unknown_cards
            .chunks(IDS_PER_HINT)
            .map(|ids| Self { unknown_cards: ids.into(), ..Self::default() });
        let files = self.files.chunks(IDS_PER_HINT).map(|ids| Self { files: ids.into(), ..Self::default() });
        let security =
            self.security.chunks(IDS_PER_HINT).map(|ids| Self { security: ids.into(), ..Self::default() });
        let bulks = self.bulks.chunks(IDS_PER_HINT).map(|ids| Self { bulks: ids.into(), ..Self::default() });
        sites
            .chain(connectors)
            .chain(sessions)
            .chain(commands)
            .chain(changes)
            .chain(unknown_cards)
            .chain(files)
            .chain(security)
            .chain(bulks)
            .collect()
    }
}

fn merge<T: PartialEq>(into: &mut Vec<T>, from: Vec<T>) {
    for id in from {
        if !into.contains(&id) {
            into.push(id);
        }
    }
}

async fn send_hints(db: PgPool, mut pending: mpsc::Receiver<Hint>) {
    while let Some(mut hint) = pending.recv().await {
        while let Ok(more) = pending.try_recv() {
            hint.merge(more);
        }
        if let Err(error) = send(&db, &hint).await {
            tracing::warn!(%error, "live hint not sent; the next re-read makes up for it");
        }
    }
}

async fn send(db: &PgPool, hint: &Hint) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    // Nothing here has to survive a crash, so nobody waits for the disk.
    sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
    notify(&mut tx, hint).await?;
    tx.commit().await
}

async fn listen(db: PgPool, hub: Hub) {
    let mut reader = reader::Reader::new(db, hub);
    loop {
        if let Err(error) = follow(&mut reader).await {
            tracing::warn!(%error, "live changes are not heard; listening again");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn follow(reader: &mut reader::Reader) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(&reader.db).await?;
    listener.listen(CHANNEL).await?;
    let (mut reread, mut look) = (interval(REREAD_EVERY), interval(LOOK_EVERY));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = reread.tick() => reader.reread().await?,
            _ = look.tick() => reader.look().await?,
            notice = listener.try_recv() => match notice? {
                Some(notice) => {
                    let mut hint = read(&notice);
                    while let Some(more) = listener.next_buffered() {
                        hint.merge(read(&more));
                    }
                    reader.publish(hint).await?;
                }
                // The connection broke and was made again: what was said meanwhile is unknown.
                None => {
                    reader.look().await?;
                    reader.reread().await?;
                }
            },
        }
    }
}

fn read(notice: &PgNotification) -> Hint {
    serde_json::from_str(notice.payload()).unwrap_or_else(|_| {
        tracing::warn!("a live hint that is none of ours");
        Hint::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_hint_fits_into_a_notification() {
        let ids: Vec<Uuid> = (0..1000).map(Uuid::from_u128).collect();
        let numbers: Vec<i64> = (0..1000).map(|n| i64::MAX - n).collect();
        let hint = Hint {
            sites: numbers.clone(),
            connectors: numbers.clone(),
            sessions: ids.clone(),
            commands: ids.clone(),
            changes: numbers.clone(),
            unknown_cards: numbers.clone(),
            files: ids,
            security: numbers.clone(),
            bulks: numbers,
        };
        let mut whole = Hint::default();
        for part in hint.parts() {
            assert!(serde_json::to_string(&part).unwrap().len() < 8000);
            whole.merge(part);
        }
        assert_eq!(whole, hint);
    }
}
