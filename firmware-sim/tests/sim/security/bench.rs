//! A pure station of the security extension, and the CSMS that asks it.

use firmware_sim::station::security::SecurityHabits;
use firmware_sim::station::{Core, Fact, Outcome, Ticket, Told};
use firmware_sim::tempo::Tempo;
use firmware_sim::{Registration, StationConfig};
use shared::model::security::RootUse;
use shared::ocpp::v16::{Confirmation, CsmsCall, SecurityCall, Verdict};
use shared::units::Timestamp;

/// The 21st of September 2026.
pub(super) const TODAY: Timestamp = Timestamp(1_790_000_000_000);
pub(super) const PASSWORD: &str = "sixteen-or-more!";

pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) now: u64,
}

impl Bench {
    /// A station at profile 1 that is connected and accepted.
    pub(super) fn ready() -> Self {
        Self::with(StationConfig::new("ws://box/ocpp", "S1").with_password(PASSWORD))
    }

    pub(super) fn habits(security: SecurityHabits) -> Self {
        let config = StationConfig::new("ws://box/ocpp", "S1").with_password(PASSWORD);
        Self::with(StationConfig { security, ..config })
    }

    pub(super) fn with(config: StationConfig) -> Self {
        let tempo = Tempo { scale: 1, origin: TODAY, since: 0 };
        let mut bench = Bench { core: Core::new(&config, tempo, 100), now: 1000 };
        bench.come();
        bench.core.take();
        bench
    }

    /// The line comes up, and the CSMS accepts the station.
    pub(super) fn come(&mut self) {
        self.core.connected(self.now);
        self.answer(Ticket::Boot, Told::Boot { registration: Registration::Accepted, interval: 300 });
    }

    /// The line ends, after all that was to be sent.
    pub(super) fn go(&mut self) {
        self.core.take();
        self.core.disconnected(self.now, "test".into());
    }

    pub(super) fn answer(&mut self, ticket: Ticket, told: Told) {
        self.core.answered(self.now, ticket, Outcome::Told(told));
    }

    pub(super) fn asked(&mut self, call: SecurityCall) -> Confirmation {
        self.core.asked(self.now, &CsmsCall::Security(call))
    }

    pub(super) fn change(&mut self, key: &str, value: &str) -> Verdict {
        let call = CsmsCall::ChangeConfiguration { key: key.into(), value: value.into() };
        self.core.asked(self.now, &call).verdict.unwrap()
    }

    /// A setting as the CSMS reads it; all of them in one text for "".
    pub(super) fn setting(&mut self, key: &str) -> String {
        let keys = if key.is_empty() { Vec::new() } else { vec![key.to_owned()] };
        let told = self.core.asked(self.now, &CsmsCall::GetConfiguration { keys });
        let value = |key: shared::ocpp::v16::ConfigurationKey| key.value.unwrap_or_default();
        told.configuration.into_iter().map(value).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn install(&mut self, pem: &str) -> Verdict {
        let call = SecurityCall::InstallCertificate { root: RootUse::CentralSystem, certificate: pem.into() };
        self.asked(call).verdict.unwrap()
    }

    pub(super) fn facts(&mut self) -> Vec<Fact> {
        self.core.take().sends.into_iter().map(|(_, fact)| fact).collect()
    }

    /// Answers every report; what they were about.
    pub(super) fn reports(&mut self) -> Vec<(&'static str, String)> {
        let mut heard = Vec::new();
        loop {
            let sent = self.core.take().sends.into_iter().find(|(ticket, _)| *ticket == Ticket::Report);
            let Some((ticket, Fact::SecurityEvent { kind, info, .. })) = sent else { return heard };
            heard.push((kind, info));
            self.answer(ticket, Told::Nothing);
        }
    }
}
