//! The queue of transaction messages: sent in order, one at a time, kept over lost connections and lost power, given up
//! only after the attempts that the configuration allows (1.6 §3.7.1).

use std::collections::VecDeque;

use super::Fact;
use crate::tempo::Millis;

/// Which session a message belongs to: the station's own number.
pub(super) type Local = u64;

/// A message that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    /// Its place in the order of all messages.
    pub(super) number: u64,
    /// Its session.
    pub(super) local: Local,
    /// What it says. The transaction id is filled in when it is sent.
    pub(super) fact: Fact,
    attempts: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: VecDeque<Queued>,
    next_number: u64,
    in_flight: bool,
    not_before: Millis,
}

/// Messages kept at most. Beyond that, meter readings are dropped, the oldest first; starts and stops never are.
const MOST: usize = 2_000;

impl Queue {
    /// Appends a message.
    pub(super) fn push(&mut self, local: Local, fact: Fact) {
        if self.messages.len() >= MOST {
            let droppable = |queued: &Queued| matches!(queued.fact, Fact::Readings { .. });
            let first = usize::from(self.in_flight);
            if let Some(at) = (first..self.messages.len()).find(|at| droppable(&self.messages[*at])) {
                self.messages.remove(at);
            }
        }
        self.next_number += 1;
        self.messages.push_back(Queued { number: self.next_number, local, fact, attempts: 0 });
    }

    /// The message to send now, if one is due. It is in flight from then on.
    pub(super) fn send(&mut self, now: Millis) -> Option<Queued> {
        if self.in_flight || now < self.not_before {
            return None;
        }
        let head = self.messages.front()?.clone();
        self.in_flight = true;
        Some(head)
    }

    /// The message in flight was answered.
    pub(super) fn answered(&mut self, number: u64) -> Option<Queued> {
        self.landed(number)?;
        self.messages.pop_front()
    }

    /// The message in flight failed: it is tried again later, the interval growing, or given up and returned.
    pub(super) fn failed(
        &mut self,
        number: u64,
        now: Millis,
        attempts: u64,
        interval: Millis,
    ) -> Option<Queued> {
        let head = self.landed(number)?;
        head.attempts += 1;
        if head.attempts >= attempts.max(1) {
            return self.messages.pop_front();
        }
        let wait = interval.saturating_mul(head.attempts);
        self.not_before = now.saturating_add(wait);
        None
    }

    /// The connection is gone: the message in flight is sent again on the next one.
    pub(super) fn lost(&mut self) {
        self.in_flight = false;
        self.not_before = 0;
    }

    /// When the next message is due, if the only thing that it waits for is time.
    pub(super) fn next_deadline(&self) -> Option<Millis> {
        (!self.in_flight && !self.messages.is_empty()).then_some(self.not_before)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Does a message of this session wait?
    pub(super) fn holds(&self, local: Local) -> bool {
        self.messages.iter().any(|queued| queued.local == local)
    }

    fn landed(&mut self, number: u64) -> Option<&mut Queued> {
        let head = self.messages.front_mut().filter(|head| self.in_flight && head.number == number)?;
        self.in_flight = false;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(count: u64) -> Queue {
        let mut queue = Queue::default();
        for local in 1..=count {
            queue.push(local, Fact::Heartbeat);
        }
        queue
    }

    #[test]
    fn one_at_a_time_and_in_order() {
        let mut queue = queue(2);
        assert_eq!(queue.send(0).map(|sent| sent.local), Some(1));
        assert!(queue.send(0).is_none());
        assert!(queue.answered(2).is_none(), "only the one in flight can be answered");
        assert_eq!(queue.answered(1).map(|queued| queued.local), Some(1));
        assert_eq!(queue.send(0).map(|sent| sent.local), Some(2));
        queue.lost();
        assert_eq!(queue.send(0).map(|sent| sent.local), Some(2));
    }

    #[test]
    fn failures_wait_longer_and_longer_and_end() {
        let mut queue = queue(2);
        queue.send(0);
        assert!(queue.failed(1, 0, 3, 10).is_none());
        assert_eq!(queue.next_deadline(), Some(10));
        assert!(queue.send(9).is_none());
        queue.send(10);
        assert!(queue.failed(1, 10, 3, 10).is_none());
        assert_eq!(queue.next_deadline(), Some(30));
        queue.send(30);
        assert_eq!(queue.failed(1, 30, 3, 10).map(|queued| queued.local), Some(1));
        assert_eq!(queue.send(30).map(|sent| sent.local), Some(2));
    }
}
