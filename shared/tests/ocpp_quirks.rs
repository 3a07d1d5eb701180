//! What real 1.6 stations send, one test per row of quirks: the record survives, and what was odd is told.

use serde_json::value::RawValue;
use shared::ocpp::ErrorCode;
use shared::ocpp::lenient::{Read, Severity, Time, Zone};
use shared::ocpp::v16::station_call::{Start, Stop};
use shared::ocpp::v16::{StationCall, Status, StopReason};
use shared::units::{Timestamp, Wh};

fn read(action: &str, payload: &str) -> Read<StationCall> {
    let raw = RawValue::from_string(payload.to_owned()).expect("the fixture is JSON");
    StationCall::read(action, &raw).expect("a Core action")
}

fn start(payload: &str) -> Read<Start> {
    let read = read("StartTransaction", payload);
    let StationCall::StartTransaction(value) = read.value else { panic!("{payload}") };
    Read { value, findings: read.findings }
}

fn stop(payload: &str) -> Read<Stop> {
    let read = read("StopTransaction", payload);
    let StationCall::StopTransaction(value) = read.value else { panic!("{payload}") };
    Read { value: *value, findings: read.findings }
}

fn softly<T>(read: &Read<T>) -> bool {
    !read.findings.is_empty() && read.findings.iter().all(|finding| finding.severity == Severity::Soft)
}

const NOON: Time = Time { at: Timestamp(1_763_812_800_000), zone: Zone::Given };

#[test]
fn a_proper_start_has_no_findings() {
    let read = start(
        r#"{"connectorId":1,"idTag":"B4A63CDF","meterStart":1200,"timestamp":"2025-11-22T12:00:00Z","reservationId":3}"#,
    );
    let expected = Start {
        connector: Some(1),
        id_tag: Some("B4A63CDF".into()),
        meter_start: Some(Wh(1200)),
        at: Some(NOON),
        reservation: Some(3),
    };
    assert_eq!(read, Read { value: expected, findings: vec![] });
}

#[test]
fn a_proper_stop_has_no_findings() {
    let read = stop(
        r#"{"transactionId":7,"idTag":"B4","meterStop":9000,"timestamp":"2025-11-22T12:00:00Z","reason":"EVDisconnected",
            "transactionData":[{"timestamp":"2025-11-22T11:00:00Z","sampledValue":[{"value":"8000"}]}]}"#,
    );
    assert!(read.findings.is_empty(), "{:?}", read.findings);
    assert_eq!(read.value.reason, StopReason::EvDisconnected);
    assert_eq!(read.value.readings[0].register, Some(Wh(8000)));
}

#[test]
fn an_empty_start_is_read_and_doubted() {
    let read = start("{}");
    assert_eq!(read.value, Start::default());
    assert!(read.is_doubtful());
    assert_eq!(read.findings.len(), 4);
    assert!(start("[]").is_doubtful());
    assert!(start("null").is_doubtful());
}

#[test]
fn q20_q21_a_boot_with_empty_and_overlong_texts() {
    let long = "S".repeat(40);
    let read = read(
        "BootNotification",
        &format!(r#"{{"chargePointVendor":"","chargePointModel":"M","chargePointSerialNumber":"{long}"}}"#),
    );
    assert!(softly(&read));
    let StationCall::BootNotification(boot) = read.value else { panic!() };
    assert_eq!((boot.vendor, boot.serial), (None, Some(long)));
}

#[test]
fn q22_the_housing_number_stands_in_for_the_station_number() {
    let read = read(
        "BootNotification",
        r#"{"chargePointVendor":"V","chargePointModel":"M","chargeBoxSerialNumber":"box-1"}"#,
    );
    let StationCall::BootNotification(boot) = read.value else { panic!() };
    assert_eq!(boot.serial.as_deref(), Some("box-1"));
}

#[test]
fn q27_kwh_and_an_object_for_a_list() {
    let read = read(
        "MeterValues",
        r#"{"connectorId":1,"transactionId":5,"meterValue":{"timestamp":"2025-11-22T12:00:00Z",
            "sampledValue":[{"value":"1.25","unit":"kWh"}]}}"#,
    );
    assert!(softly(&read));
    let StationCall::MeterValues(values) = read.value else { panic!() };
    assert_eq!(values.readings[0].register, Some(Wh(1250)));
}

#[test]
fn q32_q37_unknown_enumeration_values() {
    let read = read("StatusNotification", r#"{"connectorId":1,"status":"Melting","errorCode":"NoError"}"#);
    assert!(softly(&read));
    let StationCall::StatusNotification(notification) = read.value else { panic!() };
    assert_eq!((notification.status, notification.error), (None, None));
    let stop =
        stop(r#"{"transactionId":1,"meterStop":1,"timestamp":"2025-11-22T12:00:00Z","reason":"Bored"}"#);
    assert_eq!(stop.value.reason, StopReason::Other);
    assert!(softly(&stop));
}

#[test]
fn q33_q37_long_info_and_odd_case() {
    let info = "i".repeat(300);
    let read = read(
        "StatusNotification",
        &format!(r#"{{"connectorId":"1","status":" suspendedev","errorCode":"OtherError","info":"{info}"}}"#),
    );
    assert!(softly(&read));
    let StationCall::StatusNotification(notification) = read.value else { panic!() };
    assert_eq!((notification.connector, notification.status), (Some(1), Some(Status::SuspendedEv)));
    assert_eq!((notification.info, notification.error.as_deref()), (Some(info), Some("OtherError")));
}

#[test]
fn q34_extra_fields_are_ignored() {
    let read = read("Authorize", r#"{"idTag":"ABC","connectorId":1,"nested":{"a":[1,{"b":2}]}}"#);
    assert_eq!(read.value, StationCall::Authorize { id_tag: Some("ABC".into()) });
    assert!(read.findings.is_empty());
}

#[test]
fn q38_q41_a_tag_with_garbage_is_kept_as_it_came() {
    let stop = stop(
        r#"{"transactionId":4,"idTag":"ABCDEFGHIJKLMNOPQRST\ud812","meterStop":10,"timestamp":"2025-11-22T12:00:00Z"}"#,
    );
    assert!(softly(&stop));
    assert!(stop.value.id_tag.is_some_and(|tag| tag.starts_with("ABCDEFGHIJKLMNOPQRST")));
    let spaced = read("Authorize", r#"{"idTag":" 0412AB"}"#);
    assert_eq!(spaced.value, StationCall::Authorize { id_tag: Some(" 0412AB".into()) });
}

#[test]
fn q43_a_time_without_zone_is_assumed_to_be_utc() {
    let read = start(r#"{"connectorId":1,"idTag":"A","meterStart":1,"timestamp":"2025-11-22T12:00:00.000"}"#);
    assert!(softly(&read));
    assert_eq!(read.value.at, Some(Time { at: NOON.at, zone: Zone::AssumedUtc }));
}

#[test]
fn q50_q51_q52_no_transaction_has_several_spellings() {
    for id in ["0", "-1", "\"\"", "null", "\"0\"", "99999999999"] {
        let payload = format!(r#"{{"transactionId":{id},"meterStop":5,"timestamp":"2025-11-22T12:00:00Z"}}"#);
        let stop = stop(&payload);
        assert_eq!((stop.value.transaction, stop.value.meter_stop), (None, Some(Wh(5))), "{id}");
        assert!(stop.is_doubtful(), "{id}");
        let values =
            read("MeterValues", &format!(r#"{{"connectorId":2,"transactionId":{id},"meterValue":[]}}"#));
        let StationCall::MeterValues(values) = values.value else { panic!() };
        assert_eq!((values.connector, values.transaction), (Some(2), None), "{id}");
    }
}

#[test]
fn q61_a_negative_register_is_no_register() {
    let stop = stop(r#"{"transactionId":1,"meterStop":-1,"timestamp":"2025-11-22T12:00:00Z"}"#);
    assert_eq!(stop.value.meter_stop, None);
    assert!(stop.is_doubtful());
}

#[test]
fn numbers_in_other_clothes_are_numbers() {
    for number in ["1200", "1200.0", "\"1200\"", "\" 1200 \"", "1.2e3", "\"1200,0\""] {
        let read = start(&format!(
            r#"{{"connectorId":1,"idTag":12345,"meterStart":{number},"timestamp":"2025-11-22T12:00:00Z"}}"#
        ));
        assert_eq!(read.value.meter_start, Some(Wh(1200)), "{number}");
        assert_eq!(read.value.id_tag.as_deref(), Some("12345"));
        assert!(softly(&read));
    }
}

#[test]
fn a_repeated_member_counts_once() {
    let read = start(
        r#"{"connectorId":1,"idTag":"A","meterStart":1,"meterStart":2,"timestamp":"2025-11-22T12:00:00Z"}"#,
    );
    assert_eq!(read.value.meter_start, Some(Wh(2)));
}

#[test]
fn q82_a_vendor_message_may_carry_a_structure() {
    let read = read("DataTransfer", r#"{"vendorId":"V","data":{"a":1}}"#);
    let StationCall::DataTransfer(transfer) = read.value else { panic!() };
    assert_eq!(transfer.data.as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn unknown_actions_are_told_apart() {
    let empty = RawValue::from_string("{}".into()).expect("JSON");
    assert_eq!(StationCall::read("Reset", &empty), Err(ErrorCode::NotSupported));
    assert_eq!(StationCall::read("NotifyEvent", &empty), Err(ErrorCode::NotImplemented));
}
