//! The configuration keys of the Core, Local Auth List Management and Reservation profiles (1.6 §9) that a station keeps.

/// A setting.
#[derive(Clone, Debug)]
struct Setting {
    key: &'static str,
    value: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ReadOnly,
    Number,
    Truth,
    Text,
}

/// All settings of a station.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Setting>);

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Done.
    Accepted,
    /// Read-only, or not a value for it.
    Rejected,
    /// No such setting.
    NotSupported,
}

const DEFAULTS: &[(&str, &str, Kind)] = &[
    ("AllowOfflineTxForUnknownId", "true", Kind::Truth),
    ("AuthorizationCacheEnabled", "true", Kind::Truth),
    ("AdditionalRootCertificateCheck", "false", Kind::ReadOnly),
    ("AuthorizeRemoteTxRequests", "false", Kind::Truth),
    ("CentralSystemURL", "", Kind::Text),
    ("CertificateSignedMaxChainSize", "10000", Kind::ReadOnly),
    ("CertificateStoreMaxLength", "4", Kind::ReadOnly),
    ("ChargeProfileMaxStackLevel", "8", Kind::ReadOnly),
    ("ChargingScheduleAllowedChargingRateUnit", "Current,Power", Kind::ReadOnly),
    ("ChargingScheduleMaxPeriods", "100", Kind::ReadOnly),
    ("ClockAlignedDataInterval", "0", Kind::Number),
    ("ConnectionTimeOut", "120", Kind::Number),
    ("ConnectorPhaseRotation", "NotApplicable", Kind::Text),
    ("GetConfigurationMaxKeys", "50", Kind::ReadOnly),
    ("CpoName", "EV charging site", Kind::Text),
    ("HeartbeatInterval", "300", Kind::Number),
    ("LocalAuthListEnabled", "true", Kind::Truth),
    ("LocalAuthListMaxLength", "200", Kind::ReadOnly),
    ("LocalAuthorizeOffline", "true", Kind::Truth),
    ("LocalPreAuthorize", "false", Kind::Truth),
    ("MaxChargingProfilesInstalled", "20", Kind::ReadOnly),
    ("MeterValuesAlignedData", "", Kind::Text),
    (
        "MeterValuesSampledData",
        "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC",
        Kind::Text,
    ),
    ("MeterValueSampleInterval", "60", Kind::Number),
    ("NumberOfConnectors", "1", Kind::ReadOnly),
    ("ReserveConnectorZeroSupported", "false", Kind::ReadOnly),
    ("ResetRetries", "1", Kind::Number),
    ("SecurityProfile", "0", Kind::Number),
    ("SendLocalListMaxLength", "20", Kind::ReadOnly),
    ("StopTransactionOnEVSideDisconnect", "true", Kind::Truth),
    ("StopTransactionOnInvalidId", "true", Kind::Truth),
    ("StopTxnAlignedData", "", Kind::Text),
    ("StopTxnSampledData", "", Kind::Text),
    (
        "SupportedFeatureProfiles",
        "Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger,Reservation,Security,SmartCharging",
        Kind::ReadOnly,
    ),
    ("SupportedFileTransferProtocols", "FTP,HTTP,HTTPS", Kind::ReadOnly),
    ("TransactionMessageAttempts", "3", Kind::Number),
    ("TransactionMessageRetryInterval", "10", Kind::Number),
    ("UnlockConnectorOnEVSideDisconnect", "true", Kind::Truth),
    ("WebSocketPingInterval", "0", Kind::Number),
];

impl Keys {
    /// The defaults, for a station of so many connectors.
    pub fn new(connectors: u16, meter_interval: u32) -> Self {
        let setting =
            |&(key, value, kind): &(&'static str, &str, Kind)| Setting { key, value: value.into(), kind };
        let mut keys = Keys(DEFAULTS.iter().map(setting).collect());
        keys.set("NumberOfConnectors", connectors.to_string());
        keys.set("MeterValueSampleInterval", meter_interval.to_string());
        keys
    }

    /// Sets a value, read-only or not. `false` when there is no such setting.
    pub fn set(&mut self, key: &str, value: String) -> bool {
        match self.find(key) {
            Some(at) => {
                self.0[at].value = value;
                true
            }
            None => false,
        }
    }

    /// Changes a value as the CSMS may.
    pub fn change(&mut self, key: &str, value: &str) -> Changed {
        let Some(at) = self.find(key) else { return Changed::NotSupported };
        let setting = &mut self.0[at];
        let fits = match setting.kind {
            Kind::ReadOnly => false,
            Kind::Number => value.parse::<u32>().is_ok(),
            Kind::Truth => truth(value).is_some(),
            Kind::Text => true,
        };
        if !fits {
            return Changed::Rejected;
        }
        setting.value = value.to_owned();
        Changed::Accepted
    }

    /// A number; 0 where there is none.
    pub fn number(&self, key: &str) -> u64 {
        self.find(key).and_then(|at| self.0[at].value.parse().ok()).unwrap_or(0)
    }

    /// A truth value; false where there is none.
    pub fn is(&self, key: &str) -> bool {
        self.find(key).and_then(|at| truth(&self.0[at].value)).unwrap_or(false)
    }

    /// All settings: name, value, read-only.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, bool)> {
        self.0.iter().map(|setting| (setting.key, setting.value.as_str(), setting.kind == Kind::ReadOnly))
    }

    /// One setting: name, value, read-only.
    pub fn get(&self, key: &str) -> Option<(&'static str, &str, bool)> {
        self.all().find(|(name, _, _)| name.eq_ignore_ascii_case(key.trim()))
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|setting| setting.key.eq_ignore_ascii_case(key.trim()))
    }
}

fn truth(value: &str) -> Option<bool> {
    value.trim().to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_checked() {
        let mut keys = Keys::new(2, 15);
        assert_eq!(keys.number("numberofconnectors"), 2);
        assert_eq!(keys.number("MeterValueSampleInterval"), 15);
        assert_eq!(keys.change("HeartbeatInterval", "60"), Changed::Accepted);
        assert_eq!(keys.change("HeartbeatInterval", "soon"), Changed::Rejected);
        assert_eq!(keys.change("NumberOfConnectors", "9"), Changed::Rejected);
        assert_eq!(keys.change("Nonsense", "1"), Changed::NotSupported);
        assert_eq!(keys.change("LocalPreAuthorize", "TRUE"), Changed::Accepted);
        assert!(keys.is("LocalPreAuthorize"));
    }
}
