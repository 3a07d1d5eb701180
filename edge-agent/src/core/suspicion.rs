//! Peculiarities of stations that show by themselves. One sight is enough for some, others need a few; then an operator hears
//! of it, once, and decides. Nothing changes by itself: what looks like a quirk may be a fault.

use std::collections::{HashMap, HashSet};

use shared::id::StationId;
use shared::model::IdToken;
use shared::model::event::Event;
use shared::model::quirks::{QuirkSuggested, StationQuirks, Suggestion};
use shared::units::Timestamp;

use super::admission::Standing;
use super::{Core, Effects, Write};

/// Sights of what may be chance.
const SIGHTS: u8 = 3;

/// A sight of a peculiarity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Which.
    pub suggestion: Suggestion,
    /// What was seen, for a person.
    pub evidence: String,
    /// Once may be chance.
    pub may_be_chance: bool,
}

#[derive(Debug, Default)]
pub(super) struct Suspicions {
    told: HashSet<(StationId, String)>,
    sights: HashMap<(StationId, Suggestion), u8>,
}

/// Sights remembered; they only matter when they repeat.
const REMEMBERED: usize = 1000;

impl Suspicions {
    pub(super) fn new(told: Vec<(StationId, String)>) -> Self {
        Suspicions { told: told.into_iter().collect(), ..Suspicions::default() }
    }

    /// Is it time to tell?
    fn ripens(&mut self, station: &StationId, suspicion: &Suspicion) -> bool {
        let name = (station.clone(), suspicion.suggestion.name().to_owned());
        if self.told.contains(&name) {
            return false;
        }
        if suspicion.may_be_chance {
            if self.sights.len() >= REMEMBERED {
                self.sights.clear();
            }
            let sights = self.sights.entry((station.clone(), suspicion.suggestion.clone())).or_default();
            *sights = sights.saturating_add(1);
            if *sights < SIGHTS {
                return false;
            }
        }
        self.sights.retain(|(of, other), _| of != station || other.name() != name.1);
        self.told.insert(name)
    }
}

impl Core {
    /// What is known to be peculiar about a station.
    pub(super) fn quirks(&self, station: &StationId) -> &StationQuirks {
        static BY_THE_BOOK: std::sync::LazyLock<StationQuirks> = std::sync::LazyLock::new(Default::default);
        self.admission.quirks(station).unwrap_or(&BY_THE_BOOK)
    }

    pub(super) fn suspect(
        &mut self,
        now: Timestamp,
        station: &StationId,
        suspicion: Suspicion,
        fx: &mut Effects,
    ) {
        let known = self.quirks(station);
        let settled = suspicion.suggestion.applied_to(known.clone(), None) == *known
            && !matches!(suspicion.suggestion, Suggestion::LocalTag { .. });
        let stranger = matches!(self.standing(station), Standing::Pending | Standing::Rejected);
        if settled || stranger || !self.suspicions.ripens(station, &suspicion) {
            return;
        }
        let Suspicion { suggestion, evidence, .. } = suspicion;
        let told = QuirkSuggested { station: station.clone(), suggestion, evidence, at: now };
        fx.writes.push(Write::Suggested(told.clone()));
        fx.event(Event::QuirkSuggested(told));
    }

    /// A clock that is off by whole half hours shows another zone's time.
    pub(super) fn suspect_zone(
        &mut self,
        now: Timestamp,
        station: &StationId,
        skew_ms: i64,
        fx: &mut Effects,
    ) {
        const HALF_HOUR_MS: i64 = 30 * 60_000;
        const NEAR_MS: i64 = 2 * 60_000;
        let halves = (skew_ms + skew_ms.signum() * HALF_HOUR_MS / 2) / HALF_HOUR_MS;
        let near = (skew_ms - halves * HALF_HOUR_MS).abs() <= NEAR_MS;
        if !near || !(1..=28).contains(&halves.abs()) {
            return;
        }
        // A clock that is behind ours shows a zone in the west.
        let before = i64::from(self.quirks(station).clock_offset_minutes.unwrap_or(0));
        let Ok(minutes) = i16::try_from(before - halves * 30) else { return };
        let evidence = format!("its clock is {} min off ours", -halves * 30);
        let suggestion = Suggestion::ClockOffset { minutes };
        self.suspect(now, station, Suspicion { suggestion, evidence, may_be_chance: false }, fx);
    }

    /// A station that leaves right after it was asked to boot restarted instead (Q17).
    pub(super) fn suspect_restart(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        const AT_ONCE_MS: i64 = 60_000;
        let asked = self.stations.get(station).and_then(|known| known.boot_demanded_at);
        if asked.is_some_and(|asked| now.millis_since(asked) <= AT_ONCE_MS) {
            let evidence = "it left whenever it was asked to boot".to_owned();
            let suggestion = Suggestion::NeverTriggerBoot;
            self.suspect(now, station, Suspicion { suggestion, evidence, may_be_chance: true }, fx);
        }
    }

    /// Sessions that begin for a tag that nobody knows, always the same one: the station lets everybody charge (Q42).
    pub(super) fn suspect_free_vend(
        &mut self,
        now: Timestamp,
        station: &StationId,
        token: &IdToken,
        fx: &mut Effects,
    ) {
        let shown: String = token.folded().chars().take(64).collect();
        if !shown.is_empty() {
            let evidence = "it began several sessions for this tag, which nobody knows".to_owned();
            let suggestion = Suggestion::LocalTag { shown };
            self.suspect(now, station, Suspicion { suggestion, evidence, may_be_chance: true }, fx);
        }
    }

    /// All settings at once were too many, a few at a time were not (Q26).
    pub(super) fn suspect_short_buffer(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let evidence = "it did not answer for all its settings at once, and did for a few".to_owned();
        let suggestion = Suggestion::ConfigurationKeys { at_once: 10 };
        self.suspect(now, station, Suspicion { suggestion, evidence, may_be_chance: false }, fx);
    }
}
