//! What the gateway writes: requests, and answers to stations.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use shared::ocpp::v16::reply::{self, Registration, TagInfo, TagStatus, Transferred};
use shared::ocpp::v16::{CsmsCall, ListCall, ListEntry, Trigger};

use super::values::{filter, instant, profile, text, unit};
use super::{Lines, file, security};

pub(crate) fn write(out: &mut Lines) -> anyhow::Result<()> {
    for calls in [core(), smart_charging(), files(), security(), others()].into_iter().flatten() {
        out.many(("agent", "request"), calls, |call| Some((call.action(), call.payload().ok()?)))?;
    }
    answers(out)
}

fn core() -> Vec<BoxedStrategy<CsmsCall>> {
    let connector = any::<u16>;
    vec![
        (connector(), any::<bool>())
            .prop_map(|(connector, operative)| CsmsCall::ChangeAvailability { connector, operative })
            .boxed(),
        (text(50), text(500)).prop_map(|(key, value)| CsmsCall::ChangeConfiguration { key, value }).boxed(),
        Just(CsmsCall::ClearCache).boxed(),
        (text(255), option::of(text(50)), option::of(text(600)))
            .prop_map(|(vendor, message, data)| CsmsCall::DataTransfer { vendor, message, data })
            .boxed(),
        prop::collection::vec(text(50), 0..4).prop_map(|keys| CsmsCall::GetConfiguration { keys }).boxed(),
        (option::of(connector()), text(20))
            .prop_map(|(connector, id_tag)| CsmsCall::RemoteStart { connector, id_tag })
            .boxed(),
        any::<i32>().prop_map(|transaction| CsmsCall::RemoteStop { transaction }).boxed(),
        any::<bool>().prop_map(|hard| CsmsCall::Reset { hard }).boxed(),
        connector().prop_map(|connector| CsmsCall::UnlockConnector { connector }).boxed(),
    ]
}

fn smart_charging() -> Vec<BoxedStrategy<CsmsCall>> {
    vec![
        (any::<u16>(), profile(), option::of(any::<i32>()))
            .prop_map(|(connector, profile, transaction)| CsmsCall::SetChargingProfile {
                connector,
                profile,
                transaction,
            })
            .boxed(),
        filter().prop_map(CsmsCall::ClearChargingProfile).boxed(),
        (any::<u16>(), any::<u32>(), option::of(unit()))
            .prop_map(|(connector, duration_s, unit)| CsmsCall::GetCompositeSchedule {
                connector,
                duration_s,
                unit,
            })
            .boxed(),
    ]
}

fn files() -> Vec<BoxedStrategy<CsmsCall>> {
    file::calls().into_iter().map(|calls| calls.prop_map(CsmsCall::File).boxed()).collect()
}

fn security() -> Vec<BoxedStrategy<CsmsCall>> {
    security::calls().into_iter().map(|calls| calls.prop_map(CsmsCall::Security).boxed()).collect()
}

fn others() -> Vec<BoxedStrategy<CsmsCall>> {
    let reserve = (any::<u16>(), instant(), text(20), option::of(text(20)), any::<i32>());
    vec![
        (select(Trigger::ALL), option::of(any::<u16>()))
            .prop_map(|(message, connector)| CsmsCall::Trigger { message, connector })
            .boxed(),
        reserve
            .prop_map(|(connector, until, id_tag, parent, reservation)| CsmsCall::ReserveNow {
                connector,
                until,
                id_tag,
                parent,
                reservation,
            })
            .boxed(),
        any::<i32>().prop_map(|reservation| CsmsCall::CancelReservation { reservation }).boxed(),
        Just(CsmsCall::List(ListCall::GetVersion)).boxed(),
        (any::<i32>(), any::<bool>(), prop::collection::vec(list_entry(), 0..4))
            .prop_map(|(version, full, entries)| CsmsCall::List(ListCall::Send { version, full, entries }))
            .boxed(),
    ]
}

fn list_entry() -> impl Strategy<Value = ListEntry> {
    (text(20), option::of(tag_info())).prop_map(|(id_tag, info)| ListEntry { id_tag, info })
}

fn answers(out: &mut Lines) -> anyhow::Result<()> {
    let to = ("agent", "response");
    out.many(to, tag_info(), |info| Some(("Authorize", reply::authorize(&info))))?;
    let registration = select(vec![Registration::Accepted, Registration::Pending, Registration::Rejected]);
    out.many(to, (registration, instant(), any::<u16>()), |(status, now, interval)| {
        Some(("BootNotification", reply::boot(status, now, interval)))
    })?;
    let transferred = select(vec![
        Transferred::Accepted,
        Transferred::Rejected,
        Transferred::UnknownMessageId,
        Transferred::UnknownVendorId,
    ]);
    out.many(to, (transferred, option::of(text(600))), |(status, data)| {
        Some(("DataTransfer", reply::data_transfer(status, data)))
    })?;
    out.many(to, instant(), |now| Some(("Heartbeat", reply::heartbeat(now))))?;
    out.many(to, (any::<i32>(), tag_info()), |(transaction, info)| {
        Some(("StartTransaction", reply::start_transaction(transaction, &info)))
    })?;
    out.many(to, option::of(tag_info()), |info| {
        Some(("StopTransaction", reply::stop_transaction(info.as_ref())))
    })?;
    out.many(to, any::<bool>(), |accepted| Some(("SignCertificate", reply::sign_certificate(accepted))))?;
    for action in EMPTY {
        out.many(to, Just(()), |()| Some((action, reply::empty())))?;
    }
    Ok(())
}

/// The messages whose answer says nothing.
const EMPTY: [&str; 7] = [
    "MeterValues",
    "StatusNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "SignedFirmwareStatusNotification",
    "SecurityEventNotification",
];

fn tag_info() -> impl Strategy<Value = TagInfo> {
    let status = select(vec![
        TagStatus::Accepted,
        TagStatus::Blocked,
        TagStatus::Expired,
        TagStatus::Invalid,
        TagStatus::ConcurrentTx,
    ]);
    (status, option::of(instant()), option::of(text(20))).prop_map(|(status, expires_at, parent)| TagInfo {
        status,
        expires_at,
        parent,
    })
}
