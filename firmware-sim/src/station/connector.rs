//! One connector: a plug, a meter, perhaps a vehicle, perhaps a session.

use shared::ocpp::v16::Status;
use shared::units::{Timestamp, Watts, Wh};

use super::queue::Local;
use super::reservation::Reserved;
use crate::ev::{Ev, Meter};
use crate::event::ConnectorView;
use crate::tempo::Millis;

/// A connector.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) number: u16,
    pub(super) ev: Option<Ev>,
    pub(super) meter: Meter,
    pub(super) session: Option<Running>,
    /// A token that may charge and until when its plug is waited for.
    pub(super) allowed: Option<(String, Millis)>,
    /// Whom it is kept for.
    pub(super) reserved: Option<Reserved>,
    pub(super) faulted: bool,
    /// The last session ended and its vehicle is still there.
    pub(super) finishing: bool,
    pub(super) operative: bool,
    /// Becomes so when the session ends.
    pub(super) scheduled: Option<bool>,
    /// The state as it was last told.
    pub(super) told: Option<Status>,
    limit: Watts,
    /// What the charging profiles allow now.
    pub(super) profile_limit: Option<Watts>,
}

/// A session that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) local: Local,
    pub(super) tag: String,
    pub(super) transaction: Option<i32>,
    pub(super) next_reading: Option<Millis>,
    /// The CSMS refused the token and the session may not take energy.
    pub(super) suspended: bool,
    /// When it began.
    pub(super) since: Timestamp,
}

impl Connector {
    pub(super) fn new(number: u16, register: Wh, limit: Watts, at: Timestamp) -> Self {
        Connector {
            number,
            ev: None,
            meter: Meter::new(register, at),
            session: None,
            allowed: None,
            reserved: None,
            faulted: false,
            finishing: false,
            operative: true,
            scheduled: None,
            told: None,
            limit,
            profile_limit: None,
        }
    }

    pub(super) fn advance(&mut self, at: Timestamp) {
        let flows = self.session.as_ref().is_some_and(|session| !session.suspended);
        let limit = if flows { self.limit.min(self.profile_limit.unwrap_or(self.limit)) } else { Watts(0) };
        self.meter.advance(at, self.ev.as_mut(), limit);
    }

    pub(super) fn status(&self) -> Status {
        match &self.session {
            Some(session) if session.suspended => Status::SuspendedEvse,
            Some(_) if self.profile_limit == Some(Watts(0)) => Status::SuspendedEvse,
            Some(_) if self.ev.as_ref().is_none_or(|ev| ev.appetite().0 == 0) => Status::SuspendedEv,
            Some(_) => Status::Charging,
            None if self.faulted => Status::Faulted,
            None if !self.operative => Status::Unavailable,
            None if self.finishing && self.ev.is_some() => Status::Finishing,
            None if self.allowed.is_some() => Status::Preparing,
            None if self.reserved.is_some() => Status::Reserved,
            None if self.ev.is_some() => Status::Preparing,
            None => Status::Available,
        }
    }

    /// Can a session begin here?
    pub(super) fn is_free(&self) -> bool {
        self.operative && !self.faulted && self.session.is_none() && self.allowed.is_none()
    }

    pub(super) fn view(&self) -> ConnectorView {
        ConnectorView {
            status: self.status(),
            plugged: self.ev.is_some(),
            in_session: self.session.is_some(),
            transaction: self.session.as_ref().and_then(|session| session.transaction),
            register: self.meter.register(),
            power: self.meter.power(),
            soc: self.ev.as_ref().map(Ev::soc),
        }
    }
}
