//! The journal's files, in their order.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::frame::{self, Frame};
use crate::store::durable;

/// The frames above a number, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Read {
    pub(in crate::store) frames: Vec<Frame>,
    /// Numbers that should be there and are not: damaged, or deleted.
    pub(in crate::store) missing: Vec<RangeInclusive<u64>>,
}

pub(super) fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:010}.journal"))
}

/// The numbers of the segments, rising.
pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = durable::files(folder)?
        .into_iter()
        .filter_map(|file| file.file_name()?.to_str()?.strip_suffix(".journal")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn bytes(folder: &Path) -> u64 {
    let files = durable::files(folder).unwrap_or_default();
    files.iter().filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The number of the last whole frame; 0 without any. Segments are searched from the end.
pub(in crate::store) fn last_number(folder: &Path) -> io::Result<u64> {
    for segment in list(folder)?.into_iter().rev() {
        if let Some(last) = frame::read(&std::fs::read(path(folder, segment))?).last() {
            return Ok(last.number);
        }
    }
    Ok(0)
}

/// The frames above `after`. A segment that cannot be read counts as missing.
pub(in crate::store) fn read(folder: &Path, after: u64) -> io::Result<Read> {
    let (mut read, mut last) = (Read::default(), after);
    for segment in list(folder)? {
        let Ok(bytes) = std::fs::read(path(folder, segment)) else { continue };
        for frame in frame::read(&bytes) {
            if frame.number <= last {
                continue;
            }
            if frame.number > last + 1 {
                read.missing.push(last + 1..=frame.number - 1);
            }
            last = frame.number;
            read.frames.push(frame);
        }
    }
    Ok(read)
}
