//! What a meter said at an instant.

use serde::{Deserialize, Serialize};

use crate::units::{MilliAmps, MilliVolts, Percent, Timestamp, Watts, Wh};

/// One reading of a session's meter. Each value is there only if the station sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterReading {
    /// When the station says it was taken.
    pub taken_at: Timestamp,
    /// The import register.
    pub register: Option<Wh>,
    /// Power into the vehicle.
    pub power: Option<Watts>,
    /// Current into the vehicle, the highest of its phases.
    pub current: Option<MilliAmps>,
    /// Voltage, the highest of its phases.
    pub voltage: Option<MilliVolts>,
    /// The vehicle's state of charge.
    pub soc: Option<Percent>,
}

impl MeterReading {
    /// A reading of the register alone.
    pub fn of_register(taken_at: Timestamp, register: Wh) -> Self {
        MeterReading { register: Some(register), ..MeterReading::empty(taken_at) }
    }

    /// A reading with nothing in it yet.
    pub fn empty(taken_at: Timestamp) -> Self {
        MeterReading { taken_at, register: None, power: None, current: None, voltage: None, soc: None }
    }

    /// Does it say anything at all?
    pub fn is_empty(&self) -> bool {
        *self == MeterReading::empty(self.taken_at)
    }
}
