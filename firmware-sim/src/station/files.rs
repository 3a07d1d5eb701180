//! Firmware and logs at the station (1.6 §5.19, §5.9; security whitepaper L01, N01): what it does when it is asked, in which
//! states, and how it fails when it is told to. The bytes are moved by the shell (`carry`).

mod image;

use std::collections::VecDeque;

use shared::model::file::{FirmwareSignature, LogKind, Retries};
use shared::ocpp::v16::{Confirmation, FileCall, Topic, Verdict};
use shared::units::Timestamp;

use super::{Core, Fact, Ticket};
use crate::event::Event;
use crate::tempo::Millis;

/// Lines of its own doings that a station remembers.
const MOST_LINES: usize = 1_000;
/// Simulated seconds that an installation takes.
const INSTALLING_S: u64 = 10;
/// Simulated seconds between tries when the CSMS leaves it to the station.
const OWN_RETRY_S: u32 = 5;
const OWN_TRIES: u32 = 3;

/// How a station goes about files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileHabits {
    /// Where it fails, if it shall.
    pub fault: Option<FileFault>,
    /// Brings logs as a form's file (POST) instead of a body (PUT).
    pub form: bool,
    /// Refuses unsigned images, as a station with the security extension has to (L01.FR.20).
    pub signed_only: bool,
    /// Does not know 1.6's own GetDiagnostics.
    pub get_log_only: bool,
    /// A log is at least this long.
    pub log_bytes: usize,
}

/// Where a station fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It never gets the image.
    Download,
    /// Its line breaks once after so many bytes; then it goes on from there.
    Interrupted(u64),
    /// It says nothing any more once it began.
    Silence,
    /// What it installed is not what it wanted.
    Verification,
    /// It cannot install.
    Installation,
    /// It never gets rid of the log.
    Upload,
}

/// Bytes to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Names it in [`Core::carried`].
    pub number: u64,
    /// From where, or to where.
    pub location: String,
    /// What to bring: its name and its bytes; nothing: fetch.
    pub body: Option<(String, Vec<u8>)>,
    /// As a form's file.
    pub form: bool,
    /// How often to try.
    pub tries: u32,
    /// Real milliseconds between two tries.
    pub pause: Millis,
    /// The line breaks once after so many bytes.
    pub break_after: Option<u64>,
}

/// How moving ended: with the bytes that came, or with what went wrong.
pub type Carried = Result<Vec<u8>, String>;

/// What a station knows of files.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) habits: FileHabits,
    next: u64,
    update: Option<Update>,
    upload: Option<Upload>,
    lines: VecDeque<(Timestamp, String)>,
    last_log: Option<Vec<u8>>,
    told: [Option<&'static str>; 2],
}

#[derive(Debug)]
struct Update {
    number: u64,
    /// Of a signed one.
    request: Option<i32>,
    location: String,
    signature: Option<FirmwareSignature>,
    install_at: Option<Millis>,
    retries: Retries,
    step: Step,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Until its hour.
    Scheduled(Millis),
    Fetching,
    /// Until its hour, and until nobody charges.
    Ready {
        version: String,
    },
    Installing {
        version: String,
        until: Millis,
    },
    /// Until it is registered again.
    Rebooting,
}

#[derive(Debug)]
struct Upload {
    number: u64,
    request: Option<i32>,
}

impl Core {
    /// How it goes about files from now on.
    pub fn set_file_habits(&mut self, habits: FileHabits) {
        self.files.habits = habits;
    }

    /// The log that it made last.
    pub fn last_log(&self) -> Option<&[u8]> {
        self.files.last_log.as_deref()
    }

    pub(super) fn asked_for_file(&mut self, now: Millis, call: &FileCall) -> Confirmation {
        match call.clone() {
            FileCall::UpdateFirmware { location, retrieve_at, retries } => {
                self.begin_update(now, None, location, None, retrieve_at, None, retries)
            }
            FileCall::SignedUpdateFirmware {
                request,
                location,
                signature,
                retrieve_at,
                install_at,
                retries,
            } => {
                if !image::is_certificate(&signature.certificate) {
                    return super::asked::plain(Verdict::InvalidCertificate);
                }
                let request = Some(request);
                self.begin_update(now, request, location, Some(signature), retrieve_at, install_at, retries)
            }
            FileCall::GetDiagnostics { location, from, to, retries } => {
                let name = self.begin_upload(now, None, location, (from, to), LogKind::Diagnostics, retries);
                Confirmation { file_name: name.1, ..Confirmation::default() }
            }
            FileCall::GetLog { request, kind, location, from, to, retries } => {
                let (verdict, file_name) =
                    self.begin_upload(now, Some(request), location, (from, to), kind, retries);
                Confirmation { file_name, ..super::asked::plain(verdict) }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are the message's")]
    fn begin_update(
        &mut self,
        now: Millis,
        request: Option<i32>,
        location: String,
        signature: Option<FirmwareSignature>,
        retrieve_at: Timestamp,
        install_at: Option<Timestamp>,
        retries: Retries,
    ) -> Confirmation {
        let busy = self.files.update.is_some();
        let number = self.next_load();
        let due = self.tempo.when(retrieve_at);
        let later = due > now;
        self.files.update = Some(Update {
            number,
            request,
            location,
            signature,
            install_at: install_at.map(|at| self.tempo.when(at)),
            retries,
            step: Step::Scheduled(due),
        });
        if later && request.is_some() {
            self.tell_firmware("DownloadScheduled");
        }
        match request {
            // 1.6's own has an empty answer.
            None => Confirmation::default(),
            Some(_) if busy => super::asked::plain(Verdict::AcceptedCanceled),
            Some(_) => super::asked::plain(Verdict::Accepted),
        }
    }

    fn begin_upload(
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

    /// Bytes were moved, or could not be.
    pub fn carried(&mut self, now: Millis, number: u64, carried: Carried) {
        if self.files.upload.as_ref().is_some_and(|upload| upload.number == number) {
            self.tell_log(match (&carried, self.files.upload.as_ref().and_then(|upload| upload.request)) {
                (Ok(_), _) => "Uploaded",
                (Err(_), None) => "UploadFailed",
                (Err(_), Some(_)) => "UploadFailure",
            });
            self.files.upload = None;
        } else if self.files.update.as_ref().is_some_and(|update| update.number == number) {
            self.fetched(now, carried);
        }
        self.tick(now);
    }

    fn fetched(&mut self, now: Millis, carried: Carried) {
        let Ok(bytes) = carried else { return self.end_update("DownloadFailed") };
        self.tell_firmware("Downloaded");
        let Some(update) = &mut self.files.update else { return };
        if let Some(signature) = &update.signature {
            if !image::is_signed(&bytes, signature) {
                let location = update.location.clone();
                self.report(now, "InvalidFirmwareSignature", location);
                return self.end_update("InvalidSignature");
            }
            let version = image::version(&bytes, &update.location);
            update.step = Step::Ready { version };
            return self.tell_firmware("SignatureVerified");
        }
        update.step = Step::Ready { version: image::version(&bytes, &update.location) };
    }

    /// Fetches, installs and reboots when it is time. Called with every tick.
    pub(super) fn go_on_with_files(&mut self, now: Millis) {
        let registered = self.connected && self.is_accepted();
        let Some(update) = &mut self.files.update else { return };
        let charging = self.connectors.iter().any(|connector| connector.session.is_some());
        match &update.step {
            Step::Scheduled(due) if *due <= now && registered => {
                update.step = Step::Fetching;
                self.begin_fetching(now);
            }
            Step::Ready { version } if update.install_at.is_none_or(|at| at <= now) && !charging => {
                let until = now + self.tempo.real(INSTALLING_S);
                update.step = Step::Installing { version: version.clone(), until };
                self.tell_firmware("Installing");
            }
            Step::Installing { version, until } if *until <= now => {
                let version = version.clone();
                self.install(version);
            }
            Step::Rebooting if registered => self.end_update("Installed"),
            Step::Scheduled(_)
            | Step::Fetching
            | Step::Ready { .. }
            | Step::Installing { .. }
            | Step::Rebooting => {}
        }
    }

    fn begin_fetching(&mut self, now: Millis) {
        self.tell_firmware("Downloading");
        let Some(update) = &self.files.update else { return };
        let (number, location, retries) = (update.number, update.location.clone(), update.retries);
        let break_after = match self.files.habits.fault {
            Some(FileFault::Download) => return self.carried(now, number, Err("as told".into())),
            Some(FileFault::Silence) => return,
            Some(FileFault::Interrupted(bytes)) => Some(bytes),
            Some(FileFault::Verification | FileFault::Installation | FileFault::Upload) | None => None,
        };
        let (tries, pause) = self.patience(retries);
        self.out.loads.push(Load { number, location, body: None, form: false, tries, pause, break_after });
    }

    fn install(&mut self, version: String) {
        match self.files.habits.fault {
            Some(FileFault::Installation) => return self.end_update("InstallationFailed"),
            Some(FileFault::Verification) => {
                let signed = self.files.update.as_ref().is_some_and(|update| update.request.is_some());
                let word = if signed { "InstallVerificationFailed" } else { "InstallationFailed" };
                return self.end_update(word);
            }
            Some(
                FileFault::Download | FileFault::Interrupted(_) | FileFault::Silence | FileFault::Upload,
            )
            | None => {}
        }
        if self.files.update.as_ref().is_some_and(|update| update.request.is_some()) {
            self.tell_firmware("InstallRebooting");
        }
        if let Some(update) = &mut self.files.update {
            update.step = Step::Rebooting;
        }
        self.hardware.firmware = Some(version);
        self.registration = None;
        self.out.restart = true;
    }

    /// When [`Core::tick`] is needed for a file.
    pub(super) fn next_file_deadline(&self) -> Option<Millis> {
        let update = self.files.update.as_ref()?;
        match &update.step {
            Step::Scheduled(due) => self.connected.then_some(*due),
            Step::Ready { .. } => update.install_at,
            Step::Installing { until, .. } => Some(*until),
            Step::Fetching | Step::Rebooting => None,
        }
    }

    /// What it said last of an update, or of a log, when it is asked for it.
    pub(super) fn tell_file_status(&mut self, topic: Topic) {
        let log = matches!(topic, Topic::Diagnostics | Topic::Log);
        let last = self.files.told[usize::from(log)];
        let word = last.filter(|word| !matches!(*word, "Installed" | "Uploaded")).unwrap_or("Idle");
        self.tell_file(topic, word, None);
    }

    fn end_update(&mut self, word: &'static str) {
        self.tell_firmware(word);
        self.files.update = None;
    }

    fn tell_firmware(&mut self, word: &'static str) {
        let request = self.files.update.as_ref().and_then(|update| update.request);
        let topic = if request.is_some() { Topic::SignedFirmware } else { Topic::Firmware };
        // 1.6's own words are fewer.
        let known = request.is_some() || !matches!(word, "InstallRebooting" | "SignatureVerified");
        self.files.told[0] = Some(word);
        if known {
            self.tell_file(topic, word, request);
        }
    }

    fn tell_log(&mut self, word: &'static str) {
        let request = self.files.upload.as_ref().and_then(|upload| upload.request);
        let topic = if request.is_some() { Topic::Log } else { Topic::Diagnostics };
        self.files.told[1] = Some(word);
        self.tell_file(topic, word, request);
    }

    fn tell_file(&mut self, topic: Topic, word: &'static str, request: Option<i32>) {
        self.out.events.push(Event::File { action: topic.action(), word });
        self.tell(Ticket::Plain(topic.action()), Fact::File { topic, word, request });
    }

    fn next_load(&mut self) -> u64 {
        self.files.next += 1;
        self.files.next
    }

    fn patience(&self, retries: Retries) -> (u32, Millis) {
        let tries = retries.count.map_or(OWN_TRIES, |count| u32::from(count) + 1);
        (tries, self.tempo.real(retries.interval_s.unwrap_or(OWN_RETRY_S).into()))
    }

    // --- the log

    /// Remembers a line.
    pub(super) fn note_line(&mut self, at: Timestamp, line: String) {
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
