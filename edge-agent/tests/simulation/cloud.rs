//! The cloud's half: what its transaction does with a hello and a batch, over a database that is a value.

use std::collections::{BTreeMap, BTreeSet};

use shared::id::{BootId, Epoch};
use shared::model::Lane;
use shared::sync::cursor::{Cursor, accept};
use shared::sync::handshake::{Judgement, Known, judge};
use shared::sync::v1::PerLane;
use shared::sync::{Ack, VERSION, Verdict, Welcome};
use shared::units::Timestamp;

use crate::world::{Fact, Up};

/// What is committed.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// Records that it takes in one batch.
    window: u32,
    epochs: BTreeMap<Epoch, Lanes>,
    /// Facts by their business key: a second one changes nothing.
    pub(crate) facts: BTreeSet<Fact>,
}

#[derive(Clone, Debug, Default)]
struct Lanes {
    known: Known,
    moved_at: u64,
    /// By their numbers; in the billing lane some above the watermark, which came ahead.
    records: [BTreeMap<u64, Fact>; 3],
}

impl Database {
    pub(crate) fn of(window: u32) -> Self {
        Database { window, epochs: BTreeMap::new(), facts: BTreeSet::new() }
    }

    /// All watermarks together.
    pub(crate) fn committed(&self) -> u64 {
        self.epochs.values().flat_map(|lanes| lanes.known.watermarks).sum()
    }

    fn has(&self, key: u64) -> bool {
        self.facts.iter().any(|fact| fact.key == key)
    }
}

/// What the cloud answers.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    Welcome(Welcome),
    Ack(Ack),
}

/// Carries a message out in one transaction and says what to answer. `sent` is when the message reached the broker.
pub(crate) fn take(db: &mut Database, now: u64, sent: u64, up: &Up) -> Option<Down> {
    match up {
        Up::Hello { epoch, heads, acked } => hello(db, sent, *epoch, heads, acked),
        Up::Batch { epoch, boot, lane, first, facts } => {
            batch(db, now, (*epoch, *boot, *lane), *first, facts)
        }
        Up::Ahead { epoch, facts } => ahead(db, *epoch, facts),
    }
}

fn hello(db: &mut Database, sent: u64, epoch: Epoch, heads: &PerLane, acked: &PerLane) -> Option<Down> {
    let known = db.epochs.get(&epoch).map(|it| Known { moved_since: it.moved_at > sent, ..it.known.clone() });
    let verdict = match judge(heads, acked, known.as_ref()) {
        Judgement::OldNews => return None,
        Judgement::Continue => Verdict::Continue,
        Judgement::Register => {
            db.epochs.insert(epoch, Lanes::default());
            Verdict::Continue
        }
        Judgement::Replace(reason) => {
            if let Some(lanes) = db.epochs.get_mut(&epoch) {
                lanes.known.frozen.get_or_insert_with(|| reason.clone());
            }
            Verdict::NewEpoch(reason)
        }
    };
    let watermarks = known.map(|known| known.watermarks).unwrap_or_default();
    let (server_time, window) = (Timestamp(0), db.window);
    Some(Down::Welcome(Welcome {
        version: VERSION,
        epoch,
        verdict,
        watermarks,
        server_time,
        window,
        pause_ms: 0,
    }))
}

fn batch(
    db: &mut Database,
    now: u64,
    (epoch, boot, lane): (Epoch, BootId, Lane),
    first: u64,
    facts: &[Fact],
) -> Option<Down> {
    let place = lane.index();
    let Some(lanes) = db.epochs.get_mut(&epoch) else {
        return stopped(epoch, "this epoch is not known here");
    };
    if lanes.known.frozen.is_some() {
        return stopped(epoch, "frozen");
    }
    let watermark = lanes.known.watermarks[place];
    let last = first + u64::try_from(facts.len()).unwrap() - 1;
    let ack = |watermark| Some(Down::Ack(Ack { epoch, boot, lane, last, watermark, pause_ms: 0 }));
    let (skip, next) = match accept(watermark, first, facts.len()) {
        Cursor::Gap => return ack(watermark),
        Cursor::Duplicate => (facts.len(), watermark),
        Cursor::Apply { skip, watermark } => (skip, watermark),
    };
    let stored = &mut lanes.records[place];
    if contradicts(stored, &(first..).zip(facts.iter().copied()).collect::<Vec<_>>()) {
        lanes.known.frozen = Some("other facts under known numbers".into());
        return stopped(epoch, "other facts under known numbers");
    }
    for (seq, fact) in (first..).zip(facts).skip(skip) {
        let before = stored.insert(seq, *fact);
        assert!(before.is_none_or(|it| it == *fact), "{before:?} and {fact:?} have one number");
    }
    assert!(stored.range(..=next).map(|(seq, _)| *seq).eq(1..=next), "a lane has every number once");
    if next > watermark {
        lanes.known.watermarks[place] = next;
        lanes.moved_at = now;
    }
    for fact in &facts[skip..] {
        assert!(fact.needs.is_none_or(|needed| db.has(needed)), "{fact:?} would be parked");
        db.facts.insert(*fact);
    }
    ack(next)
}

fn contradicts(stored: &BTreeMap<u64, Fact>, facts: &[(u64, Fact)]) -> bool {
    facts.iter().any(|(seq, fact)| stored.get(seq).is_some_and(|it| it != fact))
}

/// Taken whole or not at all, without an answer; the watermark stays.
fn ahead(db: &mut Database, epoch: Epoch, facts: &[(u64, Fact)]) -> Option<Down> {
    let lanes = db.epochs.get_mut(&epoch)?;
    let stored = &mut lanes.records[Lane::Billing.index()];
    if lanes.known.frozen.is_none() && contradicts(stored, facts) {
        lanes.known.frozen = Some("other facts under known numbers".into());
    }
    if lanes.known.frozen.is_some() {
        return stopped(epoch, "frozen");
    }
    let mut all = db.facts.clone();
    for (_, fact) in facts {
        if fact.needs.is_some_and(|needed| !all.iter().any(|it| it.key == needed)) {
            return None;
        }
        all.insert(*fact);
    }
    stored.extend(facts.iter().copied());
    db.facts = all;
    None
}

/// A replica says so by a welcome that asks for a new epoch.
fn stopped(epoch: Epoch, reason: &str) -> Option<Down> {
    let verdict = Verdict::NewEpoch(reason.into());
    let (watermarks, server_time) = (PerLane::default(), Timestamp(0));
    Some(Down::Welcome(Welcome {
        version: VERSION,
        epoch,
        verdict,
        watermarks,
        server_time,
        window: 8,
        pause_ms: 0,
    }))
}
