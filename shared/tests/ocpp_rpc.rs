//! The RPC peer: one call outstanding, answers late or on time, repeats, refusals.

use serde_json::value::RawValue;
use shared::ocpp::rpc::{Answer, CallKey, Due, Limits, Millis, Outgoing, Peer, Received, Reply};
use shared::ocpp::{ErrorCode, frame};

fn peer() -> Peer<u32> {
    Peer::new("c1-", Limits { queued: 2, replayed: 2, mended: &["StopTransaction"] })
}

fn outgoing(ticket: u32) -> Outgoing<u32> {
    Outgoing { ticket, action: "Reset", payload: frame::empty_object(), timeout: 1000 }
}

fn sent(peer: &mut Peer<u32>, now: Millis) -> Option<String> {
    match peer.poll(now) {
        Some(Due::Send(text)) => Some(text),
        Some(Due::TimedOut(ticket)) => panic!("{ticket} timed out"),
        None => None,
    }
}

fn call(peer: &mut Peer<u32>, text: &str) -> CallKey {
    let Received::Call { key, .. } = peer.receive(text) else { panic!("{text}") };
    key
}

#[test]
fn one_call_is_outstanding_and_the_queue_is_bounded() {
    let mut peer = peer();
    peer.call(outgoing(1)).unwrap();
    assert_eq!(sent(&mut peer, 0).as_deref(), Some(r#"[2,"c1-1","Reset",{}]"#));
    peer.call(outgoing(2)).unwrap();
    peer.call(outgoing(3)).unwrap();
    assert_eq!(peer.call(outgoing(4)).unwrap_err().ticket, 4);
    assert_eq!(sent(&mut peer, 0), None);
    let received = peer.receive(r#"[3,"c1-1",{"status":"Accepted"}]"#);
    assert!(matches!(received, Received::Answered { ticket: 1, answer: Answer::Result(_) }));
    assert_eq!(sent(&mut peer, 5).as_deref(), Some(r#"[2,"c1-2","Reset",{}]"#));
    let received = peer.receive(r#"[4,"c1-2","NotSupported","no",{}]"#);
    let Received::Answered { ticket: 2, answer: Answer::Error { code, .. } } = received else { panic!() };
    assert_eq!(code, ErrorCode::NotSupported);
    assert_eq!(peer.close(), [3]);
}

#[test]
fn what_is_not_on_its_way_can_be_taken_back() {
    let mut peer = peer();
    peer.call(outgoing(1)).unwrap();
    sent(&mut peer, 0).unwrap();
    peer.call(outgoing(2)).unwrap();
    peer.call(outgoing(3)).unwrap();
    assert!(!peer.withdraw(&1), "it is on its way");
    assert!(peer.withdraw(&2) && !peer.withdraw(&2));
    assert_eq!(peer.close(), [1, 3]);
}

#[test]
fn a_late_answer_is_late_and_the_next_call_goes_on() {
    let mut peer = peer();
    peer.call(outgoing(1)).unwrap();
    peer.call(outgoing(2)).unwrap();
    sent(&mut peer, 0);
    assert_eq!(peer.next_deadline(), Some(1000));
    assert!(peer.poll(999).is_none());
    assert!(matches!(peer.poll(1000), Some(Due::TimedOut(1))));
    assert!(sent(&mut peer, 1000).is_some());
    assert!(matches!(peer.receive(r#"[3,"c1-1",{}]"#), Received::Late(1)));
    assert!(matches!(peer.receive(r#"[3,"c1-1",{}]"#), Received::Unasked));
    assert!(matches!(peer.receive(r#"[3,"c1-2",{}]"#), Received::Answered { ticket: 2, .. }));
}

#[test]
fn q56_a_repeated_call_gets_the_same_bytes() {
    let mut peer = peer();
    let start = r#"[2,"7","StartTransaction",{"connectorId":1}]"#;
    let key = call(&mut peer, start);
    assert!(matches!(peer.receive(start), Received::Repeat));
    let payload = RawValue::from_string(r#"{"transactionId":9}"#.into()).unwrap();
    let text = peer.reply(key, &Reply::Result(payload));
    assert!(matches!(peer.receive(start), Received::Replay(again) if again == text));
    let other = r#"[2,"7","StartTransaction",{"connectorId":2}]"#;
    assert_eq!(call(&mut peer, other).id(), "7");
}

#[test]
fn a_station_may_have_many_calls_outstanding() {
    let mut peer = peer();
    for id in 0..200 {
        call(&mut peer, &format!(r#"[2,"{id}","Heartbeat",{{}}]"#));
    }
}

#[test]
fn what_is_no_frame_is_refused_by_its_id() {
    let mut peer = peer();
    for (text, reply) in [
        (r#"[2,"5","Heartbeat",{]"#, Some(r#"[4,"5","FormationViolation","not JSON",{}]"#)),
        (r#"[,{"a":1}]"#, Some(r#"[4,"-1","FormationViolation","not JSON",{}]"#)),
        ("hello", Some(r#"[4,"-1","FormationViolation","not JSON",{}]"#)),
        (r#"[3,"5",{]"#, None),
        (r#"{"a":1}"#, Some(r#"[4,"-1","FormationViolation","not an array",{}]"#)),
    ] {
        let Received::Bad { reply: given, .. } = peer.receive(text) else { panic!("{text}") };
        assert_eq!(given.as_deref(), reply, "{text}");
    }
    assert!(matches!(peer.receive(r#"[6,"5","X",{}]"#), Received::Ignored));
}

#[test]
fn q25_q38_broken_billing_records_are_mended_and_others_are_not() {
    let mut peer = peer();
    let stop = "[2,\"1\",\"StopTransaction\",{\"transactionId\":,\"idTag\":\"AB\u{1}C\"}]";
    let Received::Call { payload, mended, .. } = peer.receive(stop) else { panic!() };
    assert!(mended);
    assert_eq!(payload.get(), r#"{"transactionId":null,"idTag":"AB\u0001C"}"#);
    assert!(matches!(peer.receive(r#"[2,"2","Authorize",{"idTag":}]"#), Received::Bad { .. }));
}
