//! One evaluation for all who ask the same: a live map with a thousand watchers is queried and written out once per change.
//!
//! Only for operations whose answer does not depend on who asks. What is shared is a state, not a list of events: a slow
//! watcher skips to the newest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;
use tracing::Instrument as _;

use super::Event;

type Rooms = Arc<Mutex<HashMap<String, watch::Receiver<Option<Event>>>>>;

/// The evaluations that run now, by request.
#[derive(Default)]
pub(super) struct Fanout(Rooms);

impl Fanout {
    /// The newest answer and every later one, from a stream that is begun only when nobody has yet.
    pub(super) fn join(
        &self,
        key: String,
        begin: impl FnOnce() -> BoxStream<'static, Event>,
    ) -> BoxStream<'static, Event> {
        let mut rooms = self.0.lock().expect("no code panics while holding it");
        let open = rooms.get(&key).filter(|room| room.has_changed().is_ok()).cloned();
        let room = open.unwrap_or_else(|| {
            let (door, room) = watch::channel(None);
            rooms.insert(key.clone(), room.clone());
            tokio::spawn(run(begin(), door, Arc::clone(&self.0), key).in_current_span());
            room
        });
        drop(rooms);
        follow(room)
    }
}

async fn run(
    mut events: BoxStream<'static, Event>,
    door: watch::Sender<Option<Event>>,
    rooms: Rooms,
    key: String,
) {
    loop {
        // The map itself holds one receiver: when it is the last one, nobody listens.
        tokio::select! {
            event = events.next() => match event {
                Some(event) => { door.send_replace(Some(event)); }
                None => break,
            },
            () = deserted(&door) => {}
        }
        let mut rooms = rooms.lock().expect("no code panics while holding it");
        if door.receiver_count() <= 1 {
            rooms.remove(&key);
            return;
        }
    }
    rooms.lock().expect("no code panics while holding it").remove(&key);
}

/// Looks every now and then: leaving is rare and nobody waits for it.
async fn deserted(door: &watch::Sender<Option<Event>>) {
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        if door.receiver_count() <= 1 {
            return;
        }
    }
}

fn follow(mut room: watch::Receiver<Option<Event>>) -> BoxStream<'static, Event> {
    room.mark_changed();
    stream::unfold(room, |mut room| async move {
        loop {
            room.changed().await.ok()?;
            let newest = room.borrow_and_update().clone();
            if let Some(event) = newest {
                return Some((event, room));
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;

    fn text(event: Option<Event>) -> String {
        match event {
            Some(Event::Next(text) | Event::Refused(text)) => text.to_string(),
            None => "end".into(),
        }
    }

    #[tokio::test]
    async fn the_same_request_runs_once_and_latecomers_get_the_newest() {
        let (fanout, begun) = (Fanout::default(), AtomicUsize::new(0));
        let (tx, mut rx) = mpsc::channel::<&str>(4);
        let events = stream::poll_fn(move |cx| rx.poll_recv(cx)).map(|text| Event::Next(text.into())).boxed();
        let mut events = Some(events);
        let mut begin = || {
            begun.fetch_add(1, Ordering::Relaxed);
            events.take().expect("begun once")
        };
        let mut first = fanout.join("a".into(), &mut begin);
        tx.send("1").await.unwrap();
        assert_eq!(text(first.next().await), "1");
        let mut second = fanout.join("a".into(), &mut begin);
        assert_eq!(text(second.next().await), "1");
        tx.send("2").await.unwrap();
        assert_eq!((text(first.next().await), text(second.next().await)), ("2".into(), "2".into()));
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        drop(tx);
        assert_eq!(text(first.next().await), "end");
        assert!(fanout.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deserted_room_is_closed() {
        let fanout = Fanout::default();
        let watcher = fanout.join("a".into(), || stream::pending().boxed());
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        assert_eq!(fanout.0.lock().unwrap().len(), 1);
        drop(watcher);
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        assert!(fanout.0.lock().unwrap().is_empty());
    }
}
