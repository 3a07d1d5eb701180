//! A gateway without sockets: the real core over the real store in a folder.

use std::path::{Path, PathBuf};

use edge_agent::core::{CallId, Core, Input, LinkId, Reply, Send, StartFact, StationFact, StopFact, Write};
use edge_agent::store::{Budget, Damage, Opened, Stamp, Store};
use shared::id::{BootId, EvseNo, StationId, StationTxRef};
use shared::model::event::{Event, SecurityNoticed};
use shared::model::session::StopReason;
use shared::model::{IdToken, MeterReading};
use shared::sync::ClockQuality;
use shared::units::{Timestamp, Wh};
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp(1_763_812_800_000);

pub(crate) struct Gateway {
    pub(crate) folder: PathBuf,
    pub(crate) budget: Budget,
    pub(crate) store: Store,
    pub(crate) damages: Vec<Damage>,
    failed: oneshot::Receiver<anyhow::Error>,
    core: Core,
    boot: BootId,
    now: Timestamp,
    _kept: Option<TempDir>,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let mut gateway = Gateway::at(folder.path(), Budget { ballast_megabytes: 0, ..Budget::default() });
        gateway._kept = Some(folder);
        gateway
    }

    pub(crate) fn at(folder: &Path, budget: Budget) -> Self {
        let Opened { store, restored, damages, failed, .. } = Store::open_within(folder, budget).unwrap();
        let core = Core::new(Box::new(|_| Uuid::new_v4()), restored);
        let boot = BootId(Uuid::new_v4());
        let folder = folder.to_owned();
        Gateway { folder, budget, store, damages, failed, core, boot, now: NOW, _kept: None }
    }

    /// Stops, lets something happen to the files, and starts again.
    pub(crate) async fn meanwhile(&mut self, happens: impl FnOnce(&Path)) {
        self.stop().await;
        happens(&self.folder);
        let (kept, now) = (self._kept.take(), self.now);
        *self = Gateway { _kept: kept, now, ..Gateway::at(&self.folder, self.budget) };
    }

    /// Lets go of the files.
    async fn stop(&mut self) {
        let other = TempDir::new().unwrap();
        let Opened { store, .. } = Store::open(other.path()).unwrap();
        drop(std::mem::replace(&mut self.store, store));
        // The writer is gone when nobody can tell of its failure any more.
        assert!((&mut self.failed).await.is_err(), "the writer failed");
    }

    pub(crate) async fn start(&mut self, evse: u16, meter: i64) -> String {
        let fact = self.start_fact(evse, meter);
        self.begin(fact).await
    }

    /// What a station says when it starts; said again, it is the same start.
    pub(crate) fn start_fact(&mut self, evse: u16, meter: i64) -> StartFact {
        self.now = self.now.plus_millis(60_000);
        StartFact {
            evse: EvseNo(evse),
            token: IdToken::new("card"),
            meter_start: Some(Wh(meter)),
            at: Some(self.now),
            zone_assumed: false,
            reservation: None,
        }
    }

    pub(crate) async fn begin(&mut self, start: StartFact) -> String {
        match self.say(StationFact::Start(start)).await {
            Some(Reply::Started { tx_ref, .. }) => tx_ref.0,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn meter(&mut self, evse: u16, tx_ref: &str, register: i64) {
        self.now = self.now.plus_millis(10_000);
        let readings = vec![MeterReading::of_register(self.now, Wh(register))];
        let tx_ref = Some(StationTxRef(tx_ref.into()));
        self.say(StationFact::Readings { evse: EvseNo(evse), tx_ref, readings }).await;
    }

    pub(crate) async fn stop_session(&mut self, tx_ref: &str, register: i64) {
        self.now = self.now.plus_millis(3_600_000);
        let stop = StopFact {
            tx_ref: Some(StationTxRef(tx_ref.into())),
            token: None,
            at: Some(self.now),
            zone_assumed: false,
            meter_stop: Some(Wh(register)),
            reason: StopReason::Local,
            readings: vec![],
        };
        assert!(matches!(self.say(StationFact::Stop(stop)).await, Some(Reply::Stopped(_))));
    }

    /// A whole session of so much energy.
    pub(crate) async fn session(&mut self, energy: i64) {
        let tx_ref = self.start(1, 1_000).await;
        self.meter(1, &tx_ref, 1_000 + energy / 2).await;
        self.stop_session(&tx_ref, 1_000 + energy).await;
    }

    pub(crate) async fn status(&mut self, event: Event) {
        self.commit(vec![Write::Event(event)]).await;
    }

    /// As the agent does at its start.
    pub(crate) async fn tell_damage(&mut self) {
        let (now, damages) = (self.now, self.damages.clone());
        let notice =
            |it: Damage| SecurityNoticed { station: None, what: it.what, detail: it.detail, at: now };
        self.commit(damages.into_iter().map(|it| Write::Event(Event::SecurityNoticed(notice(it)))).collect())
            .await;
        self.store.damage_told().await.unwrap();
    }

    async fn say(&mut self, fact: StationFact) -> Option<Reply> {
        let station = StationId::new("CP1").unwrap();
        if let Some(wanted) = self.core.recall_needed(&station, &fact)
            && let Some(session) = self.store.recall(wanted).await.unwrap()
        {
            self.core.sessions.insert(session);
        }
        let input = Input::Station { station, link: LinkId(1), call: Some(CallId(1)), fact };
        let effects = self.core.handle(self.now, input);
        self.commit(effects.writes).await;
        effects
            .sends
            .into_iter()
            .find_map(|send| if let Send::Reply { reply, .. } = send { Some(reply) } else { None })
    }

    async fn commit(&self, writes: Vec<Write>) {
        let stamp = Stamp { at: self.now, clock: ClockQuality::Synced, boot: self.boot, mono_ms: 0 };
        self.store.commit(stamp, writes, vec![]).await.unwrap();
    }
}
