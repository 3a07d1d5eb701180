//! Random values in the vocabulary's types.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use shared::id::{EvseNo, SessionId};
use shared::model::charging::{
    ChargingKind, ChargingPeriod, ChargingProfile, ChargingPurpose, ChargingSchedule, CompositeSchedule,
    ProfileFilter, PurposeKind, RateUnit,
};
use shared::model::security::{CertificateHash, HashAlgorithm};
use shared::units::{Timestamp, Wh};

/// A text around a limit of `longest` characters, often at it and sometimes beyond.
pub(crate) fn text(longest: usize) -> BoxedStrategy<String> {
    prop_oneof![
        5 => "[A-Za-z0-9]{1,12}".boxed(),
        2 => vec(prop::char::any(), 0..=longest + 1).prop_map(String::from_iter).boxed(),
        1 => Just("x".repeat(longest)).boxed(),
        1 => Just("é".repeat(longest)).boxed(),
    ]
    .boxed()
}

/// An instant between 1970 and 2100.
pub(crate) fn instant() -> BoxedStrategy<Timestamp> {
    (0..4_102_444_800_000_i64).prop_map(Timestamp).boxed()
}

/// A register, also one that no counter shows.
pub(crate) fn register() -> BoxedStrategy<Wh> {
    prop_oneof![0..10_000_000_i64, any::<i64>()].prop_map(Wh).boxed()
}

pub(crate) fn profile() -> BoxedStrategy<ChargingProfile> {
    let kind = prop_oneof![
        Just(ChargingKind::Absolute),
        Just(ChargingKind::Daily),
        Just(ChargingKind::Weekly),
        Just(ChargingKind::Relative)
    ];
    let purpose = prop_oneof![
        Just(ChargingPurpose::Station),
        Just(ChargingPurpose::Default),
        Just(ChargingPurpose::Session(SessionId(uuid::Uuid::nil())))
    ];
    let valid = (option::of(instant()), option::of(instant()));
    (any::<i32>(), any::<u16>(), purpose, kind, valid, schedule())
        .prop_map(|(id, stack_level, purpose, kind, (valid_from, valid_to), schedule)| ChargingProfile {
            id,
            stack_level,
            purpose,
            kind,
            valid_from,
            valid_to,
            schedule,
        })
        .boxed()
}

pub(crate) fn schedule() -> BoxedStrategy<ChargingSchedule> {
    let period = (any::<u32>(), any::<u32>(), option::of(any::<u8>()))
        .prop_map(|(start_s, limit_tenths, phases)| ChargingPeriod { start_s, limit_tenths, phases });
    let least = option::of(any::<u32>());
    (unit(), option::of(instant()), option::of(any::<u32>()), least, vec(period, 0..6))
        .prop_map(|(unit, start, duration_s, min_rate_tenths, periods)| ChargingSchedule {
            unit,
            start,
            duration_s,
            min_rate_tenths,
            periods,
        })
        .boxed()
}

pub(crate) fn composite() -> BoxedStrategy<CompositeSchedule> {
    (option::of(instant()), schedule())
        .prop_map(|(start, schedule)| CompositeSchedule { start, schedule })
        .boxed()
}

pub(crate) fn filter() -> BoxedStrategy<ProfileFilter> {
    let purpose =
        prop_oneof![Just(PurposeKind::Station), Just(PurposeKind::Default), Just(PurposeKind::Session)];
    let evse = option::of(any::<u16>().prop_map(EvseNo));
    (option::of(any::<i32>()), evse, option::of(purpose), option::of(any::<u16>()))
        .prop_map(|(id, evse, purpose, stack_level)| ProfileFilter { id, evse, purpose, stack_level })
        .boxed()
}

pub(crate) fn unit() -> BoxedStrategy<RateUnit> {
    prop_oneof![Just(RateUnit::Amperes), Just(RateUnit::Watts)].boxed()
}

pub(crate) fn certificate_hash() -> impl Strategy<Value = CertificateHash> {
    let algorithm = select(vec![HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512]);
    (algorithm, text(128), text(128), text(40)).prop_map(|(algorithm, issuer_name, issuer_key, serial)| {
        CertificateHash { algorithm, issuer_name, issuer_key, serial }
    })
}
