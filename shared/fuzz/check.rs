//! What must hold for whatever bytes a station sends. Fuzzed by `fuzz_targets/frames.rs`; `shared/tests/fuzz_corpus.rs`
//! replays the corpus on a stable compiler.
//!
//! Nothing panics; what is understood is understood the same after we have written it; a message that bills somebody is
//! never refused; no message, however odd, makes more than a bounded number of findings and of readings.

use serde_json::value::RawValue;
use shared::ocpp::frame::Frame;
use shared::ocpp::rpc::{Limits, Peer, Received, Reply};
use shared::ocpp::v16::schema::Action;
use shared::ocpp::v16::{Confirmation, StationCall, TRANSACTION_ACTIONS, schema};

/// Checks one input: texts, separated by newlines, that arrive over one connection.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut peer = Peer::<()>::new("fuzz-", Limits { mended: TRANSACTION_ACTIONS, ..Limits::default() });
    for line in text.split('\n') {
        frame(line);
        converse(&mut peer, line);
    }
    if let Ok(payload) = serde_json::from_str::<&RawValue>(&text) {
        Action::ALL.iter().for_each(|action| call(action.as_str(), payload));
        answer(payload);
    }
}

/// A frame reads the same after we have written it.
fn frame(line: &str) {
    let Ok(read) = Frame::parse(line) else {
        let _ = Frame::parse_mended(line);
        return;
    };
    let written = read.to_text();
    if !matches!(read, Frame::Unknown { .. }) {
        let again = Frame::parse(&written).expect("what we write is a frame");
        assert_eq!(again.to_text(), written, "{line:?}");
    }
}

/// The connection's view: each call is answered once, the same answer again when it is repeated.
fn converse(peer: &mut Peer<()>, line: &str) {
    let Received::Call { key, action, payload, .. } = peer.receive(line) else { return };
    call(&action, &payload);
    let reply = peer.reply(key, &Reply::Result(shared::ocpp::frame::empty_object()));
    let again = peer.receive(line);
    assert!(
        matches!(&again, Received::Replay(text) if *text == reply),
        "a repeated call was taken for {again:?}"
    );
}

fn call(action: &str, payload: &RawValue) {
    let bills = TRANSACTION_ACTIONS.contains(&action.trim());
    match StationCall::read(action, payload) {
        Ok(read) => assert!(read.findings.len() <= 16, "{} findings", read.findings.len()),
        Err(code) => assert!(!bills, "{action} was refused: {code}"),
    }
    let _ = schema::read_csms_request(action, payload);
    let _ = schema::read_csms_response(action, payload);
}

fn answer(payload: &RawValue) {
    let read = Confirmation::read(payload);
    assert!(read.findings.len() <= 16, "{} findings", read.findings.len());
}
