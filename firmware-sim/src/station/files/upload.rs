//! Logs: what a station remembers of its doings, and how it gets rid of it (1.6 §5.9; security whitepaper N01).

use shared::model::file::{LogKind, Retries};
use shared::ocpp::v16::{Topic, Verdict};
use shared::units::Timestamp;

use super::{FileFault, Load};
use crate::station::Core;
use crate::tempo::Millis;

/// Lines of its own doings that a station remembers.
const MOST_LINES: usize = 1_000;

#[derive(Debug)]
pub(super) struct Upload {
    pub(super) number: u64,
    pub(super) request: Option<i32>,
}

impl Core {
    pub(super) fn begin_upload(
        &mut self,
        now: Millis,
        request: Option<i32>,
        location: String,
        window: (Option<Timestamp>, Option<Timestamp>),
        kind: LogKind,
        retries: Retries,
    ) -> (Verdict, Option<String>) {
        let Some(log) = self.write_log(window, kind) else { return (Verdict::Rejected, None) };
        let busy = self.files.upload.is_some();
        let number = self.next_load();
        let name = format!("{}-{}-{number}.log", self.identity, kind.name().to_lowercase());
        self.files.last_log = Some(log.clone());
        self.files.upload = Some(Upload { number, request });
        self.tell_log("Uploading");
        let habits = &self.files.habits;
        match habits.fault {
            Some(FileFault::Silence) => {}
            Some(FileFault::Upload) => self.carried(now, number, Err("as told".into())),
            Some(
                FileFault::Download
                | FileFault::Interrupted(_)
                | FileFault::Verification
                | FileFault::Installation,
            )
            | None => {
                let form = habits.form;
                let (tries, pause) = self.patience(retries);
                let body = Some((name.clone(), log));
                let load = Load { number, location, body, form, tries, pause, break_after: None };
                self.out.loads.push(load);
            }
        }
        (if busy { Verdict::AcceptedCanceled } else { Verdict::Accepted }, Some(name))
    }

    pub(super) fn tell_log(&mut self, word: &'static str) {
        let request = self.files.upload.as_ref().and_then(|upload| upload.request);
        let topic = if request.is_some() { Topic::Log } else { Topic::Diagnostics };
        self.files.told[1] = Some((word, request));
        self.tell_file(topic, word, request);
    }

    /// Remembers a line.
    pub(in crate::station) fn note_line(&mut self, at: Timestamp, line: String) {
        if self.files.lines.len() == MOST_LINES {
            self.files.lines.pop_front();
        }
        self.files.lines.push_back((at, line));
    }

    /// What it remembers of a time; `None` when there is nothing.
    fn write_log(
        &self,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        kind: LogKind,
    ) -> Option<Vec<u8>> {
        let within = |at: Timestamp| from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to);
        let lines: Vec<String> = self
            .files
            .lines
            .iter()
            .filter(|(at, _)| within(*at))
            .map(|(at, line)| format!("{at} {line}\n"))
            .collect();
        if lines.is_empty() {
            return None;
        }
        let mut log = format!("# {} {}\n", self.identity, kind.name()).into_bytes();
        lines.iter().for_each(|line| log.extend(line.as_bytes()));
        // Bytes of every value, as in the memory dumps that some stations add.
        let padding = self.files.habits.log_bytes.saturating_sub(log.len());
        log.extend((0..padding).map(|place| (place.wrapping_mul(31) >> 3).to_le_bytes()[0]));
        Some(log)
    }
}
