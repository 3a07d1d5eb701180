//! Version 1 of the wire: what the frames say. Frozen by golden bytes; a new shape is a new module.

use serde::{Deserialize, Serialize};

use super::record::{ClockQuality, Record};
use crate::id::{BootId, Epoch};
use crate::model::document::{DocumentBody, DocumentVersion};
use crate::model::{Command, CommandResult, Lane};
use crate::units::Timestamp;

/// A watermark or head per lane, by [`Lane::index`].
pub type PerLane = [u64; 3];

/// From the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// Who I am and what I have. The first frame of every connection.
    Hello(Hello),
    /// Facts.
    Batch(Batch),
    /// A command ended: the fast copy.
    Result(CommandResult),
    /// Live sessions, ahead of a backlog: the fast copy.
    Ahead(Ahead),
}

/// To the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// The answer to a hello.
    Welcome(Welcome),
    /// The answer to a batch.
    Ack(Ack),
    /// An order.
    Command(Command),
    /// Desired state.
    Want(Document),
}

/// How a gateway introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest and the newest wire version that it speaks.
    pub versions: (u8, u8),
    /// The kinds of records that it may send.
    pub kinds: Vec<u16>,
    /// The birth of its database.
    pub epoch: Epoch,
    /// The epoch before, with its heads, if it knows.
    pub parent: Option<(Epoch, PerLane)>,
    /// The last sequence number written, by lane.
    pub heads: PerLane,
    /// The last acknowledged one, by lane.
    pub acked: PerLane,
    /// The running agent process.
    pub boot: BootId,
    /// Its clock.
    pub wallclock: Timestamp,
    /// How far to trust that.
    pub clock: ClockQuality,
    /// The documents that it works by.
    pub documents: Vec<DocumentVersion>,
    /// The agent's version, for people.
    pub agent: String,
}

/// Consecutive records of one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The epoch of the numbers.
    pub epoch: Epoch,
    /// The agent process that sends it.
    pub boot: BootId,
    /// The lane.
    pub lane: Lane,
    /// The number of the first record; the others follow without gap.
    pub first_seq: u64,
    /// The records, at most [`super::MAX_BATCH_RECORDS`].
    pub records: Vec<Record>,
}

impl Batch {
    /// The number of the last record; of an empty batch the one before the first.
    pub fn last_seq(&self) -> u64 {
        let count = u64::try_from(self.records.len()).unwrap_or(u64::MAX);
        self.first_seq.saturating_add(count).saturating_sub(1)
    }
}

/// Records of the billing lane ahead of their turn, each under the number that it has there. They move no watermark and get
/// no answer: their turn comes all the same, and then they are known by their keys. A cloud that does not know this frame
/// drops it, and nothing is lost but time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// The epoch of the numbers.
    pub epoch: Epoch,
    /// The records, rising, at most [`super::MAX_BATCH_RECORDS`]. Each can be applied once those before it are.
    pub records: Vec<(u64, Record)>,
}

/// May this epoch go on?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Yes.
    Continue,
    /// No: mint a new epoch and say hello again. The text says why, for a person.
    NewEpoch(String),
    /// No, and a person has to look first (the gateway was revoked or its wire version is too old).
    Refused(String),
}

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The wire version to speak from now on.
    pub version: u8,
    /// The epoch that this is about.
    pub epoch: Epoch,
    /// May it go on?
    pub verdict: Verdict,
    /// What is committed, by lane.
    pub watermarks: PerLane,
    /// The cloud's clock.
    pub server_time: Timestamp,
    /// Records per batch at most.
    pub window: u32,
    /// Wait so long before the first batch.
    pub pause_ms: u32,
}

/// The answer to a batch: all records up to `watermark` are committed, and those of the batch are the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The epoch of the numbers.
    pub epoch: Epoch,
    /// The process whose batch is answered. Two boxes that live from one copy hear each other's acknowledgements, and
    /// those say nothing about what the other one has.
    pub boot: BootId,
    /// The lane.
    pub lane: Lane,
    /// The last number of the batch that is answered: what lies beyond has not been compared with what is committed.
    pub last: u64,
    /// The last committed number.
    pub watermark: u64,
    /// Wait so long before the next batch.
    pub pause_ms: u32,
}

/// A version of a document, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its version: higher is newer.
    pub version: u64,
    /// Its content.
    pub body: DocumentBody,
}

impl Document {
    /// The version as a gateway reports it.
    pub fn held(&self) -> DocumentVersion {
        DocumentVersion { name: self.body.name().into(), version: self.version, hash: hash(&self.body) }
    }
}

/// BLAKE3 of a document's content.
pub fn hash(body: &DocumentBody) -> [u8; 32] {
    *blake3::hash(&postcard::to_stdvec(body).expect("wire types always serialise")).as_bytes()
}
