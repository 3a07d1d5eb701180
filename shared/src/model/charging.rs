//! Limits on charging over time: profiles that a station follows, and the schedule that they add up to.
//!
//! OCPP 1.6 §3.13 and §7.8 to §7.14. A profile has a purpose (what it limits), a level (the highest of a purpose wins), and
//! a schedule of periods. Limits are whole tenths of their unit: the specification allows one digit after the point, and a
//! float would not keep it.

mod compose;

use serde::{Deserialize, Serialize};

use crate::id::{EvseNo, SessionId};
use crate::units::Timestamp;
pub use compose::{compose, limit_at};

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingProfile {
    /// Its number; a new one replaces an older one of the same number.
    pub id: i32,
    /// Its level among those of its purpose, from 0; the highest that is valid wins.
    pub stack_level: u16,
    /// What it limits.
    pub purpose: ChargingPurpose,
    /// What its schedule counts from.
    pub kind: ChargingKind,
    /// Not valid before.
    pub valid_from: Option<Timestamp>,
    /// Not valid after.
    pub valid_to: Option<Timestamp>,
    /// The limits.
    pub schedule: ChargingSchedule,
}

/// What a profile limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChargingPurpose {
    /// The station as a whole.
    Station,
    /// Each session, unless it has a profile of its own.
    Default,
    /// One running session.
    Session(SessionId),
}

/// What a schedule counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChargingKind {
    /// A point in time.
    Absolute,
    /// The same hour every day.
    Daily,
    /// The same hour of the same day every week.
    Weekly,
    /// The beginning of the session.
    Relative,
}

/// What limits are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RateUnit {
    /// Amperes per phase.
    Amperes,
    /// Watts.
    Watts,
}

/// Limits over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingSchedule {
    /// What the limits are measured in.
    pub unit: RateUnit,
    /// What the periods count from, unless the profile is relative.
    pub start: Option<Timestamp>,
    /// How long it lasts, in seconds; to the end of the session when absent.
    pub duration_s: Option<u32>,
    /// Below this, charging makes no sense to the vehicle; in tenths of the unit.
    pub min_rate_tenths: Option<u32>,
    /// The limits, the first from second 0.
    pub periods: Vec<ChargingPeriod>,
}

/// A limit from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingPeriod {
    /// Seconds from the schedule's start.
    pub start_s: u32,
    /// The most that may flow, in tenths of the unit.
    pub limit_tenths: u32,
    /// Over so many phases; three when absent.
    pub phases: Option<u8>,
}

/// Which profiles to remove: those that fit all that is said; all of them when nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileFilter {
    /// The profile of this number.
    pub id: Option<i32>,
    /// Those of this EVSE.
    pub evse: Option<EvseNo>,
    /// Those of this purpose.
    pub purpose: Option<PurposeKind>,
    /// Those of this level.
    pub stack_level: Option<u16>,
}

/// A purpose without its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in ChargingPurpose")]
pub enum PurposeKind {
    Station,
    Default,
    Session,
}

/// What all profiles add up to, as the station reckons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompositeSchedule {
    /// When it begins.
    pub start: Option<Timestamp>,
    /// The limits from then on.
    pub schedule: ChargingSchedule,
}

/// Why a profile is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProfile {
    /// Nothing is limited.
    #[error("a schedule needs at least one period")]
    NoPeriods,
    /// Too many for any station.
    #[error("a schedule has at most {MAX_PERIODS} periods")]
    TooManyPeriods,
    /// The first period does not begin at 0.
    #[error("the first period must begin at second 0")]
    LateStart,
    /// The periods are not in order.
    #[error("each period must begin after the one before")]
    Disorder,
    /// One to three.
    #[error("a period has 1 to 3 phases")]
    Phases,
    /// Nothing to count from.
    #[error("an absolute or recurring schedule needs a start")]
    NoStart,
    /// Something to count from that is not used.
    #[error("a relative schedule has no start: it counts from the beginning of the session")]
    Start,
    /// The station as a whole has no session to count from.
    #[error("a profile of the station cannot be relative: there is no one session to count from")]
    StationRelative,
    /// The end is before the beginning.
    #[error("the profile ends before it begins")]
    Validity,
}

/// Stations tell how many they take (ChargingScheduleMaxPeriods); more is never sensible.
const MAX_PERIODS: usize = 1024;

impl ChargingProfile {
    /// Checks what no station could follow (1.6 §7.8, §7.13, §7.14).
    ///
    /// # Errors
    /// See [`BadProfile`].
    pub fn check(&self) -> Result<(), BadProfile> {
        let ends_early = self.valid_from.zip(self.valid_to).is_some_and(|(from, to)| to <= from);
        if ends_early {
            return Err(BadProfile::Validity);
        }
        if self.purpose == ChargingPurpose::Station && self.kind == ChargingKind::Relative {
            return Err(BadProfile::StationRelative);
        }
        match (self.kind, self.schedule.start) {
            (ChargingKind::Relative, Some(_)) => return Err(BadProfile::Start),
            (ChargingKind::Absolute | ChargingKind::Daily | ChargingKind::Weekly, None) => {
                return Err(BadProfile::NoStart);
            }
            _ => {}
        }
        self.schedule.check()
    }
}

impl ChargingSchedule {
    fn check(&self) -> Result<(), BadProfile> {
        let first = self.periods.first().ok_or(BadProfile::NoPeriods)?;
        if self.periods.len() > MAX_PERIODS {
            return Err(BadProfile::TooManyPeriods);
        }
        if first.start_s != 0 {
            return Err(BadProfile::LateStart);
        }
        if self.periods.windows(2).any(|pair| matches!(pair, [a, b] if b.start_s <= a.start_s)) {
            return Err(BadProfile::Disorder);
        }
        if self.periods.iter().any(|period| period.phases.is_some_and(|phases| !(1..=3).contains(&phases))) {
            return Err(BadProfile::Phases);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(kind: ChargingKind, start: Option<i64>, starts: &[u32]) -> ChargingProfile {
        let period = |start_s: &u32| ChargingPeriod { start_s: *start_s, limit_tenths: 160, phases: None };
        ChargingProfile {
            id: 1,
            stack_level: 0,
            purpose: ChargingPurpose::Default,
            kind,
            valid_from: None,
            valid_to: None,
            schedule: ChargingSchedule {
                unit: RateUnit::Amperes,
                start: start.map(Timestamp),
                duration_s: None,
                min_rate_tenths: None,
                periods: starts.iter().map(period).collect(),
            },
        }
    }

    #[test]
    fn what_no_station_could_follow_is_told() {
        let relative = |starts| profile(ChargingKind::Relative, None, starts).check();
        assert_eq!(relative(&[0, 60]), Ok(()));
        assert_eq!(relative(&[]), Err(BadProfile::NoPeriods));
        assert_eq!(relative(&[10]), Err(BadProfile::LateStart));
        assert_eq!(relative(&[0, 60, 60]), Err(BadProfile::Disorder));
        assert_eq!(profile(ChargingKind::Daily, None, &[0]).check(), Err(BadProfile::NoStart));
        assert_eq!(profile(ChargingKind::Relative, Some(1), &[0]).check(), Err(BadProfile::Start));

        let mut station = profile(ChargingKind::Relative, None, &[0]);
        station.purpose = ChargingPurpose::Station;
        assert_eq!(station.check(), Err(BadProfile::StationRelative));

        let mut odd = profile(ChargingKind::Absolute, Some(1), &[0]);
        (odd.valid_from, odd.valid_to) = (Some(Timestamp(5)), Some(Timestamp(5)));
        assert_eq!(odd.check(), Err(BadProfile::Validity));
        odd.valid_to = None;
        odd.schedule.periods[0].phases = Some(4);
        assert_eq!(odd.check(), Err(BadProfile::Phases));
    }
}
