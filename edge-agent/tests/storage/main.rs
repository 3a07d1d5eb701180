//! The store on real files that are damaged, deleted and put back, and on disks that are full.
//!
//! A gateway is the real core over the real store; a cloud takes what it holds by the real cursor and knows facts by their
//! keys. Whatever happens to the database, each session that was answered is billed once and right.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
#![expect(clippy::print_stdout, reason = "what was not run, and figures")]

mod cloud;
mod cost;
mod damage;
mod gateway;
mod live;
mod room;
