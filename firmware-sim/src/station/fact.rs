//! What goes in and out of a station: facts to tell, how each was received, and what else it brings about.

use shared::ocpp::v16::{Context, Status, StopReason, Topic};
use shared::units::{Percent, Timestamp, Watts, Wh};

use super::files::Load;
use crate::event::{Event, Registration};
use crate::journal::SessionRecord;

/// Something that a station tells its CSMS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's")]
pub enum Fact {
    Boot,
    Heartbeat,
    Status { connector: u16, status: Status, at: Timestamp },
    Authorise { tag: String },
    Start { connector: u16, tag: String, meter: Wh, at: Timestamp, reservation: Option<i32> },
    Readings { connector: u16, transaction: Option<i32>, context: Context, sample: Sample },
    Stop { transaction: i32, tag: Option<String>, meter: Wh, at: Timestamp, reason: StopReason },
    Transfer { vendor: String, message: Option<String>, data: Option<String> },
    File { topic: Topic, word: &'static str, request: Option<i32> },
    SecurityEvent { kind: &'static str, info: String, at: Timestamp },
    SignCertificate { csr: String },
}

/// What the meter shows at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's")]
pub struct Sample {
    pub at: Timestamp,
    pub register: Wh,
    pub power: Watts,
    pub soc: Option<Percent>,
}

/// Which fact an answer belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// A boot.
    Boot,
    /// A check of a token: where, which, and who asked for it.
    Authorise(u16, String, Asker),
    /// A transaction message, by its place in the queue.
    Transaction(u64),
    /// A security event.
    Report,
    /// Anything whose answer changes nothing; its action.
    Plain(&'static str),
}

/// Who wants a token checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The driver, with a card.
    Driver,
    /// The CSMS, by a remote start.
    Csms,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's")]
pub enum Told {
    Boot { registration: Registration, interval: u64 },
    Token { accepted: bool, parent: Option<String> },
    Start { transaction: i32, accepted: bool },
    Nothing,
}

/// How a fact was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Told(Told),
    /// Refused with an error.
    Refused(String),
    /// Not answered in time.
    TimedOut,
}

/// What a station wants done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Facts to send, in order.
    pub sends: Vec<(Ticket, Fact)>,
    /// What happened.
    pub events: Vec<Event>,
    /// Sessions that changed.
    pub records: Vec<SessionRecord>,
    /// Bytes to move; [`super::Core::carried`] hears of the end.
    pub loads: Vec<Load>,
    /// The station restarts: close the socket, dial again.
    pub restart: bool,
}
