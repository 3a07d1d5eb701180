//! What profiles add up to: the limit at a moment, and the schedule over a while (1.6 §3.13.3, §5.7).
//!
//! Of each purpose the valid profile of the highest level counts; a session's own replaces the default; the station's limit
//! holds besides, and the lowest wins. Units are brought together at 230 V over the phases of the period.

use super::{
    ChargingKind, ChargingPeriod, ChargingProfile, ChargingPurpose, ChargingSchedule, CompositeSchedule,
    PurposeKind, RateUnit,
};
use crate::units::{Timestamp, Watts};

const DAY_MS: i64 = 86_400_000;
const VOLTS: i64 = 230;
/// Changes of the limit that a composite schedule tells at most.
const MAX_PERIODS: usize = 1024;

/// The most that may flow at a moment; no value: nothing limits it. `session_start` is that of the session that runs.
pub fn limit_at(
    profiles: &[ChargingProfile],
    session_start: Option<Timestamp>,
    at: Timestamp,
) -> Option<Watts> {
    let best = |kind: PurposeKind| {
        let theirs = profiles.iter().filter(|profile| PurposeKind::from(profile.purpose) == kind);
        let limits =
            theirs.filter_map(|profile| Some((profile.stack_level, profile.limit(session_start, at)?)));
        limits.max_by_key(|(level, _)| *level).map(|(_, limit)| limit)
    };
    let session = best(PurposeKind::Session).or_else(|| best(PurposeKind::Default));
    best(PurposeKind::Station).into_iter().chain(session).min()
}

/// The limits over a while, as a schedule of its own; without any limit it has no periods.
pub fn compose(
    profiles: &[ChargingProfile],
    session_start: Option<Timestamp>,
    from: Timestamp,
    duration_s: u32,
    unit: RateUnit,
) -> CompositeSchedule {
    let end = from.plus_millis(i64::from(duration_s) * 1000);
    let mut moments = vec![from];
    for profile in profiles {
        profile.changes(session_start, from, end, &mut moments);
    }
    moments.retain(|moment| *moment >= from && *moment < end);
    moments.sort_unstable();
    moments.dedup();
    let mut periods: Vec<ChargingPeriod> = Vec::new();
    for moment in moments {
        let Some(limit) = limit_at(profiles, session_start, moment) else { continue };
        let limit_tenths = tenths(limit, unit);
        let seconds = moment.millis_since(from).div_euclid(1000);
        if periods.last().is_none_or(|last| last.limit_tenths != limit_tenths) && periods.len() < MAX_PERIODS
        {
            let start_s = u32::try_from(seconds).unwrap_or(u32::MAX);
            periods.push(ChargingPeriod { start_s, limit_tenths, phases: None });
        }
    }
    let schedule = ChargingSchedule {
        unit,
        start: Some(from),
        duration_s: Some(duration_s),
        min_rate_tenths: None,
        periods,
    };
    CompositeSchedule { start: Some(from), schedule }
}

fn tenths(limit: Watts, unit: RateUnit) -> u32 {
    let value = match unit {
        RateUnit::Watts => limit.0 * 10,
        // Over three phases, rounded down: a limit is never exceeded.
        RateUnit::Amperes => limit.0 * 10 / (VOLTS * 3),
    };
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

impl ChargingProfile {
    /// Its limit at a moment, if it has one then.
    fn limit(&self, session_start: Option<Timestamp>, at: Timestamp) -> Option<Watts> {
        let valid = self.valid_from.is_none_or(|from| at >= from) && self.valid_to.is_none_or(|to| at < to);
        let start = self.start(session_start, at).filter(|start| valid && *start <= at)?;
        let second = u32::try_from(at.millis_since(start).div_euclid(1000)).ok()?;
        if self.schedule.duration_s.is_some_and(|duration| second >= duration) {
            return None;
        }
        let period = self.schedule.periods.iter().rev().find(|period| period.start_s <= second)?;
        Some(period.power(self.schedule.unit))
    }

    /// The start that counts at a moment: for recurring ones the last before it.
    fn start(&self, session_start: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
        let every = match self.kind {
            ChargingKind::Absolute => return self.schedule.start,
            ChargingKind::Relative => return session_start,
            ChargingKind::Daily => DAY_MS,
            ChargingKind::Weekly => 7 * DAY_MS,
        };
        let first = self.schedule.start?;
        let passed = at.millis_since(first).div_euclid(every);
        Some(first.plus_millis(passed * every))
    }

    /// The moments between `from` and `end` at which its limit may change.
    fn changes(
        &self,
        session_start: Option<Timestamp>,
        from: Timestamp,
        end: Timestamp,
        into: &mut Vec<Timestamp>,
    ) {
        into.extend(self.valid_from.into_iter().chain(self.valid_to));
        let every = match self.kind {
            ChargingKind::Daily => Some(DAY_MS),
            ChargingKind::Weekly => Some(7 * DAY_MS),
            ChargingKind::Absolute | ChargingKind::Relative => None,
        };
        let mut start = self.start(session_start, from);
        while let Some(begin) = start.filter(|begin| *begin < end && into.len() < MAX_PERIODS * 4) {
            let seconds =
                self.schedule.periods.iter().map(|period| period.start_s).chain(self.schedule.duration_s);
            into.extend(seconds.map(|second| begin.plus_millis(i64::from(second) * 1000)));
            start = every.map(|every| begin.plus_millis(every));
        }
    }
}

impl ChargingPeriod {
    fn power(&self, unit: RateUnit) -> Watts {
        let tenths = i64::from(self.limit_tenths);
        match unit {
            RateUnit::Watts => Watts(tenths / 10),
            RateUnit::Amperes => Watts(tenths * VOLTS * i64::from(self.phases.unwrap_or(3)) / 10),
        }
    }
}

impl From<ChargingPurpose> for PurposeKind {
    fn from(purpose: ChargingPurpose) -> Self {
        match purpose {
            ChargingPurpose::Station => PurposeKind::Station,
            ChargingPurpose::Default => PurposeKind::Default,
            ChargingPurpose::Session(_) => PurposeKind::Session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    const START: Timestamp = Timestamp(1_800_000_000_000);

    fn profile(
        purpose: ChargingPurpose,
        level: u16,
        kind: ChargingKind,
        periods: &[(u32, u32)],
    ) -> ChargingProfile {
        let period = |(start_s, watts): &(u32, u32)| ChargingPeriod {
            start_s: *start_s,
            limit_tenths: watts * 10,
            phases: None,
        };
        ChargingProfile {
            id: i32::from(level),
            stack_level: level,
            purpose,
            kind,
            valid_from: None,
            valid_to: None,
            schedule: ChargingSchedule {
                unit: RateUnit::Watts,
                start: (kind != ChargingKind::Relative).then_some(START),
                duration_s: None,
                min_rate_tenths: None,
                periods: periods.iter().map(period).collect(),
            },
        }
    }

    const SESSION: ChargingPurpose = ChargingPurpose::Session(SessionId(uuid::Uuid::nil()));

    fn after(seconds: i64) -> Timestamp {
        START.plus_millis(seconds * 1000)
    }

    #[test]
    fn the_highest_level_counts_the_sessions_own_replaces_the_default_and_the_station_holds_besides() {
        use ChargingKind::{Absolute, Relative};
        let mut profiles = vec![profile(ChargingPurpose::Default, 0, Absolute, &[(0, 7000)])];
        assert_eq!(limit_at(&profiles, None, after(-1)), None, "before it begins");
        assert_eq!(limit_at(&profiles, None, after(5)), Some(Watts(7000)));
        profiles.push(profile(ChargingPurpose::Default, 1, Absolute, &[(0, 9000)]));
        assert_eq!(limit_at(&profiles, None, after(5)), Some(Watts(9000)));
        profiles.push(profile(SESSION, 0, Relative, &[(0, 3000), (60, 20_000)]));
        assert_eq!(limit_at(&profiles, None, after(5)), Some(Watts(9000)), "no session runs");
        assert_eq!(limit_at(&profiles, Some(START), after(59)), Some(Watts(3000)));
        assert_eq!(limit_at(&profiles, Some(START), after(60)), Some(Watts(20_000)));
        profiles.push(profile(ChargingPurpose::Station, 0, Absolute, &[(0, 11_000)]));
        assert_eq!(limit_at(&profiles, Some(START), after(60)), Some(Watts(11_000)));
    }

    #[test]
    fn recurring_profiles_come_again_and_end_when_they_last_no_longer() {
        let mut nightly = profile(ChargingPurpose::Default, 0, ChargingKind::Daily, &[(0, 5000)]);
        nightly.schedule.duration_s = Some(3600);
        let all = [nightly];
        for day in [-1, 0, 1, 400] {
            assert_eq!(limit_at(&all, None, after(day * 86_400 + 3599)), Some(Watts(5000)));
            assert_eq!(limit_at(&all, None, after(day * 86_400 + 3600)), None);
        }
    }

    #[test]
    fn amperes_count_over_the_phases() {
        let mut profile = profile(ChargingPurpose::Default, 0, ChargingKind::Absolute, &[(0, 16)]);
        profile.schedule.unit = RateUnit::Amperes;
        assert_eq!(limit_at(&[profile.clone()], None, after(0)), Some(Watts(11_040)));
        profile.schedule.periods[0].phases = Some(1);
        assert_eq!(limit_at(&[profile], None, after(0)), Some(Watts(3680)));
    }

    #[test]
    fn a_composite_schedule_has_every_change_once() {
        let all = [
            profile(ChargingPurpose::Station, 0, ChargingKind::Absolute, &[(0, 22_000), (120, 4000)]),
            profile(SESSION, 0, ChargingKind::Relative, &[(0, 11_000), (60, 11_000), (90, 6000)]),
        ];
        let made = compose(&all, Some(START), after(10), 300, RateUnit::Watts);
        let periods: Vec<_> = made.schedule.periods.iter().map(|it| (it.start_s, it.limit_tenths)).collect();
        assert_eq!(periods, [(0, 110_000), (80, 60_000), (110, 40_000)]);
        assert!(compose(&[], None, START, 60, RateUnit::Amperes).schedule.periods.is_empty());
        let amperes = compose(&all, Some(START), after(200), 60, RateUnit::Amperes);
        assert_eq!(amperes.schedule.periods[0].limit_tenths, 57, "5.79 A, rounded down");
    }
}
