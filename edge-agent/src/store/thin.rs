//! What is given up of the lanes when room is short.
//!
//! Only records above `sent` are touched: numbers that the network may have seen mean the same for ever. What remains above
//! is numbered anew, so the lane stays without gaps and the cloud's cursor never learns of it. Superseded records could stay
//! as empty ones instead; then a lane that was thinned would still be as long, and every reader would have to know of them.
//!
//! A lane is gone through from its end to its beginning in small steps, one with each commit, so that no station waits for
//! it: what a step removes shifts only what lies behind it, and that is thin already.

use std::collections::BTreeMap;

use rusqlite::Transaction;
use shared::id::SessionId;
use shared::model::event::MeterGap;
use shared::model::{Event, Lane};
use shared::sync::Record;
use shared::units::Timestamp;

use super::{Position, gaps, outbox};

/// Records that a step looks at.
const STEP: u64 = 2048;
/// So many new records are worth another pass.
const WORTH: u64 = 1024;

/// Going through a lane.
#[derive(Default)]
pub(super) struct Pass {
    /// What lies above is done.
    mark: Option<u64>,
    /// Where the head was when the last pass ended.
    done_at: u64,
    /// The newest of each subject, so far.
    newest: BTreeMap<String, Timestamp>,
}

impl Pass {
    /// One step; says how many records it gave up.
    pub(super) fn step(
        &mut self,
        db: &Transaction<'_>,
        position: &mut Position,
        lane: Lane,
    ) -> anyhow::Result<u64> {
        let place = lane.index();
        let (head, floor) = (position.heads[place], position.sent[place]);
        let mark = match self.mark {
            Some(mark) => mark.min(head),
            None if head < floor.max(self.done_at) + WORTH => return Ok(0),
            None => head,
        };
        let from = mark.saturating_sub(STEP).max(floor);
        let records = outbox::between(db, lane, from, mark)?;
        let gone = match lane {
            Lane::Billing => unreachable!("billing records are never given up"),
            Lane::Meter => readings(db, records)?,
            Lane::Status => self.superseded(&records),
        };
        for seq in &gone {
            outbox::delete(db, lane, *seq)?;
        }
        if !gone.is_empty() {
            position.heads[place] = outbox::renumber(db, lane, from)?;
        }
        if from == floor {
            *self = Pass { done_at: position.heads[place], ..Pass::default() };
        } else {
            self.mark = Some(from);
        }
        Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
    }

    /// Seen from the end: what an equal or newer fact about the same thing follows.
    fn superseded(&mut self, records: &[(u64, Record)]) -> Vec<u64> {
        let mut gone = Vec::new();
        for (seq, record) in records.iter().rev() {
            let Some((subject, at)) = record.event(Lane::Status).ok().and_then(|event| subject(&event))
            else {
                continue;
            };
            match self.newest.get(&subject) {
                Some(newest) if *newest >= at => gone.push(*seq),
                Some(_) | None => drop(self.newest.insert(subject, at)),
            }
        }
        gone
    }
}

/// What a status is about, where only the latest counts.
fn subject(event: &Event) -> Option<(String, Timestamp)> {
    if let Event::StatusChanged(it) = event {
        Some((format!("status/{}/{}", it.station, it.evse.map_or(0, |evse| evse.0)), it.at))
    } else if let Event::PresenceChanged(it) = event {
        Some((format!("presence/{}", it.station), it.at))
    } else if let Event::StationBooted(it) = event {
        Some((format!("boot/{}", it.station), it.at))
    } else if let Event::ClockMeasured(it) = event {
        Some((format!("clock/{}", it.station), it.at))
    } else if let Event::DocumentApplied(it) = event {
        Some((format!("document/{}", it.name), it.at))
    } else {
        None
    }
}

/// One reading, or several that are a gap already.
struct Piece {
    seq: u64,
    record: Record,
    gap: MeterGap,
}

/// Puts what lies between the first and the last piece of each session into one gap; returns what it takes the place of.
fn readings(db: &Transaction<'_>, records: Vec<(u64, Record)>) -> anyhow::Result<Vec<u64>> {
    let mut sessions: BTreeMap<SessionId, Vec<Piece>> = BTreeMap::new();
    for (seq, record) in records {
        let gap = match record.event(Lane::Meter) {
            Ok(Event::SessionMetered(metered)) => gaps::of(&metered),
            Ok(Event::MeterGap(gap)) => gap,
            Ok(_) | Err(_) => continue,
        };
        sessions.entry(gap.session).or_default().push(Piece { seq, record, gap });
    }
    let mut gone = Vec::new();
    for pieces in sessions.values() {
        let [_, middle @ .., _] = pieces.as_slice() else { continue };
        let [first, more @ ..] = middle else { continue };
        if more.is_empty() {
            continue;
        }
        let whole = more.iter().fold(first.gap.clone(), |whole, piece| gaps::join(&whole, &piece.gap));
        let event = Event::MeterGap(whole);
        let mut header = first.record.header.clone();
        header.kind = event.kind();
        // Named by all that is in it: a wider gap that is told under a later epoch is another fact.
        let Event::MeterGap(MeterGap { session, from, to, count, .. }) = &event else { continue };
        header.key = format!("gap/{session}/{}/{}/{count}", from.0, to.0);
        outbox::delete(db, Lane::Meter, first.seq)?;
        outbox::insert(db, Lane::Meter, first.seq, &Record { header, body: event.body() })?;
        gone.extend(more.iter().map(|piece| piece.seq));
    }
    Ok(gone)
}
