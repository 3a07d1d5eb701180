//! What this gateway tells of its sessions: see [`shared::trace`] for the whole, from a station's message to the bill.
//!
//! The site's task tells of messages and commits ([`SiteTrace`]), the sync task of records on their way ([`LaneTrace`]). When no
//! collector is named, neither keeps anything.

mod lane;

use std::collections::BTreeMap;

use shared::id::{SessionId, StationId};
use shared::model::Event;
use shared::ocpp::v16::TRANSACTION_ACTIONS;
use shared::trace as name;
use shared::units::Timestamp;
use traces::{Moment, Span, SpanKind, Traces};

use crate::core::{Effects, Write};
use crate::store::Stamp;

pub use lane::LaneTrace;

/// A station's message that may be about a session.
#[derive(Clone, Debug)]
pub struct Frame {
    station: StationId,
    action: &'static str,
    received: Moment,
}

impl Frame {
    /// A message that has just come, if its kind is about sessions.
    pub fn of(station: &StationId, action: &'static str, now: Timestamp) -> Option<Frame> {
        TRANSACTION_ACTIONS.contains(&action).then(|| Frame {
            station: station.clone(),
            action,
            received: Moment::now(now),
        })
    }
}

/// What the site tells.
#[derive(Default)]
pub struct SiteTrace {
    traces: Traces,
    /// Messages that are decided and not committed yet.
    decided: Vec<Decided>,
}

struct Decided {
    session: SessionId,
    frame: Frame,
    taken: Moment,
}

/// A commit under way, as it concerns one session.
pub struct Committing {
    session: SessionId,
    stamp: Stamp,
    since: Moment,
    messages: Vec<Decided>,
    facts: i64,
    stopped_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
}

impl SiteTrace {
    /// Tells it there.
    pub fn new(traces: Traces) -> Self {
        SiteTrace { traces, decided: Vec::new() }
    }

    /// The core decided a message that was taken out of the inbox at that moment.
    pub fn decided(&mut self, frame: Option<Frame>, taken: Moment, effects: &Effects) {
        if self.traces.is_on()
            && let Some(frame) = frame
            && let Some(session) = effects.events().find_map(Event::session)
        {
            self.decided.push(Decided { session, frame, taken });
        }
    }

    /// The writes are about to be committed.
    pub fn committing(&mut self, stamp: Stamp, writes: &[Write]) -> Vec<Committing> {
        if !self.traces.is_on() {
            return Vec::new();
        }
        let mut sessions = BTreeMap::new();
        for write in writes {
            if let Write::Event(event) = write
                && let Some(session) = event.session()
            {
                let it = sessions.entry(session).or_insert_with(|| Committing::new(session, stamp));
                it.facts += 1;
                if let Event::SessionStopped(stopped) = event {
                    it.stopped_at = Some(stopped.at);
                }
            }
        }
        for write in writes {
            if let Write::Session(running) = write
                && let Some(it) = sessions.get_mut(&running.session.id())
            {
                it.started_at = Some(running.session.start.at);
            }
        }
        for message in self.decided.drain(..) {
            if let Some(it) = sessions.get_mut(&message.session) {
                it.messages.push(message);
            }
        }
        sessions.into_values().collect()
    }

    /// They are committed; the answers go out now.
    pub fn committed(&self, commits: Vec<Committing>) {
        commits.into_iter().flat_map(Committing::spans).for_each(|span| self.traces.tell(span));
    }
}

impl Committing {
    fn new(session: SessionId, stamp: Stamp) -> Self {
        Committing {
            session,
            stamp,
            since: Moment::now(stamp.at),
            messages: Vec::new(),
            facts: 0,
            stopped_at: None,
            started_at: None,
        }
    }

    /// The commit is part of the first message that it answers, or of the session when it was nobody's word.
    fn spans(self) -> Vec<Span> {
        let Committing { session, stamp: Stamp { boot, mono_ms, .. }, since, messages, .. } = self;
        let whole = name::session(session);
        let mut spans = Vec::new();
        let (mut since, mut parent) = (since, whole);
        for (place, Decided { frame, taken, .. }) in (0..).zip(messages) {
            let id = name::message(session, boot, mono_ms, place);
            if place == 0 {
                (since, parent) = (taken, id);
            }
            let (from, to) = (frame.received.time(), frame.received.until_now());
            let span = Span::new(session, id, frame.action, from, to).of(whole).kind(SpanKind::Server);
            spans.push(span.with("station.id", frame.station.as_str().to_owned()));
        }
        let commit = name::commit(session, boot, mono_ms);
        let span = Span::new(session, commit, "commit", since.time(), since.until_now());
        spans.push(span.of(parent).with("facts", self.facts));
        if let (Some(started), Some(stopped)) = (self.started_at, self.stopped_at) {
            let id = session.to_string();
            spans.push(Span::between(session, whole, "session", (started, stopped)).with("session.id", id));
        }
        spans
    }
}
