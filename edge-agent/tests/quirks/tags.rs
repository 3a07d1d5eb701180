//! Tags that come back otherwise than they went.

use serde_json::json;
use shared::id::EvseNo;
use shared::model::quirks::{LocalTag, StationQuirks, Suggestion};
use shared::model::{AuthStatus, CommandBody, IdToken};

use super::bench::Bench;

#[test]
fn q38_a_stop_with_a_garbled_tag_ends_its_session() {
    let mut bench = Bench::new();
    let transaction = bench.start("CARD", 0);
    let at = bench.now;
    let answer = bench.say(&format!(
        r#"[2,"s","StopTransaction",{{"transactionId":{transaction},"idTag":"CARDCARDCARDCARDCARD\ud812\u0001","meterStop":10,"timestamp":"{at}"}}]"#
    ));
    assert_eq!((answer[0].as_i64(), bench.ended()[0].0), (Some(3), 10));
    bench.works();
}

/// Some echo a tag of twenty characters with what lies behind it in their memory. Ours are shorter; a card's own may not be.
#[test]
fn q38_a_remote_start_is_known_again_whatever_the_station_makes_of_its_tag() {
    let mut bench = Bench::new();
    let token = IdToken::new("TAGOFTWENTYCHARACTER");
    let order = bench.order(CommandBody::RemoteStart { evse: Some(EvseNo(1)), token });
    let (_, asked) = bench.answers(json!({ "status": "Accepted" }));
    assert_eq!(asked["idTag"], "TAGOFTWENTYCHARACTER", "as it is: the station compares it with its own list");
    let transaction = bench.start("TAGOFTWENTYCHARACTER\u{2}x", 0);
    assert!(transaction > 0);
    assert_eq!(bench.starts()[0].caused_by, None, "another tag is another one's");
    bench.stop(transaction, 1_000);
    assert_eq!(bench.ended()[0].0, 1_000);
    let transaction = bench.start("tagoftwentycharacter ", 1_000);
    assert_eq!(bench.starts()[1].caused_by, Some(order));
    bench.stop(transaction, 3_000);
    bench.works();
}

#[test]
fn q39_a_tag_is_the_same_in_any_case() {
    let mut bench = Bench::new();
    assert_eq!(bench.call("Authorize", json!({ "idTag": "CARD" }))["idTagInfo"]["status"], "Accepted");
    assert_eq!(bench.call("Authorize", json!({ "idTag": "cArD" }))["idTagInfo"]["status"], "Accepted");
    bench.works();
}

#[test]
fn q41_a_space_before_a_tag_is_none() {
    let mut bench = Bench::new();
    assert_eq!(bench.call("Authorize", json!({ "idTag": " CARD" }))["idTagInfo"]["status"], "Accepted");
    bench.works();
}

#[test]
fn q42_a_made_up_tag_is_suggested_and_then_stands_for_somebodys() {
    let mut bench = Bench::new();
    for meter in [0, 100, 200] {
        let transaction = bench.start("FREE-VEND", meter);
        bench.pass(60_000);
        bench.stop(transaction, meter + 50);
    }
    assert!(bench.starts().iter().all(|start| start.auth == AuthStatus::Invalid));
    assert_eq!(bench.suggested(), [Suggestion::LocalTag { shown: "free-vend".into() }]);

    let token = IdToken::new("THE OWNER");
    let local_tag = Some(LocalTag { shown: "free-vend".into(), token: token.clone() });
    bench.know(2, StationQuirks { local_tag, ..StationQuirks::default() });
    bench.start("FREE-VEND", 300);
    let start = bench.starts().into_iter().next_back().unwrap();
    assert_eq!((start.auth, start.token.as_ref()), (AuthStatus::Accepted, Some(&token)));
}
