//! How a version of OCPP says what a station has to say.

pub mod v16;
