//! Starts and stops that come twice, late, alone, or with no name.

use serde_json::json;
use shared::model::ConnectorStatus;
use shared::model::finding::Oddity;
use shared::model::session::SessionFlag;
use shared::units::Wh;

use super::bench::{Bench, MINUTE};

fn status(bench: &mut Bench, connector: u16, status: ConnectorStatus) {
    bench.call(
        "StatusNotification",
        json!({ "connectorId": connector, "errorCode": "NoError",
        "status": status.name() }),
    );
}

/// It told how many connectors it has.
fn with_connectors(number: u16) -> Bench {
    let mut bench = Bench::new();
    bench.answers(json!({ "configurationKey": [
        { "key": "NumberOfConnectors", "readonly": true, "value": number.to_string() },
    ] }));
    bench
}

fn stop_named(bench: &mut Bench, name: i64, meter: i64) {
    let at = bench.now.to_string();
    bench.call("StopTransaction", json!({ "transactionId": name, "meterStop": meter, "timestamp": at }));
}

#[test]
fn q50_readings_of_transaction_0_are_of_what_runs_there() {
    let mut bench = Bench::new();
    bench.start("CARD", 100);
    bench.meter(0, &[(350, 7000)]);
    bench.meter(-1, &[(400, 7000)]);
    let id = bench.starts()[0].session;
    assert_eq!(bench.session(id).energy, Wh(300));
    stop_named(&mut bench, 0, 500);
    bench.works();
}

#[test]
fn q51_a_stop_of_transaction_0_ends_the_only_session() {
    let mut bench = Bench::new();
    bench.start("CARD", 100);
    bench.pass(MINUTE);
    stop_named(&mut bench, 0, 500);
    assert_eq!(bench.ended(), [(400, vec![SessionFlag::UnknownTxRef])]);
    bench.works();
}

#[test]
fn q52_minus_one_is_no_transaction() {
    let mut bench = Bench::new();
    bench.start("CARD", 100);
    bench.pass(MINUTE);
    stop_named(&mut bench, -1, 500);
    assert_eq!(bench.ended(), [(400, vec![SessionFlag::UnknownTxRef])]);
    bench.works();
}

#[test]
fn q53_a_stop_of_an_unknown_transaction_is_kept_and_not_guessed() {
    let mut bench = Bench::new();
    let runs = bench.start("CARD", 100);
    stop_named(&mut bench, 4711, 900);
    assert_eq!((bench.unmatched(), bench.ended().len()), (1, 0));
    assert!(bench.found("StopTransaction", Oddity::NoSession));
    bench.stop(runs, 200);
    bench.works();
}

#[test]
fn q54_a_start_with_another_message_id_is_the_same() {
    let mut bench = Bench::new();
    let first = bench.start("CARD", 100);
    assert_eq!(bench.start("CARD", 100), first);
    assert_eq!(bench.starts().len(), 1);
    bench.stop(first, 150);
    bench.works();
}

#[test]
fn q55_a_start_sent_again_on_a_new_line_is_the_same() {
    let mut bench = Bench::new();
    let at = bench.now.to_string();
    let begun = json!({ "connectorId": 1, "idTag": "CARD", "meterStart": 7, "timestamp": at });
    let first = bench.call("StartTransaction", begun.clone());
    bench.leave();
    bench.pass(5 * MINUTE);
    bench.connect();
    assert_eq!(bench.call("StartTransaction", begun), first);
    assert_eq!(bench.starts().len(), 1);
    bench.stop(first["transactionId"].as_i64().unwrap(), 10);
    bench.works();
}

#[test]
fn q56_a_message_at_once_again_gets_the_same_answer() {
    let mut bench = Bench::new();
    let text = r#"[2,"again","StartTransaction",{"connectorId":1,"idTag":"CARD","meterStart":7}]"#;
    let first = bench.say(text);
    assert_eq!(bench.say(text), first);
    assert_eq!(bench.starts().len(), 1);
    bench.stop(first[2]["transactionId"].as_i64().unwrap(), 10);
    bench.works();
}

#[test]
fn q58_of_two_stops_the_first_counts() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 0);
    bench.pass(MINUTE);
    bench.stop(transaction, 100);
    bench.stop(transaction, 100);
    assert!(!bench.found("StopTransaction", Oddity::Conflict));
    bench.stop(transaction, 700);
    assert_eq!(bench.ended().len(), 1);
    assert!(bench.found("StopTransaction", Oddity::Conflict));
    bench.works();
}

#[test]
fn q59_a_stop_alone_implies_its_start() {
    let mut bench = with_connectors(1);
    let (began, ended) = (bench.now.plus_millis(-20 * MINUTE).to_string(), bench.now.to_string());
    bench.call(
        "StopTransaction",
        json!({ "transactionId": 0, "idTag": "CARD", "meterStop": 5_000, "timestamp": ended,
        "transactionData": [{ "timestamp": began, "sampledValue": [{ "value": "1000" }] }] }),
    );
    assert_eq!(bench.ended()[0].0, 4_000);
    assert_eq!(bench.starts()[0].flags, [SessionFlag::StartReconstructed]);
    assert_eq!(bench.unmatched(), 0);

    // The same from what the meter said while nothing ran.
    let mut bench = with_connectors(1);
    bench.meter(-1, &[(1_000, 0)]);
    bench.pass(MINUTE);
    stop_named(&mut bench, -1, 1_800);
    stop_named(&mut bench, -1, 1_800);
    assert_eq!((bench.ended().len(), bench.ended()[0].0), (1, 800), "once");
    assert_eq!(bench.unmatched(), 1);
    bench.works();
}

#[test]
fn q59_a_stop_that_could_be_of_two_connectors_is_not_guessed() {
    let mut bench = with_connectors(2);
    bench.meter(-1, &[(1_000, 0)]);
    stop_named(&mut bench, -1, 1_800);
    assert_eq!((bench.ended().len(), bench.unmatched()), (0, 1));
}

#[test]
fn q67_readings_without_a_session_are_kept_in_mind() {
    let mut bench = Bench::new();
    let at = bench.now.to_string();
    let value = json!({ "timestamp": at, "sampledValue": [{ "value": "77" }] });
    for connector in [0, 1] {
        assert_eq!(
            bench.call("MeterValues", json!({ "connectorId": connector, "meterValue": [value] })),
            json!({})
        );
    }
    bench.works();
}

#[test]
fn q70_a_session_without_an_end_is_closed_when_its_connector_is_free() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 0);
    bench.meter(transaction, &[(800, 7000)]);
    bench.boot();
    status(&mut bench, 1, ConnectorStatus::Available);
    bench.pass(10 * MINUTE);
    assert!(bench.ended().is_empty(), "its end may yet come");
    bench.pass(10 * MINUTE);
    assert_eq!(bench.ended(), [(800, vec![SessionFlag::UnknownTxRef])]);

    // One that goes on after the boot goes on here.
    let transaction = bench.start("CARD", 1_000);
    bench.boot();
    status(&mut bench, 1, ConnectorStatus::Available);
    bench.meter(transaction, &[(1_500, 7000)]);
    bench.pass(60 * MINUTE);
    assert_eq!(bench.ended().len(), 1);
    bench.stop(transaction, 2_000);
    assert_eq!(bench.ended()[1].0, 1_000);
    bench.works();
}

#[test]
fn q75_a_refused_start_says_to_unplug_first() {
    let mut bench = Bench::new();
    status(&mut bench, 1, ConnectorStatus::Finishing);
    let body = shared::model::CommandBody::RemoteStart {
        evse: Some(shared::id::EvseNo(1)),
        token: shared::model::IdToken::new("CARD"),
    };
    bench.order(body);
    bench.answers(json!({ "status": "Rejected" }));
    assert!(bench.results.last().unwrap().detail.starts_with("unplug the cable first"));
    bench.works();
}

#[test]
fn q84_transactions_have_numbers_that_rise_and_are_never_0() {
    let mut bench = Bench::new();
    let first = bench.start("CARD", 0);
    assert!(first > 0);
    stop_named(&mut bench, first + 1000, 5);
    bench.stop(first, 10);
    assert!(bench.start("CARD", 20) > first + 1000, "above any that the charger was seen to use");
}
