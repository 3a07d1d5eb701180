//! What is peculiar about a station, as data: set by an operator for one station, never by maker or model. The numbers are
//! those of the list of quirks that the gateway's tests go through.

use serde::{Deserialize, Serialize};

use super::charging::RateUnit;
use super::token::IdToken;
use crate::id::StationId;
use crate::units::Timestamp;

/// How to get along with a station. The default is a station by the book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StationQuirks {
    /// It offers no subprotocol and means OCPP 1.6 (Q1).
    pub assume_subprotocol: bool,
    /// Its upgrade request lacks headers or spells them oddly (Q2).
    pub tolerate_upgrade: bool,
    /// It is not pinged: silence is no sign of anything (Q5).
    pub no_ping: bool,
    /// It is answered no sooner than so many milliseconds after its call (Q68).
    pub answer_delay_ms: u16,
    /// How long it may take to answer, in seconds, instead of the gateway's own patience.
    pub answer_seconds: Option<u16>,
    /// Its clock shows so many minutes more than UTC, whatever zone it claims or leaves out (Q43, Q44).
    pub clock_offset_minutes: Option<i16>,
    /// What its registers count (Q64).
    pub energy_scale: EnergyScale,
    /// A tag that it sends for whoever plugs in, and whose tag that is (Q42).
    pub local_tag: Option<LocalTag>,
    /// It is never asked to boot (Q17).
    pub never_trigger_boot: bool,
    /// So many settings are asked for at once (Q26).
    pub configuration_keys: Option<u16>,
    /// How it wants charging profiles.
    pub charging: ChargingQuirks,
}

/// What a register counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EnergyScale {
    /// What its unit says.
    #[default]
    AsTold,
    /// Kilowatt-hours that are labelled as watt-hours.
    KilowattHours,
    /// Watt-hours that are labelled as kilowatt-hours.
    WattHours,
}

/// A tag that stands for another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTag {
    /// What the station sends.
    pub shown: String,
    /// Whose charge it is.
    pub token: IdToken,
}

/// How a station wants charging profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ChargingQuirks {
    /// The highest level that it takes; many know 0 alone (Q76).
    pub max_stack_level: Option<u16>,
    /// What it wants to be told of a schedule's start (Q77).
    pub start: ScheduleStart,
    /// The only kind of schedule that it follows (Q78).
    pub kind: Option<SteadyKind>,
    /// The only unit that it takes (Q79).
    pub unit: Option<RateUnit>,
    /// How many phases amperes are counted on when limits are converted; three when absent.
    pub phases: Option<u8>,
    /// It rounds limits up to steps of so many tenths of an ampere: they are rounded down before (Q80).
    pub step_tenths: Option<u32>,
}

/// What a station is told of a schedule's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScheduleStart {
    /// What the profile says.
    #[default]
    AsGiven,
    /// Never one in the past or in the future: the moment of asking.
    Now,
    /// None.
    Omit,
}

/// A kind of schedule that needs no calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SteadyKind {
    /// From a point in time.
    Absolute,
    /// From the beginning of the session.
    Relative,
}

/// A peculiarity that the gateway believes to have seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suggestion {
    /// It offered no subprotocol (Q1).
    AssumeSubprotocol,
    /// Its upgrade request is not by the book (Q2).
    TolerateUpgrade,
    /// It speaks and does not answer pings (Q5).
    NoPing,
    /// It leaves whenever it is answered quickly (Q68).
    AnswerDelay {
        /// What to try.
        ms: u16,
    },
    /// Its clock is off by whole hours (Q43, Q44).
    ClockOffset {
        /// By so much.
        minutes: i16,
    },
    /// Its registers are off by a thousand (Q64).
    EnergyScale(EnergyScale),
    /// It sends the same unknown tag for everybody (Q42). Whose it is, a person has to say.
    LocalTag {
        /// The tag.
        shown: String,
    },
    /// It cannot tell all its settings at once (Q26).
    ConfigurationKeys {
        /// How many to ask for.
        at_once: u16,
    },
    /// It restarts when it is asked to boot (Q17).
    NeverTriggerBoot,
    /// It takes profiles only so (Q76 to Q79).
    Charging(ChargingQuirks),
}

impl Suggestion {
    /// The setting's name: a station has at most one suggestion for each.
    pub fn name(&self) -> &'static str {
        match self {
            Suggestion::AssumeSubprotocol => "assumeSubprotocol",
            Suggestion::TolerateUpgrade => "tolerateUpgrade",
            Suggestion::NoPing => "noPing",
            Suggestion::AnswerDelay { .. } => "answerDelayMs",
            Suggestion::ClockOffset { .. } => "clockOffsetMinutes",
            Suggestion::EnergyScale(_) => "energyScale",
            Suggestion::LocalTag { .. } => "localTag",
            Suggestion::ConfigurationKeys { .. } => "configurationKeys",
            Suggestion::NeverTriggerBoot => "neverTriggerBoot",
            Suggestion::Charging(_) => "charging",
        }
    }

    /// Settings as this one wants them. A local tag needs to be told whose it is: without that nothing changes.
    pub fn applied_to(&self, mut quirks: StationQuirks, token: Option<IdToken>) -> StationQuirks {
        match self {
            Suggestion::AssumeSubprotocol => quirks.assume_subprotocol = true,
            Suggestion::TolerateUpgrade => quirks.tolerate_upgrade = true,
            Suggestion::NoPing => quirks.no_ping = true,
            Suggestion::AnswerDelay { ms } => quirks.answer_delay_ms = *ms,
            Suggestion::ClockOffset { minutes } => quirks.clock_offset_minutes = Some(*minutes),
            Suggestion::EnergyScale(scale) => quirks.energy_scale = *scale,
            Suggestion::LocalTag { shown } => {
                let local = token.map(|token| LocalTag { shown: shown.clone(), token });
                quirks.local_tag = local.or(quirks.local_tag);
            }
            Suggestion::ConfigurationKeys { at_once } => quirks.configuration_keys = Some(*at_once),
            Suggestion::NeverTriggerBoot => quirks.never_trigger_boot = true,
            Suggestion::Charging(charging) => quirks.charging = *charging,
        }
        quirks
    }
}

/// The gateway saw the signature of a peculiarity. Told once per station and setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuirkSuggested {
    /// Whose.
    pub station: StationId,
    /// Which.
    pub suggestion: Suggestion,
    /// What was seen, for a person.
    pub evidence: String,
    /// When.
    pub at: Timestamp,
}

/// Why settings are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuirks {
    /// Answers must not come so late that the station asks again.
    #[error("answers may be delayed by 10,000 ms at most")]
    AnswerDelay,
    /// 1 to 600.
    #[error("a station may take 1 to 600 seconds to answer")]
    AnswerSeconds,
    /// No zone is farther away.
    #[error("a clock is off by 14 hours at most")]
    ClockOffset,
    /// At least one.
    #[error("1 to 100 settings are asked for at once")]
    ConfigurationKeys,
    /// 1 to 3.
    #[error("limits are converted over 1 to 3 phases")]
    Phases,
    /// From a tenth of an ampere.
    #[error("a step is 1 to 320 tenths of an ampere")]
    Step,
    /// Something to recognise.
    #[error("a local tag needs 1 to 64 characters")]
    LocalTag,
}

impl StationQuirks {
    /// Checks what no station could want.
    ///
    /// # Errors
    /// See [`BadQuirks`].
    pub fn check(&self) -> Result<(), BadQuirks> {
        let within = |fine: bool, otherwise: BadQuirks| if fine { Ok(()) } else { Err(otherwise) };
        within(self.answer_delay_ms <= 10_000, BadQuirks::AnswerDelay)?;
        within(self.answer_seconds.is_none_or(|s| (1..=600).contains(&s)), BadQuirks::AnswerSeconds)?;
        within(
            self.clock_offset_minutes.is_none_or(|m| (-14 * 60..=14 * 60).contains(&m)),
            BadQuirks::ClockOffset,
        )?;
        within(self.configuration_keys.is_none_or(|n| (1..=100).contains(&n)), BadQuirks::ConfigurationKeys)?;
        within(self.charging.phases.is_none_or(|n| (1..=3).contains(&n)), BadQuirks::Phases)?;
        within(self.charging.step_tenths.is_none_or(|n| (1..=320).contains(&n)), BadQuirks::Step)?;
        let shown = self.local_tag.as_ref().map(|tag| tag.shown.trim().chars().count());
        within(shown.is_none_or(|n| (1..=64).contains(&n)), BadQuirks::LocalTag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_changes_its_setting_alone() {
        let before = StationQuirks { no_ping: true, ..StationQuirks::default() };
        let after = Suggestion::ClockOffset { minutes: 120 }.applied_to(before.clone(), None);
        assert_eq!(after, StationQuirks { clock_offset_minutes: Some(120), ..before.clone() });
        let tag = Suggestion::LocalTag { shown: "FREE".into() };
        assert_eq!(tag.applied_to(before.clone(), None), before);
        let token = IdToken::new("04A2");
        assert_eq!(tag.applied_to(before, Some(token.clone())).local_tag.map(|it| it.token), Some(token));
    }

    #[test]
    fn what_no_station_wants_is_refused() {
        assert_eq!(StationQuirks::default().check(), Ok(()));
        let late = StationQuirks { answer_delay_ms: 60_000, ..StationQuirks::default() };
        assert_eq!(late.check(), Err(BadQuirks::AnswerDelay));
        let east = StationQuirks { clock_offset_minutes: Some(900), ..StationQuirks::default() };
        assert_eq!(east.check(), Err(BadQuirks::ClockOffset));
    }
}
