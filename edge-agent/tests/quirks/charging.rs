//! Charging profiles that are refused, misunderstood or ignored.

use serde_json::{Value, json};
use shared::id::EvseNo;
use shared::model::charging::{
    ChargingKind, ChargingPeriod, ChargingProfile, ChargingPurpose, ChargingSchedule, RateUnit,
};
use shared::model::event::Event;
use shared::model::finding::Oddity;
use shared::model::quirks::{ChargingQuirks, ScheduleStart, StationQuirks, SteadyKind, Suggestion};
use shared::model::{CommandBody, Outcome};

use super::bench::{Bench, MINUTE, station};

/// 16 A from ten minutes ago, 10 A from now on.
pub(crate) fn profile(bench: &Bench, purpose: ChargingPurpose) -> ChargingProfile {
    let period = |start_s, limit_tenths| ChargingPeriod { start_s, limit_tenths, phases: None };
    ChargingProfile {
        id: 1,
        stack_level: 3,
        purpose,
        kind: ChargingKind::Absolute,
        valid_from: None,
        valid_to: None,
        schedule: ChargingSchedule {
            unit: RateUnit::Amperes,
            start: Some(bench.now.plus_millis(-10 * MINUTE)),
            duration_s: None,
            min_rate_tenths: None,
            periods: vec![period(0, 160), period(600, 105)],
        },
    }
}

fn limit(bench: &mut Bench, purpose: ChargingPurpose) {
    let profile = profile(bench, purpose);
    bench.order(CommandBody::SetChargingProfile { evse: Some(EvseNo(1)), profile });
}

/// The profile as a station with these peculiarities is asked for it.
fn asked(charging: ChargingQuirks) -> Value {
    let mut bench = Bench::with(StationQuirks { charging, ..StationQuirks::default() });
    limit(&mut bench, ChargingPurpose::Default);
    let (_, asked) = bench.answers(json!({ "status": "Accepted" }));
    bench.works();
    asked["csChargingProfiles"].clone()
}

#[test]
fn q76_a_level_is_capped() {
    assert_eq!(asked(ChargingQuirks::default())["stackLevel"], 3);
    assert_eq!(asked(ChargingQuirks { max_stack_level: Some(0), ..Default::default() })["stackLevel"], 0);
}

#[test]
fn q77_a_schedule_begins_as_the_charger_wants() {
    let now = asked(ChargingQuirks { start: ScheduleStart::Now, ..Default::default() });
    let periods = &now["chargingSchedule"]["chargingSchedulePeriod"];
    assert_eq!((periods.as_array().unwrap().len(), &periods[0]["limit"]), (1, &json!(10.5)), "{now}");
    let omitted = asked(ChargingQuirks { start: ScheduleStart::Omit, ..Default::default() });
    assert!(omitted["chargingSchedule"].get("startSchedule").is_none());
}

#[test]
fn q78_a_refused_profile_is_tried_in_plainer_words() {
    let mut bench = Bench::new();
    bench.start("CARD", 0);
    let session = bench.starts()[0].session;
    bench.pass(5 * MINUTE);
    limit(&mut bench, ChargingPurpose::Session(session));
    let kind_of = |asked: &Value| {
        let profile = &asked["csChargingProfiles"];
        let text = |field: &str| profile[field].as_str().unwrap().to_owned();
        (text("chargingProfileKind"), text("chargingProfilePurpose"))
    };
    let mut tried = vec![];
    for answer in ["Rejected", "Rejected", "Accepted"] {
        tried.push(kind_of(&bench.answers(json!({ "status": answer })).1));
    }
    let words = |kind: &str, purpose: &str| (kind.to_owned(), purpose.to_owned());
    assert_eq!(
        tried,
        [
            words("Absolute", "TxProfile"),
            words("Relative", "TxProfile"),
            words("Relative", "TxDefaultProfile")
        ]
    );
    assert_eq!(bench.results.last().unwrap().outcome, Outcome::Accepted);
    let relative = ChargingQuirks { kind: Some(SteadyKind::Relative), ..Default::default() };
    assert_eq!(bench.suggested(), [Suggestion::Charging(relative)]);
    assert_eq!(asked(relative)["chargingProfileKind"], "Relative");
}

#[test]
fn q78_a_profile_that_is_refused_in_all_words_is_refused() {
    let mut bench = Bench::new();
    limit(&mut bench, ChargingPurpose::Default);
    bench.answers(json!({ "status": "Rejected" }));
    bench.answers(json!({ "status": "Rejected" }));
    assert_eq!(bench.results.last().unwrap().outcome, Outcome::Rejected);
    bench.works();
}

#[test]
fn q79_amperes_become_watts_rounded_down() {
    let watts = asked(ChargingQuirks { unit: Some(RateUnit::Watts), phases: Some(1), ..Default::default() });
    assert_eq!(watts["chargingSchedule"]["chargingRateUnit"], "W");
    assert_eq!(watts["chargingSchedule"]["chargingSchedulePeriod"][1]["limit"], json!(2415));
}

#[test]
fn q80_limits_are_rounded_down_to_the_chargers_steps() {
    let steps = asked(ChargingQuirks { step_tenths: Some(20), ..Default::default() });
    assert_eq!(steps["chargingSchedule"]["chargingSchedulePeriod"][1]["limit"], json!(10));
}

#[test]
fn q81_a_limit_that_is_ignored_is_noticed() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 0);
    let session = bench.starts()[0].session;
    limit(&mut bench, ChargingPurpose::Session(session));
    bench.answers(json!({ "status": "Accepted" }));
    bench.meter(transaction, &[(100, 7_000), (200, 7_200)]);
    assert!(!bench.core.is_uncontrollable(&station(), EvseNo(1)), "7.2 kW are within 10.5 A on three phases");
    bench.meter(transaction, &[(300, 11_000), (400, 11_000), (500, 11_000)]);
    assert!(bench.core.is_uncontrollable(&station(), EvseNo(1)));
    assert!(bench.found("SetChargingProfile", Oddity::NoEffect));
    let alarms = bench.events.iter().filter(|event| matches!(event, Event::SecurityNoticed(_))).count();
    assert_eq!(alarms, 1, "told once");
    bench.meter(transaction, &[(600, 7_000)]);
    assert!(!bench.core.is_uncontrollable(&station(), EvseNo(1)), "it came round");
    bench.stop(transaction, 700);
    bench.works();
}
