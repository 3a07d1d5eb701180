//! What the simulator writes: a station's requests, and its answers to whatever the gateway asks.

use firmware_sim::Hardware;
use firmware_sim::behaviour::v16;
use firmware_sim::station::{Fact, Sample};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use shared::model::charging::ProfileFilter;
use shared::ocpp::v16::{
    ConfigurationKey, Confirmation, Context, CsmsCall, ListCall, Status, StopReason, Trigger, Verdict,
};
use shared::units::{Percent, Watts};

use super::values::{certificate_hash, composite, instant, profile, register, text};
use super::{Lines, file, security};

pub(crate) fn write(out: &mut Lines) -> anyhow::Result<()> {
    out.many(("simulator", "request"), hardware(), |hardware| v16::call(&Fact::Boot, &hardware).ok())?;
    for facts in facts().into_iter().chain(security::facts()) {
        out.many(("simulator", "request"), facts, |fact| v16::call(&fact, &plain()).ok())?;
    }
    for call in calls() {
        out.many(("simulator", "response"), confirmation(), |answer| {
            Some((call.action(), v16::confirmation(&call, &answer).ok()?))
        })?;
    }
    Ok(())
}

fn facts() -> Vec<BoxedStrategy<Fact>> {
    let sample = (instant(), register(), 0..1_000_000_i64, option::of(0..=100_u8)).prop_map(
        |(at, register, power, soc)| Sample { at, register, power: Watts(power), soc: soc.map(Percent) },
    );
    let start = (any::<u16>(), text(20), register(), instant(), option::of(any::<i32>()));
    let stop = (any::<i32>(), option::of(text(20)), register(), instant(), select(StopReason::ALL));
    vec![
        Just(Fact::Heartbeat).boxed(),
        file::statuses().prop_map(|(topic, word, request)| Fact::File { topic, word, request }).boxed(),
        (text(255), option::of(text(50)), option::of(text(600)))
            .prop_map(|(vendor, message, data)| Fact::Transfer { vendor, message, data })
            .boxed(),
        text(20).prop_map(|tag| Fact::Authorise { tag }).boxed(),
        (any::<u16>(), select(Status::ALL), instant())
            .prop_map(|(connector, status, at)| Fact::Status { connector, status, at })
            .boxed(),
        start
            .prop_map(|(connector, tag, meter, at, reservation)| Fact::Start {
                connector,
                tag,
                meter,
                at,
                reservation,
            })
            .boxed(),
        (any::<u16>(), option::of(any::<i32>()), select(Context::ALL), sample)
            .prop_map(|(connector, transaction, context, sample)| Fact::Readings {
                connector,
                transaction,
                context,
                sample,
            })
            .boxed(),
        stop.prop_map(|(transaction, tag, meter, at, reason)| Fact::Stop {
            transaction,
            tag,
            meter,
            at,
            reason,
        })
        .boxed(),
    ]
}

fn plain() -> Hardware {
    Hardware { vendor: "Maker".into(), model: "Model".into(), serial: None, firmware: None }
}

fn hardware() -> impl Strategy<Value = Hardware> {
    (text(20), text(20), option::of(text(25)), option::of(text(50)))
        .prop_map(|(vendor, model, serial, firmware)| Hardware { vendor, model, serial, firmware })
}

/// One of each question; only the kind of question decides how an answer is written.
fn calls() -> Vec<CsmsCall> {
    let profile = one_of(profile());
    let files = file::calls().into_iter().map(|call| CsmsCall::File(one_of(call)));
    let certificates = security::calls().into_iter().map(|call| CsmsCall::Security(one_of(call)));
    let mut calls = vec![
        CsmsCall::ChangeAvailability { connector: 1, operative: true },
        CsmsCall::ChangeConfiguration { key: String::new(), value: String::new() },
        CsmsCall::ClearCache,
        CsmsCall::DataTransfer { vendor: String::new(), message: None, data: None },
        CsmsCall::GetConfiguration { keys: Vec::new() },
        CsmsCall::RemoteStart { connector: None, id_tag: String::new() },
        CsmsCall::RemoteStop { transaction: 1 },
        CsmsCall::Reset { hard: false },
        CsmsCall::Trigger { message: Trigger::Heartbeat, connector: None },
        CsmsCall::UnlockConnector { connector: 1 },
        CsmsCall::ReserveNow {
            connector: 1,
            until: shared::units::Timestamp(0),
            id_tag: String::new(),
            parent: None,
            reservation: 1,
        },
        CsmsCall::CancelReservation { reservation: 1 },
        CsmsCall::SetChargingProfile { connector: 1, profile, transaction: None },
        CsmsCall::ClearChargingProfile(ProfileFilter::default()),
        CsmsCall::GetCompositeSchedule { connector: 1, duration_s: 60, unit: None },
        CsmsCall::List(ListCall::GetVersion),
        CsmsCall::List(ListCall::Send { version: 1, full: true, entries: Vec::new() }),
    ];
    calls.extend(files);
    calls.extend(certificates);
    calls
}

fn one_of<T: std::fmt::Debug>(values: BoxedStrategy<T>) -> T {
    values.new_tree(&mut TestRunner::deterministic()).expect("values without a condition").current()
}

fn confirmation() -> impl Strategy<Value = Confirmation> {
    let verdict = prop_oneof![
        8 => select(VERDICTS).prop_map(Verdict::read),
        1 => text(20).prop_map(Verdict::Other),
    ];
    let key = (text(50), option::of(text(500)), any::<bool>())
        .prop_map(|(key, value, readonly)| ConfigurationKey { key, value, readonly });
    let keys = prop::collection::vec(key, 0..4);
    let unknown = prop::collection::vec(text(50), 0..3);
    let certificates = prop::collection::vec(certificate_hash(), 0..3);
    let told = (option::of(composite()), option::of(text(255)), option::of(any::<i32>()), certificates);
    (verdict, option::of(text(600)), keys, unknown, told).prop_map(
        |(verdict, data, configuration, unknown_keys, (schedule, file_name, list_version, certificates))| {
            Confirmation {
                certificates,
                file_name,
                list_version,
                verdict: Some(verdict),
                data,
                configuration,
                unknown_keys,
                schedule,
            }
        },
    )
}

/// The words with which stations answer.
const VERDICTS: &[&str] = &[
    "Accepted",
    "Rejected",
    "Scheduled",
    "RebootRequired",
    "NotSupported",
    "NotImplemented",
    "Unlocked",
    "UnlockFailed",
    "UnknownMessageId",
    "UnknownVendorId",
    "Occupied",
    "Faulted",
    "Unavailable",
    "Unknown",
    "Failed",
    "VersionMismatch",
    "NotFound",
];
