//! The names of settings, folded, that the gateway itself has to know.

/// How often a station shows that it lives.
pub(super) const HEARTBEAT_INTERVAL: &str = "heartbeatinterval";
/// How many connectors it has.
pub(super) const NUMBER_OF_CONNECTORS: &str = "numberofconnectors";

/// What a station that cannot tell all at once is asked for, a few at a time: the settings that OCPP 1.6 (§9) names. The
/// first ones matter most.
pub(super) const STANDARD: [&str; 42] = [
    "NumberOfConnectors",
    "HeartbeatInterval",
    "MeterValueSampleInterval",
    "MeterValuesSampledData",
    "ClockAlignedDataInterval",
    "MeterValuesAlignedData",
    "StopTxnSampledData",
    "StopTxnAlignedData",
    "ConnectionTimeOut",
    "SupportedFeatureProfiles",
    "AuthorizeRemoteTxRequests",
    "AllowOfflineTxForUnknownId",
    "AuthorizationCacheEnabled",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "LocalAuthListEnabled",
    "LocalAuthListMaxLength",
    "SendLocalListMaxLength",
    "MaxEnergyOnInvalidId",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "UnlockConnectorOnEVSideDisconnect",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "WebSocketPingInterval",
    "ResetRetries",
    "MinimumStatusDuration",
    "GetConfigurationMaxKeys",
    "ConnectorPhaseRotation",
    "ConnectorPhaseRotationMaxLength",
    "MeterValuesAlignedDataMaxLength",
    "MeterValuesSampledDataMaxLength",
    "StopTxnAlignedDataMaxLength",
    "StopTxnSampledDataMaxLength",
    "SupportedFeatureProfilesMaxLength",
    "LightIntensity",
    "ReserveConnectorZeroSupported",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "ConnectorSwitch3to1PhaseSupported",
    "MaxChargingProfilesInstalled",
];
