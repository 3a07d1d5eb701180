//! A site by itself: the real agent's binary, simulated stations, no cloud anywhere.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing"
)]

mod agent;
mod caps;
mod crash;
mod hostile;
mod weaknesses;
