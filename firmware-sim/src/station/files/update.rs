//! Firmware: fetched, verified, installed and reported step by step (1.6 §5.19; security whitepaper L01).

use shared::model::file::{FirmwareSignature, Retries};
use shared::ocpp::v16::{Confirmation, Topic, Verdict};
use shared::units::Timestamp;

use super::{Carried, FileFault, Load, image};
use crate::station::Core;
use crate::station::asked::plain;
use crate::tempo::Millis;

/// Simulated seconds that an installation takes.
const INSTALLING_S: u64 = 10;

#[derive(Debug)]
pub(super) struct Update {
    pub(super) number: u64,
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

impl Core {
    #[expect(clippy::too_many_arguments, reason = "they are the message's")]
    pub(super) fn begin_update(
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
            Some(_) if busy => plain(Verdict::AcceptedCanceled),
            Some(_) => plain(Verdict::Accepted),
        }
    }

    pub(super) fn fetched(&mut self, now: Millis, carried: Carried) {
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
    pub(in crate::station) fn go_on_with_files(&mut self, now: Millis) {
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
    pub(in crate::station) fn next_file_deadline(&self) -> Option<Millis> {
        let update = self.files.update.as_ref()?;
        match &update.step {
            Step::Scheduled(due) => self.connected.then_some(*due),
            Step::Ready { .. } => update.install_at,
            Step::Installing { until, .. } => Some(*until),
            Step::Fetching | Step::Rebooting => None,
        }
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
        self.files.told[0] = Some((word, request));
        if known {
            self.tell_file(topic, word, request);
        }
    }
}
