//! The only place that reads the time of day. Deadlines that Postgres judges use Postgres' own `now()`.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use shared::units::Timestamp;

/// The instant, in milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the room's clock")]
pub fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// The same as Postgres and the API speak of it.
pub fn utc() -> DateTime<Utc> {
    now().to_utc().unwrap_or_default()
}
