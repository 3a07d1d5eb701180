//! How long what grows for ever is kept.

use serde::Deserialize;

/// Months besides the running one; 0 is for ever.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Meter readings of sessions.
    pub readings_months: u32,
    /// All that gateways said, word for word.
    pub records_months: u32,
}

/// Gateways keep what they sent for a month or more, and may send it again: as long it has to be known as a repeat.
const RECORDS_AT_LEAST: u32 = 3;

impl Default for Retention {
    fn default() -> Self {
        Self { readings_months: 24, records_months: 0 }
    }
}

impl Retention {
    /// Why this cannot be.
    pub(super) fn objection(&self) -> Option<String> {
        let short = (1..RECORDS_AT_LEAST).contains(&self.records_months);
        short.then(|| format!("retention.records_months must be 0 (for ever) or at least {RECORDS_AT_LEAST}"))
    }
}
