//! Subscriptions' streams: first what is, then what changes.
//!
//! The receiver is made before the first read, so that nothing falls between the two. Who was too slow reads again instead
//! of guessing what he missed.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Error;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use super::error::{Fault, Result};
use crate::auth::Viewer;
use crate::clock;
use crate::live::SitesChanged;

/// The least time between two reads of one state: a storm of changes must not become a storm of queries.
pub(super) const GAP: Duration = Duration::from_millis(20);

/// What a subscription yields.
pub(super) type Live<T> = BoxStream<'static, Result<T, Error>>;

/// A state that is read anew after each change that matters; many changes at once are one.
pub(super) fn states<C, T, F>(
    changes: Receiver<Arc<C>>,
    matters: impl Fn(&C) -> bool + Send + Sync + 'static,
    read: impl Fn() -> F + Send + Sync + 'static,
) -> Live<T>
where
    C: Send + Sync + 'static,
    F: Future<Output = Result<T>> + Send,
{
    let from = (changes, matters, read, None);
    stream::unfold(from, |(mut changes, matters, read, last)| async move {
        if let Some(last) = last
            && !changed(&mut changes, &matters, last + GAP).await
        {
            return None;
        }
        let now = Instant::now();
        let state = read().await.map_err(Error::from);
        Some((state, (changes, matters, read, Some(now))))
    })
    .boxed()
}

/// Without states that are the same as the one before.
pub(super) fn distinct<T: PartialEq + Clone + Send + 'static>(states: Live<T>) -> Live<T> {
    let mut last = None;
    let new = move |state: Result<T, Error>| {
        let state = state.map(|state| (last.as_ref() != Some(&state)).then(|| last.insert(state).clone()));
        std::future::ready(state.transpose())
    };
    states.filter_map(new).boxed()
}

/// Waits until something that matters has changed, but not less than `until`; false when nothing ever will again.
async fn changed<C>(changes: &mut Receiver<Arc<C>>, matters: &impl Fn(&C) -> bool, until: Instant) -> bool {
    loop {
        match changes.recv().await {
            Ok(change) if !matters(&change) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => break,
            Err(RecvError::Closed) => return false,
        }
    }
    tokio::time::sleep_until(until).await;
    loop {
        match changes.try_recv() {
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return true,
        }
    }
}

/// A value as it is, then each one that differs from the one before.
pub(super) fn latest<T, F>(
    changes: Receiver<Arc<SitesChanged>>,
    now: impl Fn() -> F + Send + Sync + 'static,
    of: impl Fn(&SitesChanged) -> Option<T> + Send + Sync + 'static,
) -> Live<T>
where
    T: PartialEq + Clone + Send + 'static,
    F: Future<Output = Result<Option<T>>> + Send,
{
    let from = (changes, now, of, None, true);
    stream::unfold(from, |(mut changes, now, of, mut last, mut stale)| async move {
        loop {
            let found = if std::mem::take(&mut stale) {
                match now().await {
                    Ok(found) => found,
                    Err(fault) => return Some((Err(Error::from(fault)), (changes, now, of, last, false))),
                }
            } else {
                match changes.recv().await {
                    Ok(change) => {
                        stale = change.start_over;
                        of(&change)
                    }
                    Err(RecvError::Lagged(_)) => {
                        stale = true;
                        None
                    }
                    Err(RecvError::Closed) => return None,
                }
            };
            if let Some(value) = found.filter(|value| last.as_ref() != Some(value)) {
                last = Some(value.clone());
                return Some((Ok(value), (changes, now, of, last, stale)));
            }
        }
    })
    .boxed()
}

/// Every change, in order, after the rows as they are now.
pub(super) fn events<C, T, F>(
    changes: Receiver<Arc<C>>,
    now: impl Fn() -> F + Send + Sync + 'static,
    mut shown: impl FnMut(&C) -> Option<T> + Send + 'static,
) -> Live<T>
where
    C: Send + Sync + 'static,
    T: Send + 'static,
    F: Future<Output = Result<Vec<C>>> + Send,
{
    let from = (changes, now, VecDeque::new(), true);
    let rows = stream::unfold(from, |(mut changes, now, mut rows, mut stale)| async move {
        loop {
            if stale {
                stale = false;
                match now().await {
                    Ok(fresh) => rows = fresh.into_iter().map(Arc::new).collect(),
                    Err(fault) => return Some((Err(Error::from(fault)), (changes, now, rows, false))),
                }
            }
            if let Some(row) = rows.pop_front() {
                return Some((Ok(row), (changes, now, rows, false)));
            }
            match changes.recv().await {
                Ok(row) => rows.push_back(row),
                Err(RecvError::Lagged(_)) => stale = true,
                Err(RecvError::Closed) => return None,
            }
        }
    });
    rows.filter_map(move |row| std::future::ready(row.map(|row| shown(&row)).transpose())).boxed()
}

/// The stream until the token of the one who watches ends; then he is told to sign in again.
pub(super) fn while_signed_in<T: Send + 'static>(viewer: &Viewer, stream: Live<T>) -> Live<T> {
    let left = u64::try_from(viewer.expires_at - clock::now().0 / 1000).unwrap_or_default();
    let over = tokio::time::sleep(Duration::from_secs(left));
    let farewell = stream::once(async { Err(Error::from(Fault::Unauthorized)) });
    stream.take_until(over).chain(farewell).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn a_state_comes_first_and_after_what_matters() {
        let (tx, rx) = broadcast::channel(16);
        let reads = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&reads);
        let mut states = states(
            rx,
            |n: &i32| *n > 10,
            move || {
                let count = counter.fetch_add(1, Ordering::Relaxed);
                async move { Ok(count) }
            },
        );
        assert_eq!(states.next().await.unwrap().unwrap(), 0);
        for n in [1, 11, 12, 2] {
            tx.send(Arc::new(n)).unwrap();
        }
        assert_eq!(states.next().await.unwrap().unwrap(), 1, "many changes are one");
        drop(tx);
        assert!(states.next().await.is_none());
    }

    #[tokio::test]
    async fn events_begin_with_what_is_and_start_over_when_too_slow() {
        let (tx, rx) = broadcast::channel(2);
        let mut events = events(rx, || async { Ok(vec![1, 2]) }, |n: &i32| (*n != 2).then_some(*n));
        assert_eq!(events.next().await.unwrap().unwrap(), 1);
        tx.send(Arc::new(7)).unwrap();
        assert_eq!(events.next().await.unwrap().unwrap(), 7);
        for n in 10..20 {
            tx.send(Arc::new(n)).unwrap();
        }
        assert_eq!(events.next().await.unwrap().unwrap(), 1, "the snapshot again");
        assert_eq!(events.next().await.unwrap().unwrap(), 18);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_the_token() {
        let viewer = Viewer {
            id: 1,
            role: crate::auth::Role::Driver,
            memberships: vec![],
            expires_at: clock::now().0 / 1000 + 60,
        };
        let mut stream = while_signed_in(&viewer, stream::pending::<Result<i32, Error>>().boxed());
        assert_eq!(stream.next().await.unwrap().unwrap_err().message, "Unauthorized");
        assert!(stream.next().await.is_none());
    }
}
