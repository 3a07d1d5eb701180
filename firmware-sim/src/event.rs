//! What a simulated station tells those who watch it.

use shared::ocpp::v16::{Status, StopReason};
use shared::units::{Percent, Watts, Wh};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The socket is open.
    Connected,
    /// The socket is closed or could not be opened.
    Disconnected {
        /// Why.
        reason: String,
    },
    /// The boot was answered.
    Booted {
        /// Accepted, Pending or Rejected.
        registration: Registration,
        /// The interval that came with it, in seconds.
        interval: u64,
    },
    /// A connector changed its state.
    Status {
        /// Which.
        connector: u16,
        /// To what.
        status: Status,
    },
    /// A token was checked.
    Authorised {
        /// Where.
        connector: u16,
        /// Which token.
        tag: String,
        /// May it charge?
        accepted: bool,
    },
    /// A session began at the meter.
    Started {
        /// Where.
        connector: u16,
        /// Whose.
        tag: String,
        /// The register.
        meter: Wh,
    },
    /// The start was answered.
    StartAnswered {
        /// Where.
        connector: u16,
        /// The transaction id given.
        transaction: i32,
        /// May the session go on?
        accepted: bool,
    },
    /// A session ended at the meter.
    Stopped {
        /// Where.
        connector: u16,
        /// Its transaction id, if it has one.
        transaction: Option<i32>,
        /// The register.
        meter: Wh,
        /// Why.
        reason: StopReason,
    },
    /// The stop was answered.
    StopAnswered {
        /// The transaction id that was sent.
        transaction: i32,
    },
    /// A transaction message was given up after its last attempt.
    Discarded {
        /// Its action.
        action: &'static str,
    },
    /// It is a step further with a file.
    File {
        /// The message that tells so.
        action: &'static str,
        /// The step, in the message's word.
        word: &'static str,
    },
    /// The CSMS asked for something.
    CommandReceived {
        /// What.
        action: String,
    },
    /// A call of ours was refused.
    Refused {
        /// Which.
        action: &'static str,
        /// By which error.
        error: String,
    },
    /// The CSMS sent what the schema does not allow.
    Violation {
        /// What is wrong.
        text: String,
    },
    /// An answer to no call of the station: to a raw or repeated frame.
    Unasked {
        /// As it came.
        text: String,
    },
}

/// What the CSMS said to a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Registration {
    Accepted,
    Pending,
    Rejected,
}

/// A station at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Is its socket open?
    pub connected: bool,
    /// Is it registered with its CSMS?
    pub accepted: bool,
    /// Has it power?
    pub powered: bool,
    /// Transaction messages that are not answered yet.
    pub queued: usize,
    /// Why the last connection ended or did not come about.
    pub trouble: Option<String>,
    /// Its connectors, the first one first.
    pub connectors: Vec<ConnectorView>,
}

/// A connector at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorView {
    /// Its state.
    pub status: Status,
    /// Is a vehicle there?
    pub plugged: bool,
    /// Does a session run?
    pub in_session: bool,
    /// The session's transaction id once it is known.
    pub transaction: Option<i32>,
    /// The register.
    pub register: Wh,
    /// What flows.
    pub power: Watts,
    /// How full the vehicle is.
    pub soc: Option<Percent>,
}
