//! Firmware for stations and logs from them.

use serde::Deserialize;

/// How large files may be, and how long they are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// Megabytes of one firmware image at most.
    pub firmware_megabytes: u32,
    /// Megabytes of one log at most.
    pub log_megabytes: u32,
    /// Days after which a log is deleted.
    pub log_days: u32,
}

impl Default for Files {
    fn default() -> Self {
        Self { firmware_megabytes: 500, log_megabytes: 100, log_days: 180 }
    }
}

impl Files {
    /// Bytes of an image at most.
    pub fn firmware_bytes(&self) -> u64 {
        u64::from(self.firmware_megabytes) * 1_000_000
    }

    /// Bytes of a log at most.
    pub fn log_bytes(&self) -> u64 {
        u64::from(self.log_megabytes) * 1_000_000
    }
}
