//! The simulator's own tests: the pure station in virtual time, the socket shell and the tools against a tiny CSMS.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic and may look for one thing"
)]

mod authority;
mod csms;
mod security;
mod socket;
mod station;
mod tools;
mod upgrade;
