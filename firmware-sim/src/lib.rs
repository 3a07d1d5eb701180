//! Simulated charging stations: the peer in the other crates' tests, and the tool that drives a site by hand or under load.
//!
//! [`Station::connect`] powers one on; its methods are what a driver, an electrician and a bad network do to it.
//! [`station`] is the pure machine behind it, [`ev`] the vehicle and the meter, [`behaviour`] the messages.

pub mod behaviour;
mod carry;
mod clock;
pub mod config;
mod dial;
pub mod ev;
pub mod event;
pub mod fleet;
mod handle;
pub mod journal;
mod link;
pub mod load;
pub mod scenario;
pub mod station;
pub mod tempo;
pub mod tls;

pub use config::{Hardware, StationConfig};
pub use dial::DialError;
pub use ev::Vehicle;
pub use event::{ConnectorView, Event, Registration, View};
pub use handle::{Again, Events, InVain, NothingSent, Station};
pub use journal::{Journal, SessionRecord};
pub use link::Response;
pub use station::Refusal;
pub use station::files::{FileFault, FileHabits};
pub use station::security::{Access, SecurityHabits};
pub use tls::Tls;
