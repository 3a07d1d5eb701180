//! Everything that the fuzzer has found worth keeping (`shared/fuzz/`), and the frames of the corpus of readings, checked
//! again without it.

use std::fs;
use std::path::Path;

#[path = "../fuzz/check.rs"]
mod check;

#[test]
fn the_corpus_of_the_fuzzer_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/frames");
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the project") {
        let path = entry.expect("a folder can be read").path();
        let bytes = fs::read(&path).expect("a file can be read");
        assert!(std::panic::catch_unwind(|| check::check(&bytes)).is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 20, "only {count} inputs");
}

#[test]
fn the_corpus_of_readings_holds() {
    for block in include_str!("ocpp_frames.txt").split("\n\n") {
        check::check(block.split("\n= ").next().unwrap_or_default().as_bytes());
    }
}
