//! What the cloud tells of sessions: see [`shared::trace`] for the whole, from a station's message to the bill.
//!
//! Told after the commit, from what the batch left behind, so that a collector never learns of what was rolled back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use shared::id::SessionId;
use shared::model::Event;
use shared::sync::Record;
use shared::trace as name;
use traces::{Moment, Span, SpanKind, Traces};

use super::batch::Steps;
use crate::clock;
use crate::db::record::Origin;

/// Tells of what was new among committed records. One that came ahead of its turn is not told of again.
pub(super) fn tell<'a>(
    traces: &Traces,
    origin: Origin,
    records: impl Iterator<Item = (u64, &'a Record)>,
    arrived: Instant,
    steps: &Steps,
) {
    if !traces.is_on() {
        return;
    }
    let now = Moment::now(clock::now());
    let times = |time: &Range<Instant>| (now.time_of(time.start), now.time_of(time.end));
    let mut last = BTreeMap::new();
    for (session, record) in of_sessions(origin, records, steps) {
        let key = &record.header.key;
        let span = Span::new(session, name::ingest(session, key), "ingest", now.time_of(arrived), now.time());
        let span = span.of(name::record(session, key)).kind(SpanKind::Consumer);
        let kind = i64::from(record.header.kind);
        traces.tell(with_origin(span, origin).with("record.kind", kind));
        last.insert(session, key);
    }
    for (session, key) in &last {
        let (from, to) = times(&steps.project);
        let span = Span::new(*session, name::project(*session, key), "project", from, to);
        traces.tell(span.of(name::ingest(*session, key)));
    }
    for billed in &steps.bills {
        let ((from, to), id) = (times(&billed.time), name::bill(billed.session));
        let span = Span::new(billed.session, id, "bill", from, to);
        let parent = last.get(&billed.session).map(|key| name::project(billed.session, key));
        traces.tell(span.of(parent.unwrap_or_else(|| name::session(billed.session))));
    }
}

fn of_sessions<'a>(
    origin: Origin,
    records: impl Iterator<Item = (u64, &'a Record)>,
    steps: &Steps,
) -> impl Iterator<Item = (SessionId, &'a Record)> {
    let session = move |record: &Record| record.event(origin.lane).ok().as_ref().and_then(Event::session);
    let new = records.filter(|(seq, _)| steps.new.contains(seq));
    new.filter_map(move |(_, record)| Some((session(record)?, record)))
}

fn with_origin(span: Span, origin: Origin) -> Span {
    span.with("gateway.id", origin.gateway.to_string()).with("record.lane", origin.lane.name())
}
