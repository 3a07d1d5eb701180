//! Registers that lie.

use serde_json::json;
use shared::model::finding::Oddity;
use shared::model::quirks::{EnergyScale, StationQuirks, Suggestion};
use shared::model::session::SessionFlag;

use super::bench::{Bench, MINUTE};

#[test]
fn q61_a_register_of_minus_one_falls_back_to_the_readings() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 1_000);
    bench.meter(transaction, &[(1_500, 30_000), (2_000, 30_000)]);
    bench.stop(transaction, -1);
    assert_eq!(bench.ended()[0].0, 1_000);
    assert!(bench.found("StopTransaction", Oddity::Missing));

    // A start register of 0 at a meter with a life behind it.
    let transaction = bench.start("CARD", 0);
    bench.meter(transaction, &[(7_000_000, 30_000), (7_000_500, 30_000)]);
    bench.stop(transaction, 7_001_000);
    assert_eq!(bench.ended()[1].0, 1_000);
    bench.works();
}

#[test]
fn q62_a_register_that_fell_counts_what_it_rose() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 10_000);
    bench.meter(transaction, &[(10_400, 24_000), (10_800, 24_000), (0, 24_000), (400, 24_000)]);
    bench.stop(transaction, 800);
    assert_eq!(bench.ended(), [(1_600, vec![SessionFlag::RegisterReset])]);
    assert!(bench.found("StopTransaction", Oddity::RegisterReset));
    bench.works();
}

#[test]
fn q63_energy_is_never_negative() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 10_000);
    bench.stop(transaction, 4_000);
    assert_eq!(bench.ended(), [(0, vec![SessionFlag::RegisterWentBack])]);
    assert!(bench.found("StopTransaction", Oddity::RegisterWentBack));
    bench.works();
}

#[test]
fn q64_a_register_that_contradicts_the_power_is_flagged_and_can_be_scaled() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 100);
    let readings: Vec<(i64, i64)> = (1..=40).map(|minute| (100 + minute / 3, 20_000)).collect();
    bench.meter(transaction, &readings);
    bench.stop(transaction, 113);
    assert_eq!(bench.ended(), [(13, vec![SessionFlag::Implausible])]);
    assert!(bench.found("StopTransaction", Oddity::Implausible));
    assert_eq!(bench.suggested(), [Suggestion::EnergyScale(EnergyScale::KilowattHours)]);

    let energy_scale = EnergyScale::KilowattHours;
    let mut bench = Bench::with(StationQuirks { energy_scale, ..StationQuirks::default() });
    let transaction = bench.start("CARD", 100);
    bench.pass(MINUTE);
    let at = bench.now.to_string();
    let value = json!([{ "timestamp": at, "sampledValue": [{ "value": "100.25" }] }]);
    bench.call("MeterValues", json!({ "connectorId": 1, "transactionId": transaction, "meterValue": value }));
    let id = bench.starts()[0].session;
    assert_eq!(bench.session(id).energy.0, 250, "no digit is lost");
    bench.pass(60 * MINUTE);
    bench.stop(transaction, 111);
    assert_eq!(bench.ended(), [(11_000, vec![])]);
}

#[test]
fn q65_registers_of_phases_are_summed() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 0);
    let at = bench.now.to_string();
    let samples: Vec<_> = ["L1", "L2", "L3"].map(|phase| json!({ "value": "100", "phase": phase })).into();
    let value = json!([{ "timestamp": at, "sampledValue": samples }]);
    bench.call("MeterValues", json!({ "connectorId": 1, "transactionId": transaction, "meterValue": value }));
    let id = bench.starts()[0].session;
    assert_eq!(bench.session(id).energy.0, 300);
    bench.stop(transaction, 300);
    bench.works();
}
