//! How stations' connections are secured: seen, watched, and made better.

mod check;
mod order;
mod view;

pub(super) use check::writable;
pub(super) use order::SecurityMutation;
pub(super) use view::{SecurityQuery, SecuritySubscription};
