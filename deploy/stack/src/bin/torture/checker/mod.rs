//! The checker. It shares no code with the products but the names of their tables: it reads what the stations' meters
//! saw, what the edge keeps and what the cloud has, and says every difference, to the watt-hour and the cent.
//!
//! It is for when everything is quiet: every station answered, every fault healed.

mod books;
mod compare;
mod finding;
mod lanes;
mod logs;
mod money;
#[cfg(test)]
mod tests;

pub(crate) use self::books::{CloudBook, EdgeBook};
pub(crate) use self::compare::{Rules, sessions};
pub(crate) use self::finding::{Finding, Verdict};
pub(crate) use self::lanes::{behind, broken};
pub(crate) use self::logs::{panics, secrets};
