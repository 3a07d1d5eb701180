//! The RPC peer of OCPP-J, pure and usable by either side: texts and instants go in, values come out.
//!
//! Sending is strict: one CALL outstanding, the rest waits in a bounded queue (OCPP-J 1.6 §4.1.1). Receiving never holds
//! a station to that rule. A call that is repeated on the same connection, same id and same payload, gets the same
//! bytes again; the same id with another payload is a new call, because stations count from one at every boot (and the
//! 2025-04 errata let a retry reuse its id). An answer after its time is late, not an error.

use std::collections::VecDeque;

use serde_json::value::RawValue;

use super::error::ErrorCode;
use super::frame::{self, BadFrame, Frame};

/// Milliseconds on the caller's monotonic clock.
pub type Millis = u64;

/// What a peer holds on to, at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Outgoing calls that wait for their turn.
    pub queued: usize,
    /// Answers remembered for repeated calls.
    pub replayed: usize,
    /// Actions whose broken frames are mended rather than refused.
    pub mended: &'static [&'static str],
}

impl Default for Limits {
    fn default() -> Self {
        Limits { queued: 32, replayed: 8, mended: &[] }
    }
}

/// A call of ours. `T` is how the caller recognises its answer.
#[derive(Debug)]
pub struct Outgoing<T> {
    /// The caller's own mark.
    pub ticket: T,
    /// What to ask.
    pub action: &'static str,
    /// With what.
    pub payload: Box<RawValue>,
    /// How long to wait for the answer, counted from its sending.
    pub timeout: Millis,
}

/// Names a received call when its answer is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallKey {
    id: String,
    digest: [u8; 16],
}

impl CallKey {
    /// The message id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// An answer to a received call.
#[derive(Debug)]
pub enum Reply {
    /// CALLRESULT.
    Result(Box<RawValue>),
    /// CALLERROR.
    Error(ErrorCode, String),
}

/// How a call of ours ended.
#[derive(Debug)]
pub enum Answer {
    /// Answered.
    Result(Box<RawValue>),
    /// Refused.
    Error {
        /// Why.
        code: ErrorCode,
        /// For a person.
        description: String,
    },
    /// Not answered in time.
    Timeout,
}

/// What a received text means.
#[derive(Debug)]
pub enum Received<T> {
    /// A new call: carry it out and [`Peer::reply`].
    Call {
        /// For the reply.
        key: CallKey,
        /// What is asked.
        action: String,
        /// With what.
        payload: Box<RawValue>,
        /// The frame was broken and has been mended.
        mended: bool,
    },
    /// A call that was answered before: send this text again.
    Replay(String),
    /// A call that is still being carried out: its answer is on the way.
    Repeat,
    /// The outstanding call of ours ended. [`Peer::poll`] sends the next.
    Answered {
        /// Which.
        ticket: T,
        /// How.
        answer: Answer,
    },
    /// An answer whose call had timed out.
    Late(T),
    /// An answer to nothing that we asked.
    Unasked,
    /// A message type that this version ignores.
    Ignored,
    /// No frame; a call gets the CALLERROR in `reply`.
    Bad {
        /// What to send, if anything.
        reply: Option<String>,
        /// What is wrong.
        bad: BadFrame,
    },
}

/// What the passing of time brings.
#[derive(Debug)]
pub enum Due<T> {
    /// Send this text: the next call of ours.
    Send(String),
    /// A call of ours was not answered in time.
    TimedOut(T),
}

/// One side of one connection.
#[derive(Debug)]
pub struct Peer<T> {
    limits: Limits,
    prefix: String,
    counter: u64,
    queue: VecDeque<Outgoing<T>>,
    outstanding: Option<Outstanding<T>>,
    overdue: VecDeque<(String, T)>,
    pending: Vec<CallKey>,
    answered: VecDeque<(CallKey, String)>,
}

#[derive(Debug)]
struct Outstanding<T> {
    id: String,
    ticket: T,
    deadline: Millis,
}

/// Calls received and not answered yet that are recognised when repeated. More are carried out all the same.
const MOST_PENDING: usize = 64;
/// Calls of ours, given up, whose late answers are still recognised.
const MOST_OVERDUE: usize = 4;

impl<T> Peer<T> {
    /// A peer on a new connection. `prefix` begins its message ids and must differ between the connections of one
    /// station, because ids are unique over all of them; at most 20 characters.
    pub fn new(prefix: impl Into<String>, limits: Limits) -> Self {
        Peer {
            limits,
            prefix: prefix.into(),
            counter: 0,
            queue: VecDeque::new(),
            outstanding: None,
            overdue: VecDeque::new(),
            pending: Vec::new(),
            answered: VecDeque::new(),
        }
    }

    /// Queues a call of ours; [`Peer::poll`] sends it when its turn comes. Gives it back when the queue is full.
    pub fn call(&mut self, call: Outgoing<T>) -> Result<(), Outgoing<T>> {
        if self.queue.len() >= self.limits.queued {
            return Err(call);
        }
        self.queue.push_back(call);
        Ok(())
    }

    /// Takes a call of ours back that is not on its way. `false` when it is, or was never made.
    pub fn withdraw(&mut self, ticket: &T) -> bool
    where
        T: PartialEq,
    {
        let before = self.queue.len();
        self.queue.retain(|call| call.ticket != *ticket);
        self.queue.len() < before
    }

    /// Takes a received text.
    pub fn receive(&mut self, text: &str) -> Received<T> {
        match Frame::parse(text) {
            Ok(frame) => self.take(frame, false),
            Err(bad) => match self.mend(&bad, text) {
                Some(frame) => self.take(frame, true),
                None => Received::Bad { reply: refusal(&bad), bad },
            },
        }
    }

    /// The text that answers a call, remembered in case the call is repeated.
    pub fn reply(&mut self, key: CallKey, reply: &Reply) -> String {
        let text = match reply {
            Reply::Result(payload) => frame::result_text(&key.id, payload),
            Reply::Error(code, description) => {
                frame::error_text(&key.id, code, description, &frame::empty_object())
            }
        };
        self.pending.retain(|pending| *pending != key);
        if self.answered.len() >= self.limits.replayed {
            self.answered.pop_front();
        }
        self.answered.push_back((key, text.clone()));
        text
    }

    /// What is due at `now`; call again until it is `None`.
    pub fn poll(&mut self, now: Millis) -> Option<Due<T>>
    where
        T: Clone,
    {
        if let Some(late) = self.outstanding.take_if(|waiting| waiting.deadline <= now) {
            if self.overdue.len() >= MOST_OVERDUE {
                self.overdue.pop_front();
            }
            self.overdue.push_back((late.id, late.ticket.clone()));
            return Some(Due::TimedOut(late.ticket));
        }
        if self.outstanding.is_some() {
            return None;
        }
        let call = self.queue.pop_front()?;
        self.counter += 1;
        let id = format!("{}{}", self.prefix, self.counter);
        let text = frame::call_text(&id, call.action, &call.payload);
        self.outstanding =
            Some(Outstanding { id, ticket: call.ticket, deadline: now.saturating_add(call.timeout) });
        Some(Due::Send(text))
    }

    /// When [`Peer::poll`] has something to say next, unless something is received or called before.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.outstanding.as_ref().map(|waiting| waiting.deadline)
    }

    /// Is a call of ours unanswered or waiting for its turn?
    pub fn is_busy(&self) -> bool {
        self.outstanding.is_some() || !self.queue.is_empty()
    }

    /// The connection is gone: all calls of ours that will never be answered, the outstanding one first.
    pub fn close(self) -> Vec<T> {
        let queued = self.queue.into_iter().map(|call| call.ticket);
        self.outstanding.into_iter().map(|waiting| waiting.ticket).chain(queued).collect()
    }

    fn mend(&self, bad: &BadFrame, text: &str) -> Option<Frame> {
        let action = bad.action.as_deref()?;
        self.limits.mended.contains(&action).then(|| Frame::parse_mended(text)).flatten()
    }

    fn take(&mut self, frame: Frame, mended: bool) -> Received<T> {
        match frame {
            Frame::Call { id, action, payload } => self.take_call(id, action, payload, mended),
            Frame::Result { id, payload } => self.take_answer(&id, Answer::Result(payload)),
            Frame::Error { id, code, description, .. } => {
                self.take_answer(&id, Answer::Error { code, description })
            }
            Frame::Unknown { .. } => Received::Ignored,
        }
    }

    fn take_call(&mut self, id: String, action: String, payload: Box<RawValue>, mended: bool) -> Received<T> {
        let key = CallKey { digest: digest(&action, &payload), id };
        if let Some((_, text)) = self.answered.iter().find(|(answered, _)| *answered == key) {
            return Received::Replay(text.clone());
        }
        if self.pending.contains(&key) {
            return Received::Repeat;
        }
        if self.pending.len() < MOST_PENDING {
            self.pending.push(key.clone());
        }
        Received::Call { key, action, payload, mended }
    }

    fn take_answer(&mut self, id: &str, answer: Answer) -> Received<T> {
        if let Some(waiting) = self.outstanding.take_if(|waiting| waiting.id == id) {
            return Received::Answered { ticket: waiting.ticket, answer };
        }
        match self
            .overdue
            .iter()
            .position(|(overdue, _)| overdue == id)
            .and_then(|at| self.overdue.remove(at))
        {
            Some((_, ticket)) => Received::Late(ticket),
            None => Received::Unasked,
        }
    }
}

/// The CALLERROR for a text that is no frame. Only calls are answered; where not even the type can be read, it may have
/// been one.
fn refusal(bad: &BadFrame) -> Option<String> {
    if !matches!(bad.kind, None | Some(2)) {
        return None;
    }
    let id = bad.id.as_deref().unwrap_or(frame::UNREADABLE_ID);
    Some(frame::error_text(id, &ErrorCode::FormatViolation, bad.reason, &frame::empty_object()))
}

fn digest(action: &str, payload: &RawValue) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(action.as_bytes()).update(&[0]).update(payload.get().as_bytes());
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}
