//! Power cuts without a plug to pull: the agent runs under `strace`, which writes down everything that it does to its files and
//! everything that it says to its stations, in order. From that, what a disk can hold is worked out for any moment at which the
//! power could have gone: what was synced before is there; of what was written since, all, nothing, some, or a part of one.
//!
//! Whatever the agent keeps, in whatever files, is judged so, without a file system of ours under it. What this does not know:
//! disks that lie about a sync, and file systems that lose what was synced.

mod disk;
mod promised;
mod trace;

pub(crate) use disk::Disk;
pub(crate) use promised::{Kept, Promised};
pub(crate) use trace::{Op, read, recorder};
