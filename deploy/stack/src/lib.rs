//! The whole house on one machine: a private Postgres, cloud replicas, an edge agent, an optional mosquitto, and a
//! fault proxy between them, all as real processes.
//!
//! The demo, the story tests and the benchmarks start the same parts in the same way, so what a person sees in the
//! demo is what the tests check. Nothing here is part of a deployment.

pub mod cloud;
pub mod edge;
pub mod graphql;
pub mod house;
pub mod metrics;
pub mod mosquitto;
pub mod nats;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod puppet;
pub mod service;
pub mod wait;
pub mod workdir;
