//! OCPP-J: frames, the RPC peer and the payloads of each version.
//!
//! Reading and writing are deliberately unequal. What we write follows the schema to the letter; what a station sends is
//! read for what it means ([`lenient`]), because a station whose message is refused retries a few times and then throws
//! a billing record away (1.6 §3.7.1). Nothing in here does I/O or reads a clock.

pub mod error;
pub mod frame;
pub mod lenient;
pub mod rpc;
pub mod v16;

pub use error::ErrorCode;
pub use frame::{BadFrame, Frame};
