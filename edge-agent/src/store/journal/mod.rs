//! The billing journal: a second, plain copy of what money, orders, documents and passwords hang on, for the day when the database's
//! file is damaged.
//!
//! Every commit that holds such writes is one checksummed frame. It is appended before SQLite commits and synced while SQLite
//! does, so that the two syncs take about as long as one; the stations are answered when both are done. A power cut may
//! come when only one is, and nobody was answered then. Either way the other catches up at the next start:
//!
//! * The journal has the frame, the database has not: it is applied, as if the process had been killed just after its commit,
//!   and the repeat finds it by its key.
//! * The database has the commit, the journal not. A repeated Start would be answered from the database without writing
//!   anything, and the journal never had it. So a snapshot of the database is made before anybody is answered, which has it.
//!
//! Frames are numbered without gaps and the database holds the number of its last one in the same commit. A database, or a
//! snapshot of it, is brought up to date by the frames above its number and no others, so nothing is applied twice. Between
//! two commits the two are never more than this one frame apart, because none begins before both syncs of the last are done.
//!
//! What is not in it: meter samples, states of connectors, findings. They come again or are worth less than a second write
//! of each.
//!
//! Segments begin with every process and every snapshot. One is deleted when every snapshot that is kept covers it and the
//! cloud has the billing records of its time.

mod entry;
mod frame;
mod segments;
mod syncer;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::durable;
pub(super) use entry::Entry;
pub(super) use frame::Frame;
pub(super) use segments::{Read, last_number, read};
use syncer::Syncer;

/// The file grows by so much at once, in zeros that are on the disk before they are needed: an append then changes no
/// metadata, which halves the cost of its sync.
const STEP: u64 = 256 * 1024;

/// The end of the journal.
pub(super) struct Journal {
    folder: PathBuf,
    segment: u64,
    file: File,
    syncer: Syncer,
    /// Where the next frame goes.
    end: u64,
    /// Where the zeros end.
    room: u64,
    /// The number of the last frame.
    last: u64,
    /// Where the last frame begins, while it may be taken back.
    before: Option<u64>,
}

impl Journal {
    /// Begins a new segment behind frame `last`.
    pub(super) fn begin(folder: &Path, last: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let segment = segments::list(folder)?.last().map_or(1, |newest| newest + 1);
        let file = File::options().write(true).create_new(true).open(segments::path(folder, segment))?;
        durable::sync_folder(folder)?;
        let syncer = Syncer::of(file.try_clone()?)?;
        Ok(Journal { folder: folder.to_owned(), segment, file, syncer, end: 0, room: 0, last, before: None })
    }

    /// The number of the last frame.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The segment that is written.
    pub(super) fn segment(&self) -> u64 {
        self.segment
    }

    /// Appends one commit as the next frame and begins to sync it: see [`Journal::synced`].
    pub(super) fn append(&mut self, frame: &Frame) -> io::Result<()> {
        debug_assert_eq!(frame.number, self.last + 1, "frames are numbered without gaps");
        let bytes = frame.to_bytes();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.make_room(length)?;
        self.file.write_all_at(&bytes, self.end)?;
        self.syncer.begin();
        self.before = Some(self.end);
        self.end += length;
        self.last += 1;
        Ok(())
    }

    /// Waits until what was appended is on the disk.
    pub(super) fn synced(&mut self) -> io::Result<()> {
        self.syncer.wait()
    }

    /// The last frame stays: its commit is done.
    pub(super) fn settle(&mut self) {
        self.before = None;
    }

    /// Takes back the frame of a commit that failed and will be tried again.
    pub(super) fn take_back(&mut self) -> io::Result<()> {
        if let Some(before) = self.before.take() {
            self.file.set_len(before)?;
            (self.end, self.room) = (before, before);
            self.last -= 1;
        }
        Ok(())
    }

    /// Begins the next segment, and returns its number.
    pub(super) fn rotate(&mut self) -> io::Result<u64> {
        *self = Journal::begin(&self.folder, self.last)?;
        Ok(self.segment)
    }

    /// Deletes the segments before one.
    pub(super) fn forget_before(&self, segment: u64) -> io::Result<()> {
        for old in segments::list(&self.folder)?.into_iter().filter(|old| *old < segment.min(self.segment)) {
            std::fs::remove_file(segments::path(&self.folder, old))?;
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        segments::bytes(&self.folder)
    }

    fn make_room(&mut self, length: u64) -> io::Result<()> {
        if self.end + length <= self.room {
            return Ok(());
        }
        let room = (self.end + length).next_multiple_of(STEP);
        let from = self.room.max(self.end);
        let zeros = vec![0; usize::try_from(room - from).unwrap_or(0)];
        self.file.write_all_at(&zeros, from)?;
        self.file.sync_all()?;
        self.room = room;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
