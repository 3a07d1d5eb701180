//! Stories: the real agent and the real cloud, real Postgres and real brokers, told from outside.
//!
//! One test program, so that there is one link and one Postgres for all of them; each story has a database, a cloud
//! and a gateway of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod booking;
mod bulk;
mod cards;
mod charging;
mod crashes;
mod damage;
mod failover;
mod files;
mod foreign_topics;
mod installer;
mod journey;
mod life;
mod limits;
mod offline;
mod outages;
mod parts;
mod quirks;
mod remote;
mod renewal;
mod repeats;
mod replicas;
mod security;
mod story;
mod tls;
mod trace;
