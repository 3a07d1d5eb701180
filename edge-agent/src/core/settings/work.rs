//! Reading a station's settings and writing those that differ: the next question, given the answers so far.

use std::collections::VecDeque;

use shared::model::command::{CommandBody, ConfigurationEntry, Outcome, Told};
use shared::model::settings::{SettingOutcome, SettingState, WantedSetting, folded, same_value};

use super::keys;
use crate::core::AskEnd;

/// Keys in one question to a station that cannot tell all at once (QUIRKS Q26).
const KEYS_AT_ONCE: usize = 10;
/// Questions without an answer before it is left alone until it comes again.
const FAILURES: u8 = 3;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the station.
    Ask(CommandBody),
    /// All that was to be read is read.
    WasRead(Vec<ConfigurationEntry>),
    /// All that was wanted is gone through.
    Done(Vec<SettingOutcome>),
    /// The station does not answer.
    GiveUp,
}

#[derive(Debug)]
enum Stage {
    /// All at once.
    ReadAll,
    /// A few keys at a time.
    ReadSome(VecDeque<Vec<String>>),
    /// Everything is read.
    Compare,
    /// These are to be written; the first one is being asked for.
    Write(VecDeque<WantedSetting>),
}

#[derive(Debug)]
pub(super) struct Work {
    wanted: Vec<WantedSetting>,
    whole: bool,
    only_read: bool,
    stage: Stage,
    entries: Vec<ConfigurationEntry>,
    outcomes: Vec<SettingOutcome>,
    failures: u8,
    at_once: usize,
    struggled: bool,
}

impl Work {
    /// Reads all settings, then writes what differs, unless the station only waits.
    pub(super) fn whole(wanted: Vec<WantedSetting>, only_read: bool, at_once: Option<u16>) -> Self {
        let mut work = Self::begin(wanted, true, only_read, Stage::ReadAll, at_once);
        if at_once.is_some() {
            work.stage = Stage::ReadSome(work.standard());
        }
        work
    }

    /// Reads what is wanted, then writes what differs.
    pub(super) fn of_wanted(wanted: Vec<WantedSetting>, at_once: Option<u16>) -> Self {
        let keys: Vec<String> = wanted.iter().map(|it| it.key.trim().to_owned()).collect();
        let mut work = Self::begin(wanted, false, false, Stage::Compare, at_once);
        work.stage = Stage::ReadSome(work.batches(&keys));
        work
    }

    fn begin(
        wanted: Vec<WantedSetting>,
        whole: bool,
        only_read: bool,
        stage: Stage,
        at_once: Option<u16>,
    ) -> Self {
        let (entries, outcomes) = (Vec::new(), Vec::new());
        let at_once = at_once.map_or(KEYS_AT_ONCE, |keys| usize::from(keys.max(1)));
        Work { wanted, whole, only_read, stage, entries, outcomes, failures: 0, at_once, struggled: false }
    }

    /// Did it tell a few settings at a time after it did not tell all?
    pub(super) fn struggled(&self) -> bool {
        self.struggled && !self.entries.is_empty()
    }

    /// What a station that cannot tell all is asked for.
    fn standard(&self) -> VecDeque<Vec<String>> {
        let own = self.wanted.iter().map(|it| it.key.trim().to_owned());
        self.batches(&keys::STANDARD.iter().map(|&key| key.to_owned()).chain(own).collect::<Vec<_>>())
    }

    fn batches(&self, keys: &[String]) -> VecDeque<Vec<String>> {
        keys.chunks(self.at_once).map(<[_]>::to_vec).collect()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What was gone through; none when nothing was to be written.
    pub(super) fn into_wanted(self) -> Option<Vec<WantedSetting>> {
        (!self.only_read).then_some(self.wanted)
    }

    pub(super) fn step(&mut self) -> Step {
        if self.failures >= FAILURES {
            return Step::GiveUp;
        }
        match &mut self.stage {
            Stage::ReadAll => Step::Ask(CommandBody::GetConfiguration { keys: Vec::new() }),
            Stage::ReadSome(batches) => match batches.front() {
                Some(keys) => Step::Ask(CommandBody::GetConfiguration { keys: keys.clone() }),
                None => self.all_read(),
            },
            Stage::Compare => {
                self.compare();
                self.step()
            }
            Stage::Write(left) => match left.front() {
                Some(WantedSetting { key, value }) => Step::Ask(CommandBody::ChangeConfiguration {
                    key: key.trim().into(),
                    value: value.clone(),
                }),
                None => Step::Done(std::mem::take(&mut self.outcomes)),
            },
        }
    }

    fn all_read(&mut self) -> Step {
        self.stage = if self.only_read { Stage::Write(VecDeque::new()) } else { Stage::Compare };
        Step::WasRead(self.entries.clone())
    }

    /// Takes the answer to the last question in. Returns a setting that the station has now.
    pub(super) fn answered(&mut self, end: AskEnd) -> Option<ConfigurationEntry> {
        match &mut self.stage {
            Stage::ReadAll => {
                self.read_all_answered(end);
                None
            }
            Stage::ReadSome(batches) => {
                batches.pop_front();
                if let Told::Configuration { entries, .. } = end.told {
                    self.entries.extend(entries);
                } else {
                    self.failures += u8::from(is_failure(end.outcome));
                }
                None
            }
            Stage::Compare => None,
            Stage::Write(left) => {
                let wanted = left.pop_front()?;
                self.written(wanted, end)
            }
        }
    }

    fn read_all_answered(&mut self, end: AskEnd) {
        let batches = if let Told::Configuration { entries, .. } = end.told {
            self.entries = entries;
            VecDeque::new()
        } else if is_failure(end.outcome) {
            self.struggled = true;
            self.standard()
        } else {
            // It has none, or keeps them to itself.
            VecDeque::new()
        };
        self.stage = Stage::ReadSome(batches);
    }

    fn compare(&mut self) {
        let mut left = VecDeque::new();
        for wanted in &self.wanted {
            let known = self.entries.iter().find(|entry| folded(&entry.key) == folded(&wanted.key));
            let state = match known {
                Some(entry) if entry.value.as_ref().is_some_and(|it| same_value(it, &wanted.value)) => {
                    (SettingState::InStep, "")
                }
                Some(entry) if entry.readonly => (SettingState::Refused, "it is read-only at the station"),
                Some(_) | None => {
                    left.push_back(wanted.clone());
                    continue;
                }
            };
            self.outcomes.push(outcome(wanted, state.0, state.1));
        }
        self.stage = Stage::Write(left);
    }

    fn written(&mut self, wanted: WantedSetting, end: AskEnd) -> Option<ConfigurationEntry> {
        let state = match end.outcome {
            Outcome::Accepted => SettingState::Changed,
            Outcome::Scheduled => SettingState::NeedsReboot,
            Outcome::NotSupported => SettingState::Unknown,
            Outcome::TimedOut | Outcome::StationOffline | Outcome::Expired | Outcome::Unknown => {
                self.failures += 1;
                SettingState::Waiting
            }
            Outcome::Rejected
            | Outcome::Failed
            | Outcome::BySite
            | Outcome::Occupied
            | Outcome::Faulted
            | Outcome::Unavailable => SettingState::Refused,
        };
        self.outcomes.push(outcome(&wanted, state, &end.detail));
        (state == SettingState::Changed).then_some(ConfigurationEntry {
            key: wanted.key,
            value: Some(wanted.value),
            readonly: false,
        })
    }
}

fn outcome(wanted: &WantedSetting, state: SettingState, detail: &str) -> SettingOutcome {
    let detail = detail.chars().take(200).collect();
    SettingOutcome { key: wanted.key.clone(), wanted: wanted.value.clone(), state, detail }
}

fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::TimedOut | Outcome::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(key: &str, value: &str) -> WantedSetting {
        WantedSetting { key: key.into(), value: value.into() }
    }

    fn told(entries: &[(&str, &str, bool)]) -> AskEnd {
        let entry = |(key, value, readonly): &(&str, &str, bool)| ConfigurationEntry {
            key: (*key).into(),
            value: Some((*value).into()),
            readonly: *readonly,
        };
        let told = Told::Configuration { entries: entries.iter().map(entry).collect(), unknown_keys: vec![] };
        AskEnd { outcome: Outcome::Accepted, detail: String::new(), told }
    }

    fn asked(work: &mut Work) -> CommandBody {
        let Step::Ask(body) = work.step() else { panic!("nothing is asked") };
        body
    }

    #[test]
    fn only_differences_are_written_and_each_setting_says_how_it_stands() {
        let all = [("Same", "60"), ("other", "1"), ("Fixed", "2"), ("Missing", "3"), ("Slow", "4")];
        let mut work = Work::whole(all.map(|(key, value)| wanted(key, value)).into(), false, None);
        assert_eq!(asked(&mut work), CommandBody::GetConfiguration { keys: vec![] });
        work.answered(told(&[
            (" same", "60 ", false),
            ("OTHER", "0", false),
            ("Fixed", "9", true),
            ("Slow", "0", false),
        ]));
        assert!(matches!(work.step(), Step::WasRead(entries) if entries.len() == 4));
        for (key, outcome) in
            [("other", Outcome::Accepted), ("Missing", Outcome::NotSupported), ("Slow", Outcome::Scheduled)]
        {
            let CommandBody::ChangeConfiguration { key: written, .. } = asked(&mut work) else { panic!() };
            assert_eq!(written, key);
            let entry = work.answered(AskEnd::plain(outcome, ""));
            assert_eq!(entry.is_some(), outcome == Outcome::Accepted);
        }
        let Step::Done(outcomes) = work.step() else { panic!() };
        let states: Vec<_> = outcomes.iter().map(|it| (it.key.as_str(), it.state)).collect();
        use SettingState::{Changed, InStep, NeedsReboot, Refused, Unknown};
        let expected = [
            ("Same", InStep),
            ("Fixed", Refused),
            ("other", Changed),
            ("Missing", Unknown),
            ("Slow", NeedsReboot),
        ];
        assert_eq!(states, expected);
    }

    #[test]
    fn q26_a_station_whose_answer_is_cut_off_is_asked_for_a_few_keys_at_a_time() {
        let mut work = Work::whole(vec![wanted("VendorKey", "1")], false, None);
        work.answered(AskEnd::plain(Outcome::TimedOut, ""));
        let mut keys = Vec::new();
        while let Step::Ask(CommandBody::GetConfiguration { keys: some }) = work.step() {
            assert!((1..=10).contains(&some.len()));
            keys.extend(some);
            work.answered(told(&[("VendorKey", "1", false)]));
        }
        assert_eq!(keys.last().map(String::as_str), Some("VendorKey"));
        assert!(keys.len() > keys::STANDARD.len());
    }

    #[test]
    fn a_station_that_never_answers_is_left_alone() {
        let mut work = Work::whole(vec![], false, None);
        for _ in 0..4 {
            asked(&mut work);
            work.answered(AskEnd::plain(Outcome::TimedOut, ""));
        }
        assert_eq!(work.step(), Step::GiveUp);
    }
}
