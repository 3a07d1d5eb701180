//! Firmware and logs at the station (1.6 §5.19, §5.9; security whitepaper L01, N01): what it does when it is asked, in which
//! states, and how it fails when it is told to. The bytes are moved by the shell (`carry`).

mod image;
mod update;
mod upload;

use std::collections::VecDeque;

use shared::model::file::{LogKind, Retries};
use shared::ocpp::v16::{Confirmation, FileCall, Topic, Verdict};
use shared::units::Timestamp;

use self::update::Update;
use self::upload::Upload;
use super::asked::plain;
use super::{Core, Fact, Ticket};
use crate::event::Event;
use crate::tempo::Millis;

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
    /// What was said last of an update and of a log, and by which request of the CSMS's.
    told: [Option<(&'static str, Option<i32>)>; 2],
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
                    return plain(Verdict::InvalidCertificate);
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
                Confirmation { file_name, ..plain(verdict) }
            }
        }
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

    /// What it said last of an update, or of a log, when it is asked for it.
    pub(super) fn tell_file_status(&mut self, topic: Topic) {
        let log = matches!(topic, Topic::Diagnostics | Topic::Log);
        let last = self.files.told[usize::from(log)];
        let (word, request) =
            last.filter(|(word, _)| !matches!(*word, "Installed" | "Uploaded")).unwrap_or(("Idle", None));
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
}
