//! The names that the steps of a session have in its trace, so that edge and cloud make one trace without telling each other.
//!
//! Nothing of it travels: the trace is the session's id, and a step's id is computed from what both sides know anyhow. So a
//! record that waited for days, or was sent again by another process, is still found under the step that made it. Both sides
//! must compute the same, whatever their version: what is here never changes.
//!
//! ```text
//! session                     the gateway: from start to stop
//! └ StartTransaction, …       the gateway: a station's message, until it was answered
//!   └ commit                  the gateway: what was decided, on the disk
//!     └ record                the gateway: a fact, from its first sending to the cloud's acknowledgement
//!       └ ingest              the cloud: from its arrival to its commit
//!         └ project           the cloud: the rows that it changed
//!           └ bill            the cloud
//! ```

use crate::id::{BootId, SessionId};

/// A step of a session's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

/// A session's trace: the bytes of its id.
pub fn trace_id(session: SessionId) -> [u8; 16] {
    session.0.into_bytes()
}

/// The whole session.
pub fn session(session: SessionId) -> SpanId {
    derive(session, "session", &[])
}

/// What the agent `boot` committed about a session at that moment of its life: every record tells both.
pub fn commit(session: SessionId, boot: BootId, mono_ms: u64) -> SpanId {
    derive(session, "commit", &[boot.0.as_bytes(), &mono_ms.to_be_bytes()])
}

/// The message of a station that was the `place`th about the session in such a commit.
pub fn message(session: SessionId, boot: BootId, mono_ms: u64, place: u64) -> SpanId {
    derive(session, "message", &[boot.0.as_bytes(), &mono_ms.to_be_bytes(), &place.to_be_bytes()])
}

/// The way of a record to the cloud, by its business key.
pub fn record(session: SessionId, key: &str) -> SpanId {
    derive(session, "record", &[key.as_bytes()])
}

/// Its way into the cloud's database.
pub fn ingest(session: SessionId, key: &str) -> SpanId {
    derive(session, "ingest", &[key.as_bytes()])
}

/// The rows that a batch changed, whose last record about the session has this key.
pub fn project(session: SessionId, key: &str) -> SpanId {
    derive(session, "project", &[key.as_bytes()])
}

/// The session's bill; it has one.
pub fn bill(session: SessionId) -> SpanId {
    derive(session, "bill", &[])
}

fn derive(session: SessionId, step: &str, parts: &[&[u8]]) -> SpanId {
    let mut hasher = blake3::Hasher::new();
    for part in [session.0.as_bytes().as_slice(), step.as_bytes()].iter().chain(parts) {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    let mut id = [0; 8];
    hasher.finalize_xof().fill(&mut id);
    // All zeros would mean: no step.
    id[7] |= 1;
    SpanId(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// Gateways and clouds of other versions compute these, too.
    #[test]
    fn the_names_never_change() {
        let (id, boot) = (SessionId(Uuid::from_u128(1)), BootId(Uuid::from_u128(2)));
        let hex = |SpanId(id): SpanId| id.map(|byte| format!("{byte:02x}")).concat();
        let names = [
            session(id),
            commit(id, boot, 3),
            message(id, boot, 3, 0),
            record(id, "k"),
            ingest(id, "k"),
            project(id, "k"),
            bill(id),
        ];
        let known = [
            "193726ff5eb04657",
            "468893d1ccf5b65d",
            "6f5f578fdc37bea1",
            "9e06a69ce5f565e1",
            "80620f292183534f",
            "fe1da2e7da913bc7",
            "1fbe6f618a27522d",
        ];
        assert_eq!(names.map(hex), known);
        assert_eq!(trace_id(id)[15], 1);
    }
}
