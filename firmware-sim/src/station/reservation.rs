//! Reservations (1.6 §5.1, §5.13): a connector kept for a tag or its group until an hour by the station's clock.
//!
//! They are lost in a restart, as in many a firmware. A station without the profile in `SupportedFeatureProfiles` refuses
//! with NotSupported.

use shared::ocpp::v16::{CsmsCall, FileCall, StopReason, Verdict};
use shared::units::Timestamp;

use super::Core;
use super::session::Refusal;
use crate::tempo::Millis;

/// Whom a connector is kept for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    pub(super) id: i32,
    pub(super) tag: String,
    pub(super) parent: Option<String>,
    pub(super) until: Timestamp,
}

impl Reserved {
    pub(super) fn is_for(&self, tag: &str, parent: Option<&str>) -> bool {
        let group = self.parent.as_deref().zip(parent);
        self.tag.eq_ignore_ascii_case(tag) || group.is_some_and(|(own, its)| own.eq_ignore_ascii_case(its))
    }
}

impl Core {
    /// Has the station the profile that a request belongs to?
    pub fn supports(&self, call: &CsmsCall) -> bool {
        let needed = match call {
            CsmsCall::ReserveNow { .. } | CsmsCall::CancelReservation { .. } => "Reservation",
            CsmsCall::File(FileCall::UpdateFirmware { .. }) if self.files.habits.signed_only => return false,
            CsmsCall::File(FileCall::GetDiagnostics { .. }) if self.files.habits.get_log_only => {
                return false;
            }
            CsmsCall::File(_) => "FirmwareManagement",
            CsmsCall::List(_) => "LocalAuthListManagement",
            CsmsCall::Security(_) => "Security",
            CsmsCall::ChangeAvailability { .. }
            | CsmsCall::ChangeConfiguration { .. }
            | CsmsCall::ClearCache
            | CsmsCall::DataTransfer { .. }
            | CsmsCall::GetConfiguration { .. }
            | CsmsCall::RemoteStart { .. }
            | CsmsCall::RemoteStop { .. }
            | CsmsCall::Reset { .. }
            | CsmsCall::Trigger { .. }
            | CsmsCall::UnlockConnector { .. }
            | CsmsCall::SetChargingProfile { .. }
            | CsmsCall::ClearChargingProfile(_)
            | CsmsCall::GetCompositeSchedule { .. } => return true,
        };
        let profiles = self.keys.get("SupportedFeatureProfiles").map_or("", |(_, value, _)| value);
        profiles.split(',').any(|profile| profile.trim() == needed)
    }

    /// A connector breaks or is mended. Its session ends where it breaks.
    pub fn fault(&mut self, now: Millis, number: u16, faulted: bool) -> Result<(), Refusal> {
        self.tick(now);
        if faulted {
            self.stop(now, number, StopReason::Other, None);
        }
        self.connector(number).ok_or(Refusal::NoConnector(number))?.faulted = faulted;
        self.tick(now);
        Ok(())
    }

    pub(super) fn reserve(&mut self, now: Millis, number: u16, wanted: Reserved) -> Verdict {
        let at = self.tempo.at(now);
        let place = self.connectors.iter().position(|connector| connector.number == number);
        let Some(place) = place.filter(|_| wanted.until > at) else { return Verdict::Rejected };
        let connector = &self.connectors[place];
        if connector.faulted {
            return Verdict::Faulted;
        }
        if !connector.operative {
            return Verdict::Unavailable;
        }
        let kept_for_another = connector.reserved.as_ref().is_some_and(|reserved| reserved.id != wanted.id);
        if !connector.is_free() || connector.ev.is_some() || kept_for_another {
            return Verdict::Occupied;
        }
        self.cancel_reservation(wanted.id);
        self.connectors[place].reserved = Some(wanted);
        Verdict::Accepted
    }

    pub(super) fn cancel_reservation(&mut self, id: i32) -> Verdict {
        let its = |connector: &&mut super::connector::Connector| {
            connector.reserved.as_ref().is_some_and(|reserved| reserved.id == id)
        };
        match self.connectors.iter_mut().find(its) {
            Some(connector) => {
                connector.reserved = None;
                Verdict::Accepted
            }
            None => Verdict::Rejected,
        }
    }

    /// May a tag of this group use a connector, as far as reservations go?
    pub(super) fn is_kept_for(&self, number: u16, tag: &str, parent: Option<&str>) -> bool {
        self.reserved_at(number).is_none_or(|reserved| reserved.is_for(tag, parent))
    }

    /// Could another tag than the reserved one be meant too? Then the CSMS has to be asked for its group.
    pub(super) fn is_kept_for_a_group(&self, number: u16) -> bool {
        self.reserved_at(number).is_some_and(|reserved| reserved.parent.is_some())
    }

    fn reserved_at(&self, number: u16) -> Option<&Reserved> {
        self.connectors.iter().find(|connector| connector.number == number)?.reserved.as_ref()
    }

    /// Ends what has reached its hour, and what a broken or closed connector cannot keep.
    pub(super) fn end_reservations(&mut self, now: Millis) {
        let at = self.tempo.at(now);
        for connector in &mut self.connectors {
            let usable = connector.operative && !connector.faulted;
            connector.reserved.take_if(|reserved| reserved.until <= at || !usable);
        }
    }

    pub(super) fn forget_reservations(&mut self) {
        for connector in &mut self.connectors {
            connector.reserved = None;
        }
    }
}
