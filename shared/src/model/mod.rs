//! What exists at a charging site and what can happen to it, in the field's terms and free of any protocol.
//!
//! One noun, one file. [`Session::apply`] is the fold that both sides use: the edge to know what runs, the cloud to know
//! what happened. Every type here that travels is frozen by the golden bytes of [`crate::sync`]: append, never reorder.

pub mod charging;
pub mod command;
pub mod document;
pub mod event;
pub mod file;
pub mod finding;
pub mod frame_log;
pub mod local_list;
pub mod meter;
pub mod onboarding;
pub mod quirks;
pub mod reservation;
pub mod security;
pub mod session;
pub mod settings;
pub mod station;
pub mod token;

pub use command::{Command, CommandBody, CommandResult, Outcome};
pub use event::{Event, Lane};
pub use local_list::{LocalListChanged, LocalListState};
pub use meter::MeterReading;
pub use reservation::{Reservation, ReservationEnd, ReservationEnded};
pub use session::{Session, SessionStarted, SessionStopped};
pub use station::{ConnectorStatus, StationInfo};
pub use token::{AuthStatus, IdToken};
