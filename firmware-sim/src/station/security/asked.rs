//! What the station is asked about its security: each request to its room, and the messages that can be asked for.

use shared::ocpp::v16::{Confirmation, ExtendedTrigger, SecurityCall, Topic, Trigger, Verdict};

use crate::station::Core;
use crate::station::asked::plain;
use crate::tempo::Millis;

impl Core {
    pub(in crate::station) fn asked_about_security(
        &mut self,
        now: Millis,
        call: &SecurityCall,
    ) -> Confirmation {
        match call {
            SecurityCall::CertificateSigned { chain } => plain(self.take_certificate(now, chain)),
            SecurityCall::InstallCertificate { root, certificate } => {
                plain(self.install_root(now, *root, certificate))
            }
            SecurityCall::DeleteCertificate(hash) => plain(self.delete_root(hash)),
            SecurityCall::GetInstalledCertificateIds { root } => self.installed(*root),
            SecurityCall::ExtendedTrigger { message, connector } => {
                plain(self.triggered_further(now, *message, *connector))
            }
        }
    }

    fn triggered_further(
        &mut self,
        now: Millis,
        message: ExtendedTrigger,
        connector: Option<u16>,
    ) -> Verdict {
        let known = match message {
            ExtendedTrigger::BootNotification => Trigger::BootNotification,
            ExtendedTrigger::Heartbeat => Trigger::Heartbeat,
            ExtendedTrigger::MeterValues => Trigger::MeterValues,
            ExtendedTrigger::StatusNotification => Trigger::StatusNotification,
            ExtendedTrigger::LogStatus => {
                self.tell_file_status(Topic::Log);
                return Verdict::Accepted;
            }
            ExtendedTrigger::FirmwareStatus => {
                self.tell_file_status(Topic::SignedFirmware);
                return Verdict::Accepted;
            }
            ExtendedTrigger::SignChargePointCertificate => {
                self.ask_for_certificate();
                return Verdict::Accepted;
            }
        };
        self.triggered(now, known, connector)
    }
}
