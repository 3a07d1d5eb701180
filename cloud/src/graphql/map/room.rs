//! Who watches the same part of the map shares one room: its markers, evaluated once and kept.
//!
//! A room reads its markers from Postgres when the first one comes in. From then on the replica's hub reads each changed site
//! once for everybody, and each room asks of these few sites alone whether they pass its filter; who watches another part of
//! the map hears nothing. (Only with a limit can a change bring in a site that did not change; then the room reads again.)
//!
//! A query for the whole map goes through such a room as well; it does not wait for the hub but looks for changes itself, so it
//! is never behind.
//!
//! The markers are a persistent map: a watcher keeps the state that he was told of, for next to nothing, and is told the
//! difference to the newest one. So a slow watcher holds up nobody, queues nothing, and misses nothing: his next difference
//! is only larger. Who comes back with a cursor is told of the sites that changed behind it (`db::site_change`), and from
//! then on is a watcher like any other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::App;
use crate::db::map::{self, Marker, MarkerFilter};
use crate::db::site_change::{Cursor, Stamp};
use crate::graphql::error::{Fault, Result};
use crate::graphql::live::GAP;
use crate::live::{self, SitesChanged};

/// How often a room looks whether anybody is left in it.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// How long the whole map is kept when nobody watches it: it is asked for all the time.
const LINGER: Duration = Duration::from_secs(60);
/// Rooms of the whole map up to which a mere query may open one.
const UNWATCHED: usize = 8;
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What a watcher is told.
pub(super) struct Told {
    pub(super) markers: Vec<Arc<Marker>>,
    pub(super) cursor: Cursor,
}

/// A room's markers, and how far they have seen.
#[derive(Clone)]
struct State {
    markers: OrdMap<i64, Arc<Marker>>,
    cursor: Cursor,
}

type Room = watch::Receiver<State>;
type Doors = Arc<Mutex<HashMap<Key, Arc<OnceCell<Room>>>>>;
/// Is it the whole map, and through which filter.
type Key = (bool, String);

/// The rooms of a replica, by what is watched in them.
#[derive(Clone, Default)]
pub(in crate::graphql) struct Rooms(Doors);

/// All markers, then all of them again after each change.
pub(super) async fn wholes(
    rooms: &Rooms,
    app: &App,
    filter: MarkerFilter,
) -> Result<impl Stream<Item = Told> + Send + use<>> {
    let mut watcher = Watcher::enter(rooms, app, filter).await?;
    watcher.room.mark_changed();
    Ok(stream::unfold(watcher, |mut watcher| async move {
        let State { markers, cursor } = watcher.newest().await;
        Some((Told { markers: markers.values().cloned().collect(), cursor }, watcher))
    }))
}

/// All markers, or those that may have changed after a cursor; then those that did.
pub(super) async fn deltas(
    rooms: &Rooms,
    app: &App,
    filter: MarkerFilter,
    after: Option<&str>,
) -> Result<impl Stream<Item = Told> + Send + use<>> {
    let mut watcher = Watcher::enter(rooms, app, filter).await?;
    let mut state = watcher.room.borrow_and_update().clone();
    let first = match after {
        None => Some(state.markers.values().cloned().collect()),
        // Who resumes hears of the first change, and not that there was none.
        Some(after) => Some(watcher.missed(&mut state, after).await?).filter(|missed| !missed.is_empty()),
    };
    let first = first.map(|markers| Told { markers, cursor: state.cursor });
    Ok(stream::unfold((watcher, state, first), |(mut watcher, mut last, mut first)| async move {
        if let Some(told) = first.take() {
            return Some((told, (watcher, last, None)));
        }
        loop {
            let state = watcher.newest().await;
            let markers = differences(&last, &state);
            last = state;
            if !markers.is_empty() {
                let told = Told { markers, cursor: last.cursor };
                return Some((told, (watcher, last, None)));
            }
        }
    }))
}

/// The markers of the whole map as they are now: those of its room, and what changed since that state read anew. So the cost is
/// that of the changes. `None`: the room would be one too many.
pub(super) async fn fresh(rooms: &Rooms, app: &App, filter: &MarkerFilter) -> Result<Option<Told>> {
    if !rooms.has_room_for(filter) {
        return Ok(None);
    }
    let watcher = Watcher::enter(rooms, app, filter.clone()).await?;
    let mut state = watcher.room.borrow().clone();
    let Some((cursor, stamps)) = state.cursor.since(&app.db).await? else { return Ok(None) };
    watcher.catch_up(&mut state, cursor, &stamps).await?;
    Ok(Some(Told { markers: state.markers.values().cloned().collect(), cursor }))
}

/// Somebody in a room.
struct Watcher {
    rooms: Rooms,
    app: App,
    filter: MarkerFilter,
    room: Room,
    /// Not before this is he told again.
    rest: Instant,
}

impl Watcher {
    async fn enter(rooms: &Rooms, app: &App, filter: MarkerFilter) -> Result<Self> {
        let room = rooms.room(app, &filter).await?;
        Ok(Self { rooms: rooms.clone(), app: app.clone(), filter, room, rest: Instant::now() })
    }

    /// The next state that he has not seen.
    async fn newest(&mut self) -> State {
        while self.room.changed().await.is_err() {
            // The room was closed behind his back; there will be another one.
            match self.rooms.room(&self.app, &self.filter).await {
                Ok(room) => self.room = room,
                Err(fault) => {
                    tracing::warn!(?fault, "a live map is not read; trying again");
                    sleep(TRY_AGAIN).await;
                }
            }
            self.room.mark_changed();
        }
        sleep_until(self.rest).await;
        self.rest = Instant::now() + GAP;
        self.room.borrow_and_update().clone()
    }

    /// What somebody with this cursor may not have heard of, as it is now; the state takes it in, for the room may be behind.
    async fn missed(&self, state: &mut State, after: &str) -> Result<Vec<Arc<Marker>>> {
        if self.filter.limit.is_some() {
            return Err(Fault::BadInput(
                "after cannot be combined with limit: leave one of them out.".into(),
            ));
        }
        let cursor: Cursor = after.parse().map_err(|_| stale())?;
        let (cursor, stamps) = cursor.since(&self.app.db).await?.ok_or_else(stale)?;
        self.catch_up(state, cursor, &stamps).await
    }

    /// Reads the stamped sites into a state. Returns what may have changed by that.
    async fn catch_up(
        &self,
        state: &mut State,
        cursor: Cursor,
        stamps: &[Stamp],
    ) -> Result<Vec<Arc<Marker>>> {
        let mut changed = Vec::new();
        for stamps in stamps.chunks(live::AT_ONCE) {
            let ids: Vec<i64> = stamps.iter().map(|stamp| stamp.site_id).collect();
            let now = SitesChanged::read(&self.app.db, &ids, cursor).await?;
            changed.extend(now.sites.iter().filter_map(|site| self.filter.marker(site)).map(Arc::new));
        }
        for marker in &changed {
            state.markers.insert(marker.site_id, Arc::clone(marker));
        }
        let shown: HashSet<i64> = changed.iter().map(|marker| marker.site_id).collect();
        for stamp in stamps.iter().filter(|stamp| !shown.contains(&stamp.site_id)) {
            let last = state.markers.remove(&stamp.site_id);
            // After a mere change of status it was not on his map before either, unless that is about statuses.
            if stamp.reshaped || self.filter.only_available {
                changed.push(gone(stamp.site_id, last.as_deref()));
            }
        }
        state.cursor = cursor;
        Ok(changed)
    }
}

fn stale() -> Fault {
    let text = "after is no cursor of this database any more: drop the markers that you hold and subscribe without it.";
    Fault::BadInput(text.into())
}

impl Rooms {
    /// Only the whole map is worth a room that nobody watches, and only a few of them are worth their memory.
    fn has_room_for(&self, filter: &MarkerFilter) -> bool {
        let rooms = self.0.lock().expect(UNPOISONED);
        let wholes = rooms.keys().filter(|(whole, _)| *whole).count();
        !filter.names_a_place() && (wholes < UNWATCHED || rooms.contains_key(&key(filter)))
    }

    async fn room(&self, app: &App, filter: &MarkerFilter) -> Result<Room> {
        let key = key(filter);
        let door = Arc::clone(self.0.lock().expect(UNPOISONED).entry(key.clone()).or_default());
        let open = door.get_or_try_init(async || {
            // In this order, so that nothing falls between the two.
            let changes = app.live.sites();
            let state = load(app, filter).await?;
            let (tell, room) = watch::channel(state);
            let keeper = Keeper { app: app.clone(), filter: filter.clone(), tell };
            tokio::spawn(keeper.run(changes, self.clone(), key));
            Ok::<_, Fault>(room)
        });
        open.await.cloned()
    }
}

fn key(filter: &MarkerFilter) -> Key {
    (!filter.names_a_place(), format!("{filter:?}"))
}

const UNPOISONED: &str = "no code panics while holding it";

async fn load(app: &App, filter: &MarkerFilter) -> Result<State> {
    // Before the markers: a cursor may be too old, never too new.
    let cursor = Cursor::now(&app.db).await?;
    let markers = map::markers(&app.db, filter, true).await?;
    let markers = markers.into_iter().map(|marker| (marker.site_id, Arc::new(marker))).collect();
    Ok(State { markers, cursor })
}

/// Keeps a room's state while somebody is in it.
struct Keeper {
    app: App,
    filter: MarkerFilter,
    tell: watch::Sender<State>,
}

impl Keeper {
    async fn run(self, mut changes: Receiver<Arc<SitesChanged>>, rooms: Rooms, key: Key) {
        let linger = if self.filter.names_a_place() { Duration::ZERO } else { LINGER };
        let mut watched = Instant::now();
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(change) if change.start_over || self.is_beyond(&change) => self.reload().await,
                    Ok(change) => self.apply(&change),
                    Err(RecvError::Lagged(_)) => self.reload().await,
                    Err(RecvError::Closed) => break,
                },
                () = sleep(LOOK_AROUND) => {}
            }
            let mut rooms = rooms.0.lock().expect(UNPOISONED);
            // The door itself holds one receiver.
            if self.tell.receiver_count() > 1 {
                watched = Instant::now();
            } else if watched.elapsed() >= linger {
                rooms.remove(&key);
                return;
            }
        }
        rooms.0.lock().expect(UNPOISONED).remove(&key);
    }

    /// Can the change bring in a site that it does not speak of?
    fn is_beyond(&self, change: &SitesChanged) -> bool {
        let shown = |id| self.tell.borrow().markers.contains_key(id);
        self.filter.limit.is_some()
            && (change.gone.iter().any(shown)
                || change.sites.iter().any(|site| shown(&site.id) || self.filter.marker(site).is_some()))
    }

    fn apply(&self, change: &SitesChanged) {
        self.tell.send_if_modified(|state| {
            state.cursor = change.cursor;
            let mut modified = false;
            for site in &change.sites {
                let shown = state.markers.get(&site.id).map(AsRef::as_ref);
                let marker = self.filter.marker(site);
                if shown == marker.as_ref() {
                    continue;
                }
                modified = true;
                match marker {
                    Some(marker) => state.markers.insert(site.id, Arc::new(marker)),
                    None => state.markers.remove(&site.id),
                };
            }
            for id in &change.gone {
                modified |= state.markers.remove(id).is_some();
            }
            modified
        });
    }

    async fn reload(&self) {
        loop {
            match load(&self.app, &self.filter).await {
                Ok(state) => break self.tell.send_modify(|old| *old = state),
                Err(fault) => tracing::warn!(?fault, "a live map is not read; trying again"),
            }
            sleep(TRY_AGAIN).await;
        }
    }
}

/// What is on the one map and not the same on the other.
fn differences(old: &State, new: &State) -> Vec<Arc<Marker>> {
    let changed = old.markers.diff(&new.markers).map(|item| match item {
        DiffItem::Add(_, marker) | DiffItem::Update { new: (_, marker), .. } => Arc::clone(marker),
        DiffItem::Remove(id, marker) => gone(*id, Some(marker)),
    });
    changed.collect()
}

/// A site that is not on the map any more, where it last was.
fn gone(site_id: i64, last: Option<&Marker>) -> Arc<Marker> {
    let (lon, lat) = last.map_or((0.0, 0.0), |last| (last.lon, last.lat));
    Arc::new(Marker { site_id, lon, lat, name: None, address: None, available: 0, total: 0 })
}
