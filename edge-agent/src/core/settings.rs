//! What stations are set to: read once after a station's first boot and after a new firmware, compared with what the site
//! wants, and only the differences written.
//!
//! One question at a time, and never a guess at single values (QUIRKS Q18: some stations restart when probed). Stations whose
//! whole answer does not fit their buffers are asked for a few keys at a time (Q26). What was wanted is gone through once;
//! again when something else is wanted, or when the station is read anew.

mod keys;
mod work;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::id::{CommandId, StationId};
use shared::model::command::{CommandBody, ConfigurationEntry, Outcome, Told};
use shared::model::event::Event;
use shared::model::settings::{
    LONGEST_VALUE, SettingOutcome, SettingsApplied, SettingsDoc, SettingsRead, WantedSetting, folded,
    is_secret,
};
use shared::units::Timestamp;

use self::work::{Step, Work};
use super::ListSupport;
use super::admission::Standing;
use super::security::objection_to_writing;
use super::{Ask, AskEnd, Core, Effects, Send, Write};

/// Settings in one record.
const ENTRIES_TOLD: usize = 40;
/// Settings of one station at most.
const MOST_ENTRIES: usize = 500;

/// What is remembered of a station's settings; what they are is in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsMemory {
    /// The firmware that it had when all were read.
    firmware: Option<String>,
    /// All were read.
    read: bool,
    /// How many connectors it has, if it told.
    connectors: Option<u16>,
    /// What it can hold of the list of tokens.
    #[serde(default)]
    list: ListSupport,
    /// What was wanted when the differences were last written.
    applied: Vec<WantedSetting>,
}

#[derive(Debug, Default)]
pub(super) struct Settings {
    wanted: SettingsDoc,
    memory: HashMap<StationId, SettingsMemory>,
    work: HashMap<StationId, Work>,
    questions: HashMap<CommandId, StationId>,
}

impl Settings {
    pub(super) fn new(memory: Vec<(StationId, SettingsMemory)>) -> Self {
        Settings { memory: memory.into_iter().collect(), ..Settings::default() }
    }

    pub(super) fn want(&mut self, document: SettingsDoc) {
        self.wanted = document;
    }

    /// What is wanted of a station, but for what has its own orders: a password or a profile that is written like any other
    /// setting would lock the station out.
    fn wanted_of(&self, station: &StationId) -> Vec<WantedSetting> {
        let mut wanted = self.wanted.of(station);
        wanted.retain(|it| objection_to_writing(&it.key).is_none());
        wanted
    }

    /// Is this the answer to a question of ours? Then whose.
    pub(super) fn answers(&mut self, command: CommandId) -> Option<StationId> {
        self.questions.remove(&command)
    }
}

impl Core {
    /// The heartbeat interval that is wanted of a station.
    pub(super) fn heartbeat_of(&self, station: &StationId) -> Option<u16> {
        let wanted = self.settings.wanted.of(station);
        let interval = wanted.iter().find(|it| folded(&it.key) == keys::HEARTBEAT_INTERVAL)?;
        interval.value.trim().parse().ok().filter(|seconds| *seconds > 0)
    }

    /// How many connectors a station has, if it told.
    pub(super) fn connectors_of(&self, station: &StationId) -> Option<u16> {
        self.settings.memory.get(station)?.connectors
    }

    /// What a station can hold of the list of tokens.
    pub(super) fn list_support(&self, station: &StationId) -> ListSupport {
        self.settings.memory.get(station).map_or_else(ListSupport::default, |memory| memory.list)
    }

    /// Has the station told its settings, ever?
    pub(super) fn are_settings_read(&self, station: &StationId) -> bool {
        self.settings.memory.get(station).is_some_and(|memory| memory.read)
    }

    /// The station has settled: does anything have to be read or written?
    pub(super) fn begin_settings(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let pending = self.standing(station) == Standing::Pending;
        let firmware = self.stations.get(station).and_then(|it| it.info.as_ref()?.firmware.clone());
        let at_once = self.quirks(station).configuration_keys;
        let wanted = self.settings.wanted_of(station);
        let memory = self.settings.memory.entry(station.clone()).or_default();
        let work = if pending || !memory.read || firmware.is_some() && memory.firmware != firmware {
            Work::whole(wanted, pending, at_once)
        } else if memory.applied != wanted {
            Work::of_wanted(wanted, at_once)
        } else {
            return;
        };
        self.settings.work.insert(station.clone(), work);
        self.next_question(now, station, fx);
    }

    /// Something else is wanted: stations that are here and settled hear of it at once.
    pub(super) fn settings_wanted(&mut self, now: Timestamp, fx: &mut Effects) {
        let here: Vec<StationId> =
            self.stations.iter().filter(|(_, it)| it.visit.is_settled()).map(|(id, _)| id.clone()).collect();
        for station in here {
            if self.standing(&station) == Standing::Accepted {
                self.begin_settings(now, &station, fx);
            }
        }
    }

    pub(super) fn settings_answered(
        &mut self,
        now: Timestamp,
        station: &StationId,
        end: AskEnd,
        fx: &mut Effects,
    ) {
        let Some(work) = self.settings.work.get_mut(station) else { return };
        if end.outcome == Outcome::StationOffline {
            self.settings.work.remove(station);
            return;
        }
        let changed = work.answered(end);
        if let Some(entry) = changed {
            self.tell_settings(now, station, vec![entry], false, fx);
        }
        self.next_question(now, station, fx);
    }

    fn next_question(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(work) = self.settings.work.get_mut(station) else { return };
        match work.step() {
            Step::Ask(body) => self.question(now, station, body, fx),
            Step::WasRead(entries) => {
                self.was_read(now, station, entries, fx);
                self.next_question(now, station, fx);
            }
            Step::Done(outcomes) => self.settings_done(now, station, outcomes, fx),
            Step::GiveUp => drop(self.settings.work.remove(station)),
        }
    }

    fn question(&mut self, now: Timestamp, station: &StationId, body: CommandBody, fx: &mut Effects) {
        let Some(link) = self.stations.get(station).and_then(|known| known.link) else { return };
        let command = CommandId((self.ids)(now));
        self.settings.questions.insert(command, station.clone());
        fx.sends.push(Send::Ask { link, command, ask: Ask::Command(body) });
    }

    fn was_read(
        &mut self,
        now: Timestamp,
        station: &StationId,
        entries: Vec<ConfigurationEntry>,
        fx: &mut Effects,
    ) {
        let number = |entry: &ConfigurationEntry| {
            (folded(&entry.key) == keys::NUMBER_OF_CONNECTORS)
                .then(|| entry.value.as_ref()?.trim().parse().ok())
        };
        let connectors: Option<u16> = entries.iter().find_map(number).flatten().filter(|it| *it <= 99);
        if self.standing(station) == Standing::Pending {
            return self.visitor_told(now, station, |it| it.connectors = connectors.or(it.connectors), fx);
        }
        let Some(work) = self.settings.work.get(station) else { return };
        let whole = work.is_whole();
        if work.struggled() {
            self.suspect_short_buffer(now, station, fx);
        }
        let firmware = self.stations.get(station).and_then(|it| it.info.as_ref()?.firmware.clone());
        let memory = self.settings.memory.entry(station.clone()).or_default();
        if whole {
            (memory.read, memory.firmware, memory.connectors) = (true, firmware, connectors);
            fx.writes.push(Write::SettingsMemory(station.clone(), Box::new(memory.clone())));
        }
        self.tell_settings(now, station, entries, whole, fx);
    }

    fn settings_done(
        &mut self,
        now: Timestamp,
        station: &StationId,
        outcomes: Vec<SettingOutcome>,
        fx: &mut Effects,
    ) {
        let Some(work) = self.settings.work.remove(station) else { return };
        let Some(wanted) = work.into_wanted() else { return };
        let memory = self.settings.memory.entry(station.clone()).or_default();
        let was_none = memory.applied.is_empty();
        memory.applied = wanted;
        fx.writes.push(Write::SettingsMemory(station.clone(), Box::new(memory.clone())));
        if !(was_none && outcomes.is_empty()) {
            fx.event(Event::SettingsApplied(SettingsApplied { station: station.clone(), outcomes, at: now }));
        }
        // Something else may have been wanted meanwhile.
        if self.settings.memory.get(station).is_some_and(|it| it.applied != self.settings.wanted_of(station))
        {
            self.begin_settings(now, station, fx);
        }
    }

    /// An operator read or changed settings by a command of his own.
    pub(super) fn settings_commanded(
        &mut self,
        now: Timestamp,
        station: &StationId,
        body: &CommandBody,
        end: &AskEnd,
        fx: &mut Effects,
    ) {
        let entries = match (body, &end.told, end.outcome) {
            (CommandBody::GetConfiguration { .. }, Told::Configuration { entries, .. }, _) => entries.clone(),
            (CommandBody::ChangeConfiguration { key, value }, _, Outcome::Accepted) => {
                vec![ConfigurationEntry { key: key.clone(), value: Some(value.clone()), readonly: false }]
            }
            (_, _, _) => return,
        };
        if self.standing(station) != Standing::Pending {
            self.tell_settings(now, station, entries, false, fx);
        }
    }

    /// Among a station's settings are those that say what list of tokens it can hold.
    fn list_settings_told(
        &mut self,
        now: Timestamp,
        station: &StationId,
        entries: &[ConfigurationEntry],
        fx: &mut Effects,
    ) {
        let Some(memory) = self.settings.memory.get_mut(station) else { return };
        let list = memory.list.told(entries);
        let news = memory.list != list || !self.lists.is_known(station);
        if news && memory.read {
            memory.list = list;
            fx.writes.push(Write::SettingsMemory(station.clone(), Box::new(memory.clone())));
            self.look_at_list(now, station, fx);
        }
    }

    /// Keeps settings and tells them to the cloud, in parts that fit a record.
    fn tell_settings(
        &mut self,
        now: Timestamp,
        station: &StationId,
        entries: Vec<ConfigurationEntry>,
        whole: bool,
        fx: &mut Effects,
    ) {
        self.list_settings_told(now, station, &entries, fx);
        let entries: Vec<_> = entries.into_iter().take(MOST_ENTRIES).map(presentable).collect();
        let parts = entries.chunks(ENTRIES_TOLD).map(<[_]>::to_vec).collect::<Vec<_>>();
        let last = parts.len().saturating_sub(1);
        for (place, entries) in parts.into_iter().enumerate() {
            let read =
                SettingsRead { station: station.clone(), entries, whole: whole && place == last, at: now };
            fx.writes.push(Write::Settings(read.clone()));
            fx.event(Event::SettingsRead(read));
        }
    }
}

/// A setting without its secret, and no longer than any may be.
fn presentable(entry: ConfigurationEntry) -> ConfigurationEntry {
    let cut = |text: String| text.chars().take(LONGEST_VALUE).collect();
    let value = entry.value.filter(|_| !is_secret(&entry.key)).map(cut);
    ConfigurationEntry { key: cut(entry.key), value, readonly: entry.readonly }
}
