//! From the first word to the first session.

use serde_json::json;
use shared::model::ConnectorStatus;
use shared::model::event::Event;
use shared::model::finding::Oddity;
use shared::model::quirks::{StationQuirks, Suggestion};

use super::bench::{Bench, MINUTE, station};

fn asked(bench: &Bench, what: &str) -> usize {
    bench.asked.iter().filter(|(_, _, payload)| payload["requestedMessage"] == what).count()
}

#[test]
fn q08_a_burst_of_connections_is_asked_once_when_it_is_over() {
    let mut bench = Bench::cold(StationQuirks::default());
    for _ in 0..5 {
        bench.boot();
        bench.pass(1_000);
        bench.leave();
    }
    assert!(bench.asked.is_empty(), "{:?}", bench.asked);
    bench.boot();
    bench.pass(10_000);
    assert_eq!(asked(&bench, "StatusNotification"), 1);
    bench.works();
}

#[test]
fn q13_a_charger_that_takes_its_time_is_no_failure() {
    let mut bench = Bench::cold(StationQuirks::default());
    let before = bench.events.len();
    bench.pass(25 * MINUTE);
    assert_eq!(bench.events.len(), before, "nobody is alarmed");
    bench.boot();
    bench.works();
}

#[test]
fn q14_whoever_talks_before_it_boots_is_answered_and_asked_to_boot_once() {
    let mut bench = Bench::cold(StationQuirks::default());
    bench.connect();
    assert!(bench.start("CARD", 0) > 0);
    bench.pass(5 * MINUTE);
    assert_eq!(asked(&bench, "BootNotification"), 1);
}

#[test]
fn q15_one_that_never_boots_is_asked_after_a_while_and_works_without() {
    let mut bench = Bench::cold(StationQuirks::default());
    bench.connect();
    bench.pass(20_000);
    assert!(bench.asked.is_empty());
    bench.pass(15_000);
    assert_eq!(asked(&bench, "BootNotification"), 1);
    bench.works();
}

#[test]
fn q16_nothing_is_asked_before_the_boot() {
    let mut bench = Bench::cold(StationQuirks::default());
    bench.connect();
    bench.order(shared::model::CommandBody::ClearCache);
    assert!(bench.asked.is_empty());
    bench.call("BootNotification", json!({ "chargePointVendor": "V", "chargePointModel": "M" }));
    assert_eq!(bench.asked[0].1, "ClearCache");
    bench.works();
}

#[test]
fn q17_a_demand_to_boot_is_rare_and_can_be_forbidden() {
    let mut bench = Bench::cold(StationQuirks::default());
    for _ in 0..3 {
        bench.connect();
        bench.pass(35_000);
        bench.leave();
        bench.pass(11 * MINUTE);
    }
    assert_eq!(bench.suggested(), [Suggestion::NeverTriggerBoot], "it leaves each time");
    let before = asked(&bench, "BootNotification");
    bench.know(2, StationQuirks { never_trigger_boot: true, ..StationQuirks::default() });
    bench.connect();
    bench.pass(20 * MINUTE);
    assert_eq!(asked(&bench, "BootNotification"), before);
    bench.works();
}

#[test]
fn q18_settings_are_asked_for_at_once() {
    let bench = Bench::new();
    let questions: Vec<_> =
        bench.asked.iter().filter(|(_, action, _)| *action == "GetConfiguration").collect();
    assert_eq!(questions.len(), 1);
    assert!(questions[0].2.get("key").is_none(), "all of them: {:?}", questions[0].2);
}

#[test]
fn q19_a_pending_station_is_answered_and_nobody_is_billed() {
    let mut bench = Bench::cold(StationQuirks::default());
    let body = shared::model::document::DocumentBody::Admission(shared::model::onboarding::AdmissionDoc {
        held: vec![station()],
        ..Default::default()
    });
    bench.input(edge_agent::core::Input::Document(shared::sync::Document { version: 1, body }));
    assert_eq!(bench.boot()["status"], "Pending");
    let transaction = bench.start("CARD", 0);
    bench.stop(transaction, 100);
    assert_eq!(bench.ended().len(), 1, "it is kept");
    assert_ne!(bench.starts()[0].auth, shared::model::AuthStatus::Accepted);
}

#[test]
fn q20_an_empty_vendor_is_no_reason_to_refuse() {
    let mut bench = Bench::cold(StationQuirks::default());
    bench.connect();
    let answer = bench.call("BootNotification", json!({ "chargePointVendor": "", "chargePointModel": "M" }));
    assert_eq!(answer["status"], "Accepted");
    bench.works();
}

#[test]
fn q21_a_long_serial_number_is_kept_whole_and_noted() {
    let mut bench = Bench::cold(StationQuirks::default());
    let serial = "S".repeat(40);
    bench.connect();
    bench.call(
        "BootNotification",
        json!({ "chargePointVendor": "V", "chargePointModel": "M",
        "chargePointSerialNumber": serial }),
    );
    assert_eq!(bench.core.stations[&station()].info.as_ref().unwrap().serial.as_ref(), Some(&serial));
    assert!(bench.found("BootNotification", Oddity::TooLong));
    bench.works();
}

#[test]
fn q22_a_serial_number_says_nothing_about_who_it_is() {
    let mut bench = Bench::cold(StationQuirks::default());
    for _ in 0..2 {
        bench.connect();
        bench.call(
            "BootNotification",
            json!({ "chargePointVendor": "V", "chargePointModel": "M",
            "chargePointSerialNumber": "unknown" }),
        );
    }
    assert_eq!(bench.core.stations.len(), 1);
    bench.works();
}

#[test]
fn q74_a_connector_that_never_reports_charges_as_its_session_shows() {
    let mut bench = Bench::new();
    bench.call(
        "StatusNotification",
        json!({ "connectorId": 0, "errorCode": "NoError", "status": "Available" }),
    );
    let statuses = |bench: &Bench| -> Vec<ConnectorStatus> {
        let told = bench.events.iter().filter_map(|event| match event {
            Event::StatusChanged(it) if it.evse.is_some() => Some(it.status),
            _ => None,
        });
        told.collect()
    };
    let transaction = bench.start("CARD", 0);
    assert_eq!(statuses(&bench), [ConnectorStatus::Charging]);
    bench.stop(transaction, 10);
    assert_eq!(statuses(&bench), [ConnectorStatus::Charging, ConnectorStatus::Finishing]);
    bench.works();
}

#[test]
fn q83_a_flood_of_boots_is_answered_from_memory() {
    let mut bench = Bench::new();
    let boot = json!({ "chargePointVendor": "V", "chargePointModel": "M" });
    bench.call("BootNotification", boot.clone());
    let (events, asked) = (bench.events.len(), bench.asked.len());
    for _ in 0..100 {
        bench.pass(10_000);
        assert_eq!(bench.call("BootNotification", boot.clone())["status"], "Accepted");
    }
    assert_eq!((bench.events.len(), bench.asked.len()), (events, asked));
    bench.works();
}
