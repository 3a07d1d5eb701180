//! One step, and when it was.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId as OtelId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use shared::id::SessionId;
use shared::trace::{SpanId, trace_id};
use shared::units::Timestamp;

/// An instant by the time of day, and by a clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    at: Timestamp,
    instant: Instant,
}

impl Moment {
    /// Now, which is `at` by the clock of the room.
    pub fn now(at: Timestamp) -> Self {
        Self { at, instant: Instant::now() }
    }

    /// The time of day at another instant, however the clock was set between.
    pub fn time_of(self, instant: Instant) -> SystemTime {
        let now = time(self.at);
        match instant.checked_duration_since(self.instant) {
            Some(later) => now + later,
            None => now.checked_sub(self.instant.duration_since(instant)).unwrap_or(UNIX_EPOCH),
        }
    }

    /// The time of day.
    pub fn time(self) -> SystemTime {
        time(self.at)
    }

    /// The time of day by now.
    pub fn until_now(self) -> SystemTime {
        self.time_of(Instant::now())
    }
}

/// A step of a session's trace.
#[derive(Debug)]
pub struct Span {
    session: SessionId,
    id: SpanId,
    name: &'static str,
    parent: Option<SpanId>,
    kind: SpanKind,
    from: SystemTime,
    to: SystemTime,
    attributes: Vec<KeyValue>,
}

impl Span {
    /// A step that began and ended. One that ended before it began, by a wrong clock, took no time.
    pub fn new(session: SessionId, id: SpanId, name: &'static str, from: SystemTime, to: SystemTime) -> Self {
        let to = to.max(from);
        Self { session, id, name, parent: None, kind: SpanKind::Internal, from, to, attributes: Vec::new() }
    }

    /// The same for times of day.
    pub fn between(
        session: SessionId,
        id: SpanId,
        name: &'static str,
        (from, to): (Timestamp, Timestamp),
    ) -> Self {
        Self::new(session, id, name, time(from), time(to))
    }

    /// It is part of another one.
    pub fn of(self, parent: SpanId) -> Self {
        Self { parent: Some(parent), ..self }
    }

    /// It takes something in, or gives something away.
    pub fn kind(self, kind: SpanKind) -> Self {
        Self { kind, ..self }
    }

    /// What else is to know. Never a token, a name or a secret: collectors are read by many.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    pub(crate) fn into_data(self) -> SpanData {
        let (trace, id) = (TraceId::from_bytes(trace_id(self.session)), OtelId::from_bytes(self.id.0));
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: self.parent.map_or(OtelId::INVALID, |SpanId(id)| OtelId::from_bytes(id)),
            parent_span_is_remote: self.kind == SpanKind::Consumer,
            span_kind: self.kind,
            name: self.name.into(),
            start_time: self.from,
            end_time: self.to,
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("session").build(),
        }
    }
}

fn time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_tell_the_time_before_and_after_them() {
        let moment = Moment::now(Timestamp(5_000));
        let second = Duration::from_secs(1);
        assert_eq!(moment.time_of(moment.instant + second), time(Timestamp(6_000)));
        assert_eq!(moment.time_of(moment.instant - second), time(Timestamp(4_000)));
    }
}
