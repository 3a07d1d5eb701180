//! The stations' side: HTTP upgrade and login, one task per connection, one adapter per OCPP version.

pub mod adapter;
pub mod caps;
pub mod credentials;
pub mod door;
pub mod link;
pub mod presence;
pub mod server;
mod skew;
pub mod visitors;
