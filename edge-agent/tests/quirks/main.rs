//! Chargers as they are: for each quirk of [`list`] one test, in our own words, that the charger keeps working and no record
//! is lost. Most need no socket: text goes through OCPP-J's framing, 1.6's reader, the adapter and the core, and back.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing"
)]

mod bench;
mod boot;
mod charging;
mod framing;
mod handshake;
mod list;
mod live;
mod meters;
mod sockets;
mod tags;
mod time;
mod transactions;
