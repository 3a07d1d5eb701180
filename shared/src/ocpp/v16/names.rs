//! The enumerations of 1.6 that carry meaning for us, read without regard to case and surrounding space.

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* #[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl $name {
            /// All of them, in the order of the specification.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The specification's spelling.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }

            /// The value of a name in any case.
            pub fn from_name(name: &str) -> Option<Self> {
                let name = name.trim();
                Self::ALL.iter().copied().find(|value| value.name().eq_ignore_ascii_case(name))
            }
        }
    };
}

names! {
    /// What a connector does (§7.7 ChargePointStatus).
    Status {
        Available = "Available",
        Preparing = "Preparing",
        Charging = "Charging",
        SuspendedEvse = "SuspendedEVSE",
        SuspendedEv = "SuspendedEV",
        Finishing = "Finishing",
        Reserved = "Reserved",
        Unavailable = "Unavailable",
        Faulted = "Faulted",
    }
}

names! {
    /// Why a session ended (§7.36 Reason); `Local` when the station does not say.
    #[derive(Default)]
    StopReason {
        DeAuthorized = "DeAuthorized",
        EmergencyStop = "EmergencyStop",
        EvDisconnected = "EVDisconnected",
        HardReset = "HardReset",
        #[default]
        Local = "Local",
        Other = "Other",
        PowerLoss = "PowerLoss",
        Reboot = "Reboot",
        Remote = "Remote",
        SoftReset = "SoftReset",
        UnlockCommand = "UnlockCommand",
    }
}

names! {
    /// Why a reading was taken (§7.33 ReadingContext).
    Context {
        InterruptionBegin = "Interruption.Begin",
        InterruptionEnd = "Interruption.End",
        Other = "Other",
        Clock = "Sample.Clock",
        Periodic = "Sample.Periodic",
        Begin = "Transaction.Begin",
        End = "Transaction.End",
        Trigger = "Trigger",
    }
}

names! {
    /// A message that a station can be asked to send (§7.32 MessageTrigger).
    Trigger {
        BootNotification = "BootNotification",
        DiagnosticsStatus = "DiagnosticsStatusNotification",
        FirmwareStatus = "FirmwareStatusNotification",
        Heartbeat = "Heartbeat",
        MeterValues = "MeterValues",
        StatusNotification = "StatusNotification",
    }
}

names! {
    /// A message that a station of the security extension can be asked to send (MessageTriggerEnumType).
    ExtendedTrigger {
        BootNotification = "BootNotification",
        LogStatus = "LogStatusNotification",
        FirmwareStatus = "FirmwareStatusNotification",
        Heartbeat = "Heartbeat",
        MeterValues = "MeterValues",
        SignChargePointCertificate = "SignChargePointCertificate",
        StatusNotification = "StatusNotification",
    }
}
