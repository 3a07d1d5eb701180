//! How a gateway and the cloud keep one truth over a network that loses, repeats and reorders.
//!
//! # Promise
//! Every session for which a charger got its answer reaches the cloud's database exactly once in effect, as long as the
//! gateway's storage survives. Messages may repeat and reorder on the wire. Meter samples may be thinned under a declared
//! rule when storage runs short; billing records never.
//!
//! # Lanes
//! Facts leave the gateway in three [`Lane`](crate::model::Lane)s. Each lane has a sequence without gaps, written in the
//! same commit as the fact, and a watermark in the cloud: all records up to it are committed there. A gateway keeps one
//! unacknowledged [`Batch`] in flight per lane and deletes nothing above the watermark.
//!
//! # A conversation
//! ```text
//! gateway                                          cloud
//!   hello{epoch, heads, acked, documents}  ──►     is this epoch known, is its watermark within its heads?
//!                                          ◄──     welcome{ok, watermarks, server time, window, pause}
//!   batch{epoch, lane, first_seq, records} ──►     one transaction: lock the cursor, apply or park, move the watermark
//!                                          ◄──     ack{epoch, lane, watermark}
//!                                          ◄──     command{…}   want{document}
//!   result{command result}                 ──►     a fast copy; the lasting one comes in the billing lane
//!   ahead{epoch, (seq, record)…}           ──►     a fast copy, too: the cursor stays, the record's key is known from now on
//! ```
//! Nothing drains before the welcome. A batch that was received already is acknowledged again, one that skips records is
//! answered with the old watermark: see [`cursor`]. What a hello means says [`handshake`]. MQTT's own PUBACK says nothing here.
//!
//! # Live bills
//! Seven days of a busy site are some 50,000 billing records. At one batch of some 150 per round trip their drain takes half
//! a minute, and a session that ends meanwhile would be billed behind them. So what is recorded of sessions while more than
//! a batch is ahead of it is also sent at once ([`Ahead`]), a stop together with its start. Exactly once stays what it
//! was: a billing record counts by its key, whichever copy comes first, and every number of the lane is compared with what
//! stands under it. A lost copy costs time only.
//!
//! # Epochs
//! Sequence numbers belong to one birth of the gateway's database. A reflashed gateway or a restored backup would use
//! numbers again: the cloud sees a watermark above the gateway's head, or other bytes under a known number, and asks for
//! a new epoch. Business keys (see [`record`]) keep a fact from counting twice across epochs.
//!
//! # Trust
//! No broker is trusted. Every frame carries a keyed tag over its topic and bytes ([`seal`]), in both directions, so a
//! frame that another gateway or the broker made up is refused whatever the broker's access rules are.
//!
//! # Wire
//! `version byte │ postcard │ 16-byte tag`. Version 1 is [`v1`]. Postcard numbers fields and variants by position:
//! nothing in a released version is ever reordered, inserted or removed, and the golden bytes in `tests/` prove it.
//! Records are length-prefixed and carry their kind, so that an unknown one is parked without losing its batch.

pub mod address;
pub mod cursor;
pub mod handshake;
pub mod record;
pub mod seal;
pub mod topic;
pub mod v1;

pub use record::{ClockQuality, Header, Record};
pub use seal::{FrameKey, Unsealed};
pub use topic::{DownTopic, Topic, UpTopic};
pub use v1::{Ack, Ahead, Batch, Document, Down, Hello, Up, Verdict, Welcome};

/// The newest version of the wire that this build speaks.
pub const VERSION: u8 = 1;
/// Records in one batch at most.
pub const MAX_BATCH_RECORDS: usize = 256;
/// Record bytes in one batch at most.
pub const MAX_BATCH_BYTES: usize = 64 * 1024;
/// The largest frame either side sends or accepts; brokers must allow it.
pub const MAX_FRAME_BYTES: usize = 1024 * 1024;
/// Gateways are spread over this many shards.
pub const SHARDS: u16 = 16;
