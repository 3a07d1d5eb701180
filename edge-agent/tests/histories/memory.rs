//! What survives a crash of the gateway: the real database, or as much of one as the core can tell apart.

use std::collections::BTreeMap;

use edge_agent::core::{Recall, Restored, RunningSession, Write};
use edge_agent::store::{Opened, Stamp, Store};
use shared::id::{BootId, SessionId};
use shared::model::{Event, Lane};
use shared::sync::{ClockQuality, Document};
use shared::units::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

pub(crate) enum Memory {
    InMind(Box<Kept>),
    OnDisk { folder: TempDir, runtime: Runtime, store: Option<Store> },
}

#[derive(Default)]
pub(crate) struct Kept {
    sessions: BTreeMap<SessionId, RunningSession>,
    documents: Vec<Document>,
    floor: i64,
    events: Vec<Event>,
}

impl Memory {
    pub(crate) fn in_mind() -> Self {
        Memory::InMind(Box::default())
    }

    /// In memory where the system offers that: what a disk costs is not asked here.
    pub(crate) fn on_disk() -> Self {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Memory::OnDisk { folder, runtime, store: None }
    }

    pub(crate) fn commit(&mut self, at: Timestamp, writes: Vec<Write>) {
        match self {
            Memory::InMind(kept) => writes.into_iter().for_each(|write| kept.take(write)),
            Memory::OnDisk { runtime, store, .. } => {
                let stamp = Stamp { at, clock: ClockQuality::Synced, boot: BootId(Uuid::nil()), mono_ms: 0 };
                runtime.block_on(store.as_ref().unwrap().commit(stamp, writes, vec![])).unwrap();
            }
        }
    }

    /// What a gateway that starts now goes on from. In mind, closed sessions have to be asked for.
    pub(crate) fn restored(&mut self) -> Restored {
        match self {
            Memory::InMind(kept) => Restored {
                sessions: kept.sessions.values().filter(|it| it.session.is_open()).cloned().collect(),
                documents: kept.documents.clone(),
                tx_ref_floor: kept.floor,
                ..Restored::default()
            },
            Memory::OnDisk { folder, store, .. } => {
                *store = None;
                let Opened { store: opened, restored, .. } = Store::open(folder.path()).unwrap();
                *store = Some(opened);
                restored
            }
        }
    }

    pub(crate) fn recall(&self, wanted: Recall) -> Option<RunningSession> {
        match self {
            Memory::InMind(kept) => kept.sessions.values().find(|it| is(it, &wanted)).cloned(),
            Memory::OnDisk { runtime, store, .. } => {
                runtime.block_on(store.as_ref().unwrap().recall(wanted)).unwrap()
            }
        }
    }

    /// All facts, in the order of their lanes.
    pub(crate) fn events(&self) -> Vec<Event> {
        match self {
            Memory::InMind(kept) => kept.events.clone(),
            Memory::OnDisk { runtime, store, .. } => {
                let lane =
                    |lane| runtime.block_on(store.as_ref().unwrap().records(lane, 0, 100_000)).unwrap();
                let facts = Lane::ALL.into_iter().map(|it| (it, lane(it)));
                facts
                    .flat_map(|(it, records)| {
                        records.into_iter().map(move |(_, record)| record.event(it).unwrap())
                    })
                    .collect()
            }
        }
    }
}

impl Kept {
    fn take(&mut self, write: Write) {
        match write {
            Write::Event(event) => self.events.push(event),
            Write::Session(running) => drop(self.sessions.insert(running.session.id(), *running)),
            Write::Document(document) => self.documents.push(document),
            Write::TxRefFloor(floor) => self.floor = floor,
            _ => {}
        }
    }
}

fn is(running: &RunningSession, wanted: &Recall) -> bool {
    let start = &running.session.start;
    match wanted {
        Recall::Start(key) => running.start_key.as_ref() == Some(key),
        Recall::TxRef(station, tx_ref) => start.station == *station && start.tx_ref == *tx_ref,
    }
}
