//! Reading what stations really send.
//!
//! A field is read for its meaning: a number may stand in quotes, an empty string is a missing value, a timestamp may
//! lack its zone. What was odd is told as a [`Finding`] beside the value; nothing here ever refuses a message.

pub mod decimal;
pub mod finding;
pub mod json;
pub mod reader;
pub mod time;

pub use finding::{Finding, Findings, Oddity, Read, Severity};
pub use reader::Reader;
pub use time::{Time, Zone};
