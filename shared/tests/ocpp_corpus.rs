//! The frames of `ocpp_frames.txt` are read as it says, and what we would write of them is read the same again.

use shared::ocpp::{BadFrame, Frame};

const CORPUS: &str = include_str!("ocpp_frames.txt");

#[test]
fn every_frame_of_the_corpus_is_read_as_it_says() {
    let mut count = 0;
    for block in CORPUS.split("\n\n").filter(|block| !block.starts_with('#')) {
        let (frame, meaning) = block.split_once("\n= ").expect("a frame and its meaning");
        assert_eq!(read(frame), meaning.trim_end_matches('\n'), "{frame}");
        count += 1;
    }
    assert_eq!(count, 20);
}

#[test]
fn what_is_read_is_written_the_same() {
    for block in CORPUS.split("\n\n") {
        let frame = block.split("\n= ").next().expect("split yields one at least");
        if let Ok(read_frame @ (Frame::Call { .. } | Frame::Result { .. } | Frame::Error { .. })) =
            Frame::parse(frame)
        {
            assert_eq!(describe(&read_frame, "call"), read(&read_frame.to_text()));
        }
    }
}

fn read(text: &str) -> String {
    match Frame::parse(text) {
        Ok(frame) => describe(&frame, "call"),
        Err(bad) => match Frame::parse_mended(text) {
            Some(frame) => describe(&frame, "mended"),
            None => describe_bad(&bad),
        },
    }
}

fn describe(frame: &Frame, call: &str) -> String {
    match frame {
        Frame::Call { id, action, payload } => format!("{call} {id} {action} {payload}"),
        Frame::Result { id, payload } => format!("result {id} {payload}"),
        Frame::Error { id, code, description, details } => {
            format!("error {id} {code} {description:?} {details}")
        }
        Frame::Unknown { kind } => format!("ignored {kind}"),
    }
}

fn describe_bad(bad: &BadFrame) -> String {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let kind = bad.kind.map(|kind| kind.to_string());
    format!(
        "bad kind={} id={} action={}: {}",
        or_dash(kind.as_deref()),
        or_dash(bad.id.as_deref()),
        or_dash(bad.action.as_deref()),
        bad.reason
    )
}
