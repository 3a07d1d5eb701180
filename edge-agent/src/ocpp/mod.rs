//! The stations' side: HTTP upgrade and login, one task per connection, one adapter per OCPP version.

pub mod adapter;
mod admit;
pub mod caps;
pub mod credentials;
pub mod door;
pub mod habits;
pub mod link;
mod password;
pub mod presence;
pub mod server;
mod skew;
mod slow_hash;
mod upgrade;
pub mod visitors;
