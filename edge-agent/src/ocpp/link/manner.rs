//! How a station wants to be spoken to: answered no sooner than it can bear (QUIRKS Q68), not pinged if it does not know pings
//! (Q5). And the signs of both.

use std::collections::VecDeque;
use std::time::Duration;

use shared::model::quirks::Suggestion;
use shared::ocpp::rpc::CallKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::Running;
use crate::core::Suspicion;

/// Calls whose arrival is remembered.
const CALLS: usize = 64;
/// Pings without an answer, from a station that speaks.
const PINGS: u8 = 3;
/// A station that leaves so soon after the answer to a start left because of it.
const AT_ONCE: Duration = Duration::from_secs(2);
/// What to try then.
const DELAY_MS: u16 = 1000;

/// One connection's manner.
#[derive(Debug, Default)]
pub(super) struct Manner {
    ping_open: bool,
    pings_ignored: u8,
    arrived: VecDeque<(CallKey, Instant, bool)>,
    later: VecDeque<(Instant, String)>,
    start_answered: Option<Instant>,
}

impl Manner {
    /// A frame came. `true` when the station speaks but has never answered a few pings.
    pub(super) fn heard(&mut self, ponged: bool) -> bool {
        if ponged {
            self.pings_ignored = 0;
        } else if std::mem::take(&mut self.ping_open) {
            self.pings_ignored = self.pings_ignored.saturating_add(1);
            return self.pings_ignored == PINGS;
        }
        self.ping_open = false;
        false
    }

    pub(super) fn may_ping(&self) -> bool {
        !self.ping_open
    }

    pub(super) fn pinged(&mut self) {
        self.ping_open = true;
    }

    pub(super) fn called(&mut self, key: CallKey, is_start: bool) {
        if self.arrived.len() >= CALLS {
            self.arrived.pop_front();
        }
        self.arrived.push_back((key, Instant::now(), is_start));
    }

    /// A call is answered. When that may go out, if not at once. Answers never overtake one another.
    pub(super) fn answers(&mut self, key: &CallKey, delay: Duration) -> Option<Instant> {
        let place = self.arrived.iter().position(|(call, ..)| call == key);
        let (arrived, is_start) =
            place.and_then(|place| self.arrived.remove(place)).map_or((None, false), |it| (Some(it.1), it.2));
        let now = Instant::now();
        let due = arrived.map_or(now, |arrived| arrived + delay);
        let due = self.later.back().map_or(due, |(last, _)| due.max(*last));
        if is_start {
            self.start_answered = Some(due.max(now));
        }
        (due > now || !self.later.is_empty()).then_some(due)
    }

    pub(super) fn answer_later(&mut self, due: Instant, text: String) {
        self.later.push_back((due, text));
    }

    pub(super) fn next_answer(&self) -> Option<Instant> {
        self.later.front().map(|(due, _)| *due)
    }

    pub(super) fn due_answer(&mut self, now: Instant) -> Option<String> {
        self.later.pop_front_if(|(due, _)| *due <= now).map(|(_, text)| text)
    }

    /// Did the answer to a start drive it away?
    pub(super) fn left_at_once(&self) -> bool {
        self.start_answered.is_some_and(|answered| answered.elapsed() <= AT_ONCE)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Running<S> {
    /// How long the station may take to answer, in milliseconds.
    pub(super) fn patience(&self) -> u64 {
        let own = self.link.directory.habits(&self.link.station).quirks.answer_seconds;
        let answer = own.map_or(self.link.settings.answer, |seconds| Duration::from_secs(seconds.into()));
        u64::try_from(answer.as_millis()).unwrap_or(u64::MAX)
    }

    /// How long it may say nothing. One that is not pinged has only its heartbeats to live by, and may miss two.
    pub(super) fn silence(&self) -> Duration {
        let heartbeats = Duration::from_secs(u64::from(self.link.settings.heartbeat_seconds) * 3);
        let silence = self.link.settings.silence;
        let no_ping = self.link.directory.habits(&self.link.station).quirks.no_ping;
        if no_ping { silence.max(heartbeats) } else { silence }
    }
}

pub(super) fn no_ping() -> Suspicion {
    let evidence = "it speaks, and never answers a ping".to_owned();
    Suspicion { suggestion: Suggestion::NoPing, evidence, may_be_chance: false }
}

pub(super) fn answer_delay() -> Suspicion {
    let evidence = "it left right after it was answered that a session may begin, several times".to_owned();
    let suggestion = Suggestion::AnswerDelay { ms: DELAY_MS };
    Suspicion { suggestion, evidence, may_be_chance: true }
}
