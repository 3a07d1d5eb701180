//! The vocabulary, the wire and the arithmetic that the edge, the cloud and the simulator share.
//!
//! Dependency rule, proved by this crate's manifest: no runtime, no database, no HTTP, no clock. Inside, the arrows are
//! `id, units ← model ← tariff`, `model ← sync`, `id, units, model ← ocpp`. `ocpp` and `sync` do not know each other: only the
//! edge agent translates between them.

pub mod id;
pub mod model;
pub mod ocpp;
pub mod sync;
pub mod tariff;
pub mod trace;
pub mod units;
