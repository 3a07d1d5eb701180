//! Errands: orders to a station to fetch an image or to bring a log. The shell prepares the place ([`crate::files`]), then
//! the station is asked, then it tells how far it is, until it is done or was silent for too long.
//!
//! An errand outlives its command, which ends with the station's yes or no, and the process: a restart goes on where it was.

use shared::id::{CommandId, StationId};
use shared::model::StationInfo;
use shared::model::command::{Command, CommandResult, Outcome};
use shared::model::event::Event;
use shared::model::file::{
    FirmwareProgressed, FirmwareState, LogProgressed, LogReceived, LogState, ReceivedFile,
};
use shared::units::Timestamp;

use super::errand::{Errand, Slot, State, Step, Work};
use super::{AskEnd, Core, Effects, Send, Write};

/// Silence after which an errand is given up, unless the settings say otherwise.
const PATIENCE_MS: i64 = 2 * 3_600_000;

/// The errands, and how long a station may be silent about one.
#[derive(Debug)]
pub(super) struct Errands {
    all: Vec<Errand>,
    patience_ms: i64,
}

impl Default for Errands {
    fn default() -> Self {
        Errands { all: Vec::new(), patience_ms: PATIENCE_MS }
    }
}

impl Core {
    /// After how much silence an errand is given up.
    pub fn set_patience_with_files(&mut self, patience: std::time::Duration) {
        self.errands.patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
    }

    /// The errands as they stand.
    pub fn errands(&self) -> &[Errand] {
        &self.errands.all
    }

    pub(super) fn restore_errands(&mut self, errands: Vec<Errand>) {
        self.errands.all = errands;
    }

    /// Takes an order about a file on. `false` when the command is about none.
    pub(super) fn begin_errand(&mut self, now: Timestamp, command: &Command, fx: &mut Effects) -> bool {
        let Some(errand) = Errand::new(now, command) else { return false };
        fx.sends.push(Send::Prepare(Box::new(errand.clone())));
        fx.writes.push(Write::Errand(Box::new(errand.clone())));
        let is_firmware = matches!(errand.work, Work::Firmware(_));
        self.errands.all.push(errand);
        if is_firmware {
            self.progressed(now, command.id, State::Firmware(FirmwareState::Fetching), "", fx);
        }
        true
    }

    /// After a restart, places that were open are open again.
    pub(super) fn reopen_places(&self, fx: &mut Effects) {
        let open = |it: &&Errand| it.step != Step::Preparing && it.needs_slot();
        let open = self.errands.all.iter().filter(open);
        fx.sends.extend(open.map(|errand| Send::Serve(Box::new(errand.clone()))));
    }

    /// A station came back: what waited for it, or was cut off by a restart, goes on.
    pub(super) fn resume_errands(&mut self, station: &StationId, fx: &mut Effects) {
        for errand in &mut self.errands.all {
            let waits = errand.station == *station && errand.step == Step::Preparing;
            if waits && !std::mem::replace(&mut errand.under_way, true) {
                fx.sends.push(Send::Prepare(Box::new(errand.clone())));
            }
        }
    }

    /// Is the station not asked yet, so that a restart hid nothing?
    pub(super) fn is_preparing(&self, command: CommandId) -> bool {
        self.errands.all.iter().any(|it| it.command == command && it.step == Step::Preparing)
    }

    /// The place is ready, or cannot be: now the station is asked.
    pub(super) fn prepared(
        &mut self,
        now: Timestamp,
        command: CommandId,
        prepared: Result<Slot, String>,
        fx: &mut Effects,
    ) {
        let Some(place) = self.position(command).filter(|at| self.errands.all[*at].step == Step::Preparing)
        else {
            return fx.sends.push(Send::Close(command));
        };
        let errand = &mut self.errands.all[place];
        errand.under_way = false;
        let slot = match prepared {
            Ok(slot) => slot,
            Err(reason) => {
                let end = AskEnd::plain(Outcome::Failed, reason);
                return self.asked(now, command, end, fx);
            }
        };
        errand.slot = Some(slot);
        let link = self.stations.get(&errand.station).and_then(|station| station.link);
        if let Some(link) = link {
            errand.step = Step::Running;
            fx.sends.push(Send::Ask { link, command, ask: errand.ask() });
        }
        fx.writes.push(Write::Errand(Box::new(errand.clone())));
        if matches!(errand.work, Work::Firmware(_)) {
            self.progressed(now, command, State::Firmware(FirmwareState::Fetched), "", fx);
        }
    }

    /// A station that does not know GetDiagnostics may know GetLog.
    pub(super) fn asks_otherwise(&mut self, command: CommandId, end: &AskEnd, fx: &mut Effects) -> bool {
        let Some(place) = self.position(command) else { return false };
        let errand = &mut self.errands.all[place];
        let plain = matches!(errand.work, Work::Log(_)) && !errand.by_get_log;
        let link = self.stations.get(&errand.station).and_then(|station| station.link);
        let Some(link) = link.filter(|_| plain && end.outcome == Outcome::NotSupported) else { return false };
        errand.by_get_log = true;
        fx.writes.push(Write::Errand(Box::new(errand.clone())));
        fx.sends.push(Send::Ask { link, command, ask: errand.ask() });
        true
    }

    /// The command is over: the station said yes or no, or nothing.
    pub(super) fn errand_answered(&mut self, command: &Command, result: &CommandResult, fx: &mut Effects) {
        let Some(place) = self.position(command.id) else { return };
        let Errand { work, step, station, slot, .. } = self.errands.all[place].clone();
        let is_firmware = matches!(work, Work::Firmware(_));
        let never_asked = step == Step::Preparing;
        let (firmware, log) = match result.outcome {
            Outcome::Accepted | Outcome::Scheduled => {
                self.supersede_errands(result.at, command.id, &station, is_firmware, fx);
                (FirmwareState::Accepted, LogState::Accepted)
            }
            // It may have heard us all the same: what it says from now on counts.
            Outcome::TimedOut | Outcome::Unknown if !never_asked => return,
            Outcome::Rejected
            | Outcome::NotSupported
            | Outcome::Failed
            | Outcome::TimedOut
            | Outcome::StationOffline
            | Outcome::Expired
            | Outcome::Unknown
            | Outcome::BySite
            | Outcome::Occupied
            | Outcome::Faulted
            | Outcome::Unavailable => {
                let firmware =
                    if slot.is_none() { FirmwareState::FetchFailed } else { FirmwareState::Refused };
                (firmware, LogState::Refused)
            }
        };
        let state = if is_firmware { State::Firmware(firmware) } else { State::Log(log) };
        let agreed = matches!(result.outcome, Outcome::Accepted | Outcome::Scheduled);
        if agreed && self.errands.all[place].is_further() {
            // Some stations begin before they answer.
            return;
        }
        let detail = if result.outcome == Outcome::Accepted { "" } else { result.detail.as_str() };
        self.progressed(result.at, command.id, state, detail, fx);
    }

    /// What the station was doing before is over with a new order of the same kind (L01.FR.26, N01.FR.11).
    fn supersede_errands(
        &mut self,
        now: Timestamp,
        by: CommandId,
        station: &StationId,
        firmware: bool,
        fx: &mut Effects,
    ) {
        let older = |it: &&Errand| {
            it.command != by
                && it.station == *station
                && it.step == Step::Running
                && matches!(it.work, Work::Firmware(_)) == firmware
        };
        let older: Vec<_> = self.errands.all.iter().filter(older).map(|it| it.command).collect();
        for command in older {
            let state = if firmware {
                State::Firmware(FirmwareState::Superseded)
            } else {
                State::Log(LogState::Superseded)
            };
            self.progressed(now, command, state, "", fx);
        }
    }

    /// A station tells how far it is.
    pub(super) fn file_status(
        &mut self,
        now: Timestamp,
        station: &StationId,
        state: State,
        request: Option<i32>,
        fx: &mut Effects,
    ) {
        let is_firmware = matches!(state, State::Firmware(_));
        let listens = |it: &Errand| match it.step {
            Step::Preparing => false,
            Step::Running => true,
            Step::Ended => it.state == Some(state) || it.is_stalled(),
        };
        let fits = |it: &&Errand| {
            it.station == *station
                && listens(it)
                && matches!(it.work, Work::Firmware(_)) == is_firmware
                && request.is_none_or(|number| number <= 0 || number == it.request())
        };
        // The last one that is not over, else the last one.
        let fitting = self.errands.all.iter().filter(fits);
        let errand = fitting.max_by_key(|it| (it.step == Step::Running, it.heard_at)).map(|it| it.command);
        match errand {
            Some(command) => self.progressed(now, command, state, "", fx),
            None => fx.event(news(None, station.clone(), state, "", now)),
        }
    }

    /// Not every station tells that it installed an image; each tells its version when it boots.
    pub(super) fn booted_with(
        &mut self,
        now: Timestamp,
        station: &StationId,
        info: &StationInfo,
        fx: &mut Effects,
    ) {
        let runs = |it: &&Errand| {
            let wanted = match &it.work {
                Work::Firmware(update) => Some(update.image.version.as_str()),
                Work::Log(_) => None,
            };
            it.station == *station
                && it.step == Step::Running
                && wanted.is_some()
                && wanted == info.firmware.as_deref()
        };
        let Some(command) = self.errands.all.iter().find(runs).map(|it| it.command) else { return };
        let state = State::Firmware(FirmwareState::Installed);
        self.progressed(now, command, state, "the station booted with this version", fx);
    }

    /// A log is on our disk, whole.
    pub(super) fn received(
        &mut self,
        now: Timestamp,
        log: CommandId,
        station: StationId,
        file: ReceivedFile,
        fx: &mut Effects,
    ) {
        if let Some(place) = self.position(log) {
            let errand = &mut self.errands.all[place];
            if errand.received.as_ref() == Some(&file) {
                return;
            }
            errand.received = Some(file.clone());
            errand.heard_at = now;
            fx.writes.push(Write::Errand(Box::new(errand.clone())));
            if !errand.needs_slot() {
                fx.sends.push(Send::Close(log));
            }
        }
        fx.event(Event::LogReceived(LogReceived { log, station, file, at: now }));
    }

    pub(super) fn next_errand_deadline(&self) -> Option<Timestamp> {
        self.errands.all.iter().filter_map(|it| it.deadline(self.errands.patience_ms)).min()
    }

    /// Gives up what was silent for too long, forgets what is long over.
    pub(super) fn expire_errands(&mut self, now: Timestamp, fx: &mut Effects) {
        let patience = self.errands.patience_ms;
        let due = |it: &&Errand| it.deadline(patience).is_some_and(|deadline| deadline <= now);
        let due: Vec<_> =
            self.errands.all.iter().filter(due).map(|it| (it.command, it.step, it.work.clone())).collect();
        for (command, step, work) in due {
            if step == Step::Ended {
                self.errands.all.retain(|it| it.command != command);
                fx.writes.push(Write::ErrandGone(command));
                fx.sends.push(Send::Close(command));
                continue;
            }
            let state = match work {
                Work::Firmware(_) => State::Firmware(FirmwareState::Stalled),
                Work::Log(_) => State::Log(LogState::Stalled),
            };
            let detail = format!("nothing was heard of it for {} minutes", patience / 60_000);
            self.progressed(now, command, state, &detail, fx);
        }
    }

    /// News of an errand. The same again is none: some stations say `Uploading` with every packet.
    fn progressed(
        &mut self,
        now: Timestamp,
        command: CommandId,
        state: State,
        detail: &str,
        fx: &mut Effects,
    ) {
        let Some(place) = self.position(command) else { return };
        let errand = &mut self.errands.all[place];
        errand.heard_at = now;
        if errand.state == Some(state) {
            return;
        }
        errand.state = Some(state);
        let over = match state {
            State::Firmware(state) => state.is_end(),
            State::Log(state) => state.is_end(),
        };
        if over {
            errand.step = Step::Ended;
        } else if errand.step == Step::Ended {
            errand.step = Step::Running;
        }
        fx.writes.push(Write::Errand(Box::new(errand.clone())));
        fx.event(news(Some(command), errand.station.clone(), state, detail, now));
        if !errand.needs_slot() {
            fx.sends.push(Send::Close(command));
        }
    }

    fn position(&self, command: CommandId) -> Option<usize> {
        self.errands.all.iter().position(|it| it.command == command)
    }
}

fn news(command: Option<CommandId>, station: StationId, state: State, detail: &str, at: Timestamp) -> Event {
    let detail = detail.to_owned();
    match state {
        State::Firmware(state) => {
            Event::FirmwareProgressed(FirmwareProgressed { update: command, station, state, detail, at })
        }
        State::Log(state) => Event::LogProgressed(LogProgressed { log: command, station, state, detail, at }),
    }
}
