//! Records on their way to the cloud.

use std::collections::BTreeMap;

use shared::id::{GatewayId, SessionId};
use shared::model::{Event, Lane};
use shared::sync::Record;
use shared::sync::record::Header;
use shared::trace as name;
use shared::units::Timestamp;
use traces::{Moment, Span, SpanKind, Traces};

/// What the sync task tells. A record that was sent by a process that is gone, and acknowledged to this one, is not told.
pub struct LaneTrace {
    traces: Traces,
    gateway: GatewayId,
    /// By lane, what was sent and is not acknowledged; one batch of each, and what went ahead.
    on_the_way: [BTreeMap<u64, Sent>; 3],
}

struct Sent {
    session: SessionId,
    header: Header,
    first: Moment,
    times: i64,
}

impl LaneTrace {
    /// Tells it there.
    pub fn new(traces: Traces, gateway: GatewayId) -> Self {
        LaneTrace { traces, gateway, on_the_way: Default::default() }
    }

    /// These records of a lane are given to the network, for the first time or again.
    pub fn sent(&mut self, lane: Lane, records: &[(u64, Record)], now: Timestamp) {
        if !self.traces.is_on() {
            return;
        }
        let first = Moment::now(now);
        for (seq, record) in records {
            let Some(session) = record.event(lane).ok().as_ref().and_then(Event::session) else { continue };
            let sent = || Sent { session, header: record.header.clone(), first, times: 0 };
            self.on_the_way[lane.index()].entry(*seq).or_insert_with(sent).times += 1;
        }
    }

    /// The cloud has committed the lane up to this number.
    pub fn acked(&mut self, lane: Lane, watermark: u64) {
        let on_the_way = &mut self.on_the_way[lane.index()];
        let later = on_the_way.split_off(&watermark.saturating_add(1));
        for (seq, sent) in std::mem::replace(on_the_way, later) {
            self.traces.tell(sent.span(self.gateway, lane, seq));
        }
    }

    /// Everything is numbered anew.
    pub fn renumbered(&mut self) {
        self.on_the_way = Default::default();
    }
}

impl Sent {
    fn span(self, gateway: GatewayId, lane: Lane, seq: u64) -> Span {
        let Sent { session, header: Header { kind, boot, mono_ms, key, .. }, first, times } = self;
        Span::new(session, name::record(session, &key), "record", first.time(), first.until_now())
            .of(name::commit(session, boot, mono_ms))
            .kind(SpanKind::Producer)
            .with("gateway.id", gateway.to_string())
            .with("record.lane", lane.name())
            .with("record.number", i64::try_from(seq).unwrap_or(i64::MAX))
            .with("record.kind", i64::from(kind))
            .with("record.sent", times)
    }
}
