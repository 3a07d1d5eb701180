//! Clocks that are wrong, and histories that are old.

use serde_json::json;
use shared::id::{EvseNo, ReservationId};
use shared::model::charging::ChargingPurpose;
use shared::model::finding::Oddity;
use shared::model::quirks::{StationQuirks, Suggestion};
use shared::model::reservation::Reservation;
use shared::model::session::SessionFlag;
use shared::model::{CommandBody, IdToken};
use shared::units::Timestamp;

use super::bench::{Bench, MINUTE, NOON};

fn start_at(bench: &mut Bench, time: &str) -> (Timestamp, Vec<SessionFlag>) {
    let begun = json!({ "connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": time });
    bench.call("StartTransaction", begun);
    let start = bench.starts().into_iter().next_back().unwrap();
    (start.at, start.flags.clone())
}

#[test]
fn q43_a_time_without_a_zone_is_the_sites() {
    let mut bench = Bench::new();
    let (at, flags) = start_at(&mut bench, "2025-11-22T12:30:00");
    assert_eq!((at, flags), (NOON.plus_millis(-30 * MINUTE), vec![SessionFlag::ClockAssumed]));
    assert!(bench.found("StartTransaction", Oddity::NoZone));
    bench.works();
}

#[test]
fn q44_local_time_that_claims_to_be_utc_is_suggested_and_corrected() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        let fact = edge_agent::core::StationFact::ClockMeasured(-60 * MINUTE - 900);
        let (station, link) = (super::bench::station(), edge_agent::core::LinkId(1));
        bench.input(edge_agent::core::Input::Station { station, link, call: None, fact });
    }
    assert_eq!(bench.suggested(), [Suggestion::ClockOffset { minutes: 60 }]);
    bench.know(2, StationQuirks { clock_offset_minutes: Some(60), ..StationQuirks::default() });
    for time in ["2025-11-22T12:30:00Z", "2025-11-22T12:30:00", "2025-11-22T12:30:00+01:00"] {
        assert_eq!(start_at(&mut bench, time).0, NOON.plus_millis(-30 * MINUTE), "{time}");
    }
    bench.works();
}

#[test]
fn q45_times_are_whole_seconds_in_utc() {
    let mut bench = Bench::new();
    bench.pass(174);
    for answer in [bench.call("Heartbeat", json!({})), bench.boot()] {
        let time = answer["currentTime"].as_str().unwrap();
        assert!(is_plain(time), "{time}");
    }
    for body in with_times(&bench) {
        bench.order(body);
        let (action, asked) = bench.answers(json!({ "status": "Rejected" }));
        let (text, mut times) = (asked.to_string(), 0);
        for time in text.split('"').filter(|word| word.starts_with("2025-") && word.contains('T')) {
            assert!(is_plain(time), "{action}: {time}");
            times += 1;
        }
        assert!(times > 0, "{action}: {asked}");
    }
    bench.works();
}

/// 2025-11-22T12:00:00Z: no fraction, no offset.
fn is_plain(time: &str) -> bool {
    time.len() == 20 && time.ends_with('Z') && !time.contains('.')
}

/// Orders in which a time is told, not a whole second each.
fn with_times(bench: &Bench) -> [CommandBody; 2] {
    let reservation = Reservation {
        id: ReservationId(1),
        evse: EvseNo(1),
        token: IdToken::new("CARD"),
        group: None,
        until: bench.now.plus_millis(MINUTE + 77),
    };
    let mut profile = super::charging::profile(bench, ChargingPurpose::Default);
    profile.valid_from = Some(bench.now.plus_millis(33));
    [CommandBody::Reserve(reservation), CommandBody::SetChargingProfile { evse: Some(EvseNo(1)), profile }]
}

#[test]
fn q46_a_clock_that_was_never_set_is_not_believed() {
    for time in ["1970-01-01T00:05:00Z", "2000-01-01T00:00:00Z"] {
        let mut bench = Bench::new();
        let now = bench.now;
        assert_eq!(start_at(&mut bench, time), (now, vec![SessionFlag::ClockAssumed]));
        assert!(bench.found("StartTransaction", Oddity::ClockWrong));
        bench.works();
    }
}

#[test]
fn q48_an_old_stop_ends_its_session_and_not_the_one_that_runs() {
    let mut bench = Bench::new();
    let old = bench.start("CARD", 0);
    bench.pass(10 * 86_400_000);
    let runs = bench.start("CARD", 500);
    let at = bench.starts()[0].at.plus_millis(MINUTE).to_string();
    bench.call("StopTransaction", json!({ "transactionId": old, "meterStop": 400, "timestamp": at }));
    assert_eq!(bench.ended()[0].0, 400);
    let open: Vec<_> = bench.core.sessions.open().map(|it| it.session.start.tx_ref.0.clone()).collect();
    assert_eq!(open, [runs.to_string()]);
    bench.stop(runs, 600);
    bench.works();
}

#[test]
fn q49_what_was_before_our_time_is_kept_and_billed_to_nobody() {
    let mut bench = Bench::new();
    let (_, flags) = start_at(&mut bench, "2025-06-01T10:00:00Z");
    assert_eq!(flags, [SessionFlag::Foreign]);
    let start = bench.starts()[0].clone();
    assert_eq!((start.token, start.tariff), (None, None));
    assert!(bench.found("StartTransaction", Oddity::Foreign));
    let ended =
        json!({ "transactionId": start.tx_ref.0, "meterStop": 900, "timestamp": "2025-06-01T11:00:00Z" });
    bench.call("StopTransaction", ended);
    assert_eq!(bench.ended()[0].0, 900);
    bench.works();
}
