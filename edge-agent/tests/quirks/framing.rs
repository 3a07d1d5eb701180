//! JSON that is none, fields that are missing, lists that are not.

use serde_json::{Value, json};
use shared::model::finding::Oddity;
use shared::model::quirks::{StationQuirks, Suggestion};
use shared::units::{MilliAmps, Wh};

use super::bench::{Bench, NOON};

#[test]
fn q24_a_frame_that_is_none_does_not_disturb_the_next() {
    let mut bench = Bench::new();
    assert_eq!(bench.say(r#"[,{"connectorId":1}]"#)[0], 4, "nobody's call");
    bench.works();
}

#[test]
fn q25_a_missing_value_in_a_stop_is_mended() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 100);
    let at = bench.now;
    let answer = bench.say(&format!(
        r#"[2,"x","StopTransaction",{{"transactionId":,"meterStop":600,"timestamp":"{at}"}}]"#
    ));
    assert_eq!(answer[0], 3);
    assert!(transaction > 0 && bench.ended()[0].0 == 500, "{:?}", bench.ended());
    bench.works();
}

#[test]
fn q26_settings_that_do_not_fit_are_asked_for_ten_at_a_time() {
    let mut bench = Bench::new();
    assert_eq!(bench.ignores(), "GetConfiguration");
    let (_, asked) = bench.answers(
        json!({ "configurationKey": [{ "key": "HeartbeatInterval", "readonly": false, "value": "60" }] }),
    );
    assert_eq!(asked["key"].as_array().unwrap().len(), 10);
    while bench.asked.last().is_some_and(|(_, action, _)| *action == "GetConfiguration") {
        bench.answers(json!({ "unknownKey": ["x"] }));
    }
    assert_eq!(bench.suggested(), [Suggestion::ConfigurationKeys { at_once: 10 }]);

    let known = StationQuirks { configuration_keys: Some(5), ..StationQuirks::default() };
    let bench = Bench::with(known);
    let (_, action, asked) = bench.asked.last().unwrap();
    assert_eq!((*action, asked["key"].as_array().unwrap().len()), ("GetConfiguration", 5));
}

fn read(samples: Value) -> (Bench, Option<Wh>) {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 0);
    let at = bench.now;
    let value = json!({ "timestamp": at.to_string(), "sampledValue": samples });
    bench.call(
        "MeterValues",
        json!({ "connectorId": 1, "transactionId": transaction, "meterValue": [value] }),
    );
    let id = bench.starts()[0].session;
    let register = bench.session(id).last.and_then(|last| last.register);
    (bench, register)
}

#[test]
fn q27_an_object_for_a_list_is_one() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 0);
    let at = bench.now;
    let value = json!({ "timestamp": at.to_string(), "sampledValue": { "value": "1.5", "unit": "kWh" } });
    bench.call("MeterValues", json!({ "connectorId": 1, "transactionId": transaction, "meterValue": value }));
    let id = bench.starts()[0].session;
    assert_eq!(bench.session(id).energy, Wh(1500));
    assert!(bench.found("MeterValues", Oddity::WrongType));
    bench.stop(transaction, 2000);
    bench.works();
}

#[test]
fn q28_no_samples_are_no_reading() {
    let (mut bench, register) = read(json!([]));
    assert_eq!(register, None);
    bench.works();
}

#[test]
fn q30_padded_numbers_count() {
    assert_eq!(read(json!([{ "value": " 0.0" }])).1, Some(Wh(0)));
    assert_eq!(read(json!([{ "value": "1,5", "unit": "kWh" }])).1, Some(Wh(1500)));
    assert_eq!(read(json!([{ "value": "1.234,5" }])).1, None);
}

#[test]
fn q31_an_empty_value_is_not_zero() {
    let (mut bench, register) = read(json!([{ "value": "" }]));
    assert_eq!(register, None);
    bench.works();
}

#[test]
fn q32_what_nobody_knows_is_passed_over() {
    let (mut bench, register) = read(json!([
        { "value": "7", "context": "Sample.Strange" },
        { "value": "9", "measurand": "Power.Of.Love" },
    ]));
    assert_eq!(register, Some(Wh(7)));
    assert!(bench.found("MeterValues", Oddity::NotAllowed));
    bench.works();
}

#[test]
fn q33_a_long_text_is_kept_and_noted() {
    let mut bench = Bench::new();
    let info = "i".repeat(3000);
    bench.call(
        "StatusNotification",
        json!({ "connectorId": 1, "errorCode": "OtherError", "status": "Faulted",
        "info": info, "vendorErrorCode": info }),
    );
    assert!(bench.found("StatusNotification", Oddity::TooLong));
    bench.call(
        "StatusNotification",
        json!({ "connectorId": 1, "errorCode": "NoError", "status": "Preparing" }),
    );
    bench.works();
}

#[test]
fn q34_fields_that_nobody_knows_are_ignored() {
    let mut bench = Bench::new();
    let answer = bench.call("Authorize", json!({ "idTag": "CARD", "connectorId": 1, "more": { "a": [1] } }));
    assert_eq!(answer["idTagInfo"]["status"], "Accepted");
    bench.works();
}

#[test]
fn q35_settings_are_known_in_any_case() {
    let mut bench = Bench::new();
    bench.answers(json!({ "configurationKey": [
        { "key": " numberofCONNECTORS ", "readonly": true, "value": " 2 " },
    ] }));
    let told = bench.events.iter().any(|event| matches!(event, shared::model::Event::SettingsRead(_)));
    assert!(told);
    let (_, register) = read(json!([{ "value": "3", "unit": "WH " }]));
    assert_eq!(register, Some(Wh(3)));
    let (bench, _) = read(json!([{ "value": "16", "measurand": "current.import", "unit": "a" }]));
    let id = bench.starts()[0].session;
    assert_eq!(bench.session(id).last.unwrap().current, Some(MilliAmps(16_000)));
}

#[test]
fn q37_a_status_in_any_case_and_empty_texts() {
    let mut bench = Bench::new();
    let at = NOON.to_string();
    bench.call(
        "StatusNotification",
        json!({ "connectorId": "1", "errorCode": "", "status": " suspendedev",
        "info": "", "vendorId": "", "timestamp": at }),
    );
    let known = &bench.core.stations[&super::bench::station()].connectors[&shared::id::EvseNo(1)];
    assert_eq!((known.status, known.error.as_ref()), (shared::model::ConnectorStatus::SuspendedEv, None));
    bench.works();
}

#[test]
fn q82_a_vendors_message_is_answered() {
    let mut bench = Bench::new();
    for payload in [json!({ "vendorId": "V", "messageId": "m", "data": { "a": 1 } }), json!({})] {
        assert_eq!(bench.call("DataTransfer", payload)["status"], "UnknownVendorId");
    }
    bench.works();
}
