//! OCPP 1.6: the Core profile, Firmware Management, Local Auth List Management, Reservation,
//! Remote Trigger, Smart Charging and the security extension.
//!
//! Three vocabularies meet here. [`StationCall`] is what a station tells, read leniently into plain values. [`CsmsCall`]
//! is what a station is asked and [`Confirmation`] its answer. [`reply`] is what a station is answered. Whatever we write
//! goes through the schema's own types ([`schema`]), so that it cannot be malformed.

pub mod charging;
pub mod confirmation;
pub mod csms_call;
pub mod files;
pub mod local_list;
pub mod names;
pub mod reading;
pub mod reply;
pub mod schema;
pub mod security;
pub mod station_call;

pub use confirmation::{ConfigurationKey, Confirmation, Verdict};
pub use csms_call::CsmsCall;
pub use files::{FileCall, FileStatus, Topic};
pub use local_list::{ListCall, ListEntry};
pub use names::{Context, ExtendedTrigger, Status, StopReason, Trigger};
pub use reading::Reading;
pub use security::{SecurityCall, SecurityEvent};
pub use station_call::StationCall;

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "ocpp1.6";

/// The actions whose messages bill somebody: never refused, mended when broken (1.6 §3.7.1).
pub const TRANSACTION_ACTIONS: &[&str] = &["StartTransaction", "StopTransaction", "MeterValues"];
