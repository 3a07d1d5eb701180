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
#[derive(Clone, Debug, Default)]
pub(crate) struct Database {
    epochs: BTreeMap<Epoch, Lanes>,
    /// Facts by their business key: a second one changes nothing.
    pub(crate) facts: BTreeSet<Fact>,
}

#[derive(Clone, Debug, Default)]
struct Lanes {
    known: Known,
    moved_at: u64,
    records: [Vec<Fact>; 3],
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
    let server_time = Timestamp(0);
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
    let from = usize::try_from(first - 1).unwrap();
    if stored[from..from + skip] != facts[..skip] {
        lanes.known.frozen = Some("other facts under known numbers".into());
        return stopped(epoch, "other facts under known numbers");
    }
    stored.extend(&facts[skip..]);
    assert_eq!(u64::try_from(stored.len()).unwrap(), next, "a lane has every number once");
    if next > watermark {
        lanes.known.watermarks[place] = next;
        lanes.moved_at = now;
    }
    db.facts.extend(&facts[skip..]);
    ack(next)
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
