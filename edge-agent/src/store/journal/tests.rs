use super::*;
use tempfile::TempDir;

fn append(journal: &mut Journal, text: &str) {
    let frame = Frame { number: journal.last() + 1, entries: vec![Entry::Row(text.into())] };
    journal.append(&frame).unwrap();
    journal.synced().unwrap();
}

fn texts(read: &Read) -> Vec<(u64, String)> {
    let text = |entries: &[Entry]| match &entries[0] {
        Entry::Row(text) => text.clone(),
        Entry::Record(_) | Entry::Document(_) => panic!("no row"),
    };
    read.frames.iter().map(|frame| (frame.number, text(&frame.entries))).collect()
}

#[test]
fn frames_are_numbered_over_segments_and_read_from_any_number() {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::begin(folder.path(), 0).unwrap();
    append(&mut journal, "a");
    append(&mut journal, "b");
    assert_eq!(journal.rotate().unwrap(), 2);
    append(&mut journal, "c");
    assert_eq!(last_number(folder.path()).unwrap(), 3);
    let after = read(folder.path(), 1).unwrap();
    assert_eq!(texts(&after), [(2, "b".into()), (3, "c".into())]);
    assert!(after.missing.is_empty());
    journal.forget_before(2).unwrap();
    let rest = read(folder.path(), 0).unwrap();
    assert_eq!((texts(&rest), rest.missing), (vec![(3, "c".into())], vec![1..=2]));
}

#[test]
fn a_frame_that_was_taken_back_was_never_there() {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::begin(folder.path(), 4).unwrap();
    append(&mut journal, "kept");
    journal.settle();
    append(&mut journal, "failed");
    journal.take_back().unwrap();
    journal.take_back().unwrap();
    append(&mut journal, "instead");
    assert_eq!(texts(&read(folder.path(), 4).unwrap()), [(5, "kept".into()), (6, "instead".into())]);
}

#[test]
fn every_flipped_bit_and_every_torn_end_costs_one_frame_at_most() {
    let folder = TempDir::new().unwrap();
    let mut journal = Journal::begin(folder.path(), 0).unwrap();
    for text in ["one", "two", "three"] {
        append(&mut journal, text);
    }
    let path = segments::path(folder.path(), 1);
    let end = usize::try_from(journal.end).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let all = texts(&read(folder.path(), 0).unwrap());
    for place in 0..end {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&path, &bytes).unwrap();
        let rest = texts(&read(folder.path(), 0).unwrap());
        assert_eq!(rest.len(), 2, "byte {place}");
        assert!(rest.iter().all(|frame| all.contains(frame)), "byte {place}");
    }
    for length in 0..end {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(all.starts_with(&texts(&read(folder.path(), 0).unwrap())), "length {length}");
    }
}
