//! The charging profiles that the station was given, and obeys (1.6 §5.3, §5.7, §5.16).
//!
//! The station's own limit is shared by its running sessions in equal parts. Limits are looked at
//! whenever time passes: at each request and meter reading.

use shared::model::charging::{
    ChargingProfile, ChargingPurpose, CompositeSchedule, ProfileFilter, PurposeKind, RateUnit, compose,
    limit_at,
};
use shared::ocpp::v16::Verdict;
use shared::units::{Timestamp, Watts};

use super::Core;
use crate::tempo::Millis;

/// A profile and the connector that it is for; 0 is all of them.
#[derive(Clone, Debug)]
pub(super) struct Held {
    connector: u16,
    profile: ChargingProfile,
}

impl Held {
    fn is_like(&self, connector: u16, profile: &ChargingProfile) -> bool {
        let same_place = self.connector == connector
            && self.profile.stack_level == profile.stack_level
            && PurposeKind::from(self.profile.purpose) == PurposeKind::from(profile.purpose);
        same_place || self.profile.id == profile.id
    }

    fn fits(&self, filter: &ProfileFilter) -> bool {
        filter.id.is_none_or(|id| id == self.profile.id)
            && filter.evse.is_none_or(|evse| evse.0 == self.connector)
            && filter.purpose.is_none_or(|purpose| purpose == self.profile.purpose.into())
            && filter.stack_level.is_none_or(|level| level == self.profile.stack_level)
    }
}

impl Core {
    pub(super) fn set_profile(
        &mut self,
        number: u16,
        profile: &ChargingProfile,
        transaction: Option<i32>,
    ) -> Verdict {
        let highest = self.keys.number("ChargeProfileMaxStackLevel");
        let most = self.keys.number("MaxChargingProfilesInstalled");
        let running = self.connector(number).and_then(|it| it.session.as_ref()?.transaction);
        let allowed = match profile.purpose {
            ChargingPurpose::Station => number == 0,
            ChargingPurpose::Default => number == 0 || self.connector(number).is_some(),
            ChargingPurpose::Session(_) => transaction.is_some() && running == transaction,
        };
        self.profiles.retain(|held| !held.is_like(number, profile));
        let room = u64::try_from(self.profiles.len()).is_ok_and(|held| held < most);
        if !allowed || !room || u64::from(profile.stack_level) > highest {
            return Verdict::Rejected;
        }
        self.profiles.push(Held { connector: number, profile: profile.clone() });
        Verdict::Accepted
    }

    pub(super) fn clear_profiles(&mut self, filter: &ProfileFilter) -> Verdict {
        let before = self.profiles.len();
        self.profiles.retain(|held| !held.fits(filter));
        if self.profiles.len() < before { Verdict::Accepted } else { Verdict::Unknown }
    }

    pub(super) fn composite_schedule(
        &mut self,
        now: Millis,
        number: u16,
        duration_s: u32,
        unit: Option<RateUnit>,
    ) -> Option<CompositeSchedule> {
        if number > 0 && self.connector(number).is_none() {
            return None;
        }
        let at = self.tempo.at(now);
        let started = self.session_start(number);
        Some(compose(&self.profiles_of(number), started, at, duration_s, unit.unwrap_or(RateUnit::Amperes)))
    }

    /// Has every connector go by the limit of this moment.
    pub(super) fn apply_profiles(&mut self, at: Timestamp) {
        if self.profiles.is_empty() {
            for connector in &mut self.connectors {
                connector.profile_limit = None;
            }
            return;
        }
        let running = self.connectors.iter().filter(|it| it.session.is_some()).count();
        let sharing = i64::try_from(running.max(1)).unwrap_or(1);
        for place in 0..self.connectors.len() {
            let number = self.connectors[place].number;
            let (station, own): (Vec<_>, Vec<_>) = self
                .profiles_of(number)
                .into_iter()
                .partition(|profile| profile.purpose == ChargingPurpose::Station);
            let station = limit_at(&station, None, at).map(|limit| Watts(limit.0 / sharing));
            let own = limit_at(&own, self.session_start(number), at);
            self.connectors[place].profile_limit = station.into_iter().chain(own).min();
        }
    }

    /// A session's own profiles end with it.
    pub(super) fn forget_session_profiles(&mut self, number: u16) {
        let is_sessions = |held: &Held| PurposeKind::from(held.profile.purpose) == PurposeKind::Session;
        self.profiles.retain(|held| held.connector != number || !is_sessions(held));
    }

    fn profiles_of(&self, number: u16) -> Vec<ChargingProfile> {
        let theirs = self.profiles.iter().filter(|held| held.connector == 0 || held.connector == number);
        theirs.map(|held| held.profile.clone()).collect()
    }

    fn session_start(&self, number: u16) -> Option<Timestamp> {
        let connector = self.connectors.iter().find(|it| it.number == number)?;
        connector.session.as_ref().map(|session| session.since)
    }
}
