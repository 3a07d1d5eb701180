//! A disk as it may be found after the power went: see [`super`].
//!
//! A sync of anything makes the names durable that were given before it, as journalling file systems do; it makes the content
//! durable of its own file only. Names that came later are there up to some point, in order. Content that came later is there in
//! any part: pages reach a disk in no order, and in sectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Op;
use crate::seed::Dice;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// What is on a disk, and what is on its way there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// Names that stay, with their files' places.
    durable: BTreeMap<PathBuf, usize>,
    names: BTreeMap<PathBuf, usize>,
    naming: Vec<Naming>,
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug)]
enum Naming {
    Give(PathBuf, usize),
    /// In one step, or not at all.
    Change(PathBuf, PathBuf, usize),
    Take(PathBuf),
}

/// How much of what was not synced is there.
#[derive(Clone, Copy, Debug)]
enum Manner {
    All,
    Nothing,
    /// Each write or not.
    Some,
    /// The first ones, the last of them in part.
    Torn,
}

impl Disk {
    /// What a folder holds, all of it durable. Not what SQLite rebuilds, and not what is kept elsewhere.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let mut disk = Disk::default();
        disk.take_in(folder)?;
        disk.names.clone_from(&disk.durable);
        Ok(disk)
    }

    fn take_in(&mut self, folder: &Path) -> Result<()> {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                self.take_in(&path)?;
            } else if matters(&path) {
                let durable = std::fs::read(&path).with_context(|| path.display().to_string())?;
                self.durable.insert(path, self.files.len());
                self.files.push(File { durable, changes: Vec::new() });
            }
        }
        Ok(())
    }

    /// Does what was done. `false` for what changes nothing here.
    pub(crate) fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::Open { path, empty } if matters(path) => match self.names.get(path) {
                Some(file) if *empty => self.files[*file].changes.push(Change::Length(0)),
                Some(_) => return false,
                None => {
                    self.name(path.clone(), self.files.len());
                    self.files.push(File::default());
                }
            },
            Op::Write { path, at, bytes } => {
                let Some(file) = self.file(path) else { return false };
                // The end, for what was opened to append.
                let at = usize::try_from(*at)
                    .ok()
                    .filter(|at| *at < usize::MAX / 2)
                    .unwrap_or_else(|| file.now().len());
                file.changes.push(Change::Write { at, bytes: bytes.clone() });
            }
            Op::Truncate { path, length } => {
                let Some(file) = self.file(path) else { return false };
                file.changes.push(Change::Length(usize::try_from(*length).unwrap_or(usize::MAX)));
            }
            Op::Sync { path } => {
                self.durable.clone_from(&self.names);
                self.naming.clear();
                if let Some(file) = self.file(path) {
                    file.durable = file.now();
                    file.changes.clear();
                }
            }
            Op::Rename { from, to } => {
                let Some(file) = self.names.remove(from) else { return false };
                self.names.insert(to.clone(), file);
                self.naming.push(Naming::Change(from.clone(), to.clone(), file));
            }
            Op::Unlink { path } => {
                if self.names.remove(path).is_none() {
                    return false;
                }
                self.naming.push(Naming::Take(path.clone()));
            }
            Op::Open { .. } | Op::Said { .. } => return false,
        }
        true
    }

    /// What is found when the power goes now, by chance: the files, and in which manner.
    pub(crate) fn after_cut(&self, dice: &mut Dice) -> (BTreeMap<PathBuf, Vec<u8>>, &'static str) {
        let manner = match dice.below(4) {
            0 => Manner::All,
            1 => Manner::Nothing,
            2 => Manner::Some,
            _ => Manner::Torn,
        };
        let mut names = self.durable.clone();
        let survive = match manner {
            Manner::All => self.naming.len(),
            Manner::Nothing => 0,
            Manner::Some | Manner::Torn => upto(dice, self.naming.len()),
        };
        for naming in &self.naming[..survive] {
            match naming {
                Naming::Give(path, file) => names.insert(path.clone(), *file),
                Naming::Take(path) => names.remove(path),
                Naming::Change(from, to, file) => {
                    names.remove(from);
                    names.insert(to.clone(), *file)
                }
            };
        }
        let files = names.into_iter().map(|(path, file)| (path, self.files[file].after_cut(manner, dice)));
        (files.collect(), manner.words())
    }

    fn name(&mut self, path: PathBuf, file: usize) {
        self.names.insert(path.clone(), file);
        self.naming.push(Naming::Give(path, file));
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        self.names.get(path).map(|file| &mut self.files[*file])
    }
}

impl File {
    /// With all that was done.
    fn now(&self) -> Vec<u8> {
        let mut content = self.durable.clone();
        self.changes.iter().for_each(|change| change.apply(&mut content));
        content
    }

    fn after_cut(&self, manner: Manner, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.durable.clone();
        let last = upto(dice, self.changes.len());
        for (number, change) in self.changes.iter().enumerate() {
            match manner {
                Manner::All => change.apply(&mut content),
                Manner::Some if dice.percent(50) => change.apply(&mut content),
                Manner::Torn if number + 1 < last => change.apply(&mut content),
                Manner::Torn if number + 1 == last => change.torn(dice).apply(&mut content),
                Manner::Nothing | Manner::Some | Manner::Torn => {}
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Length(length) => content.resize(*length, 0),
            Change::Write { at, bytes } => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
        }
    }

    /// Some sectors of it from the front.
    fn torn(&self, dice: &mut Dice) -> Change {
        match self {
            Change::Length(length) => Change::Length(*length),
            Change::Write { at, bytes } => {
                let sectors = upto(dice, bytes.len().div_ceil(SECTOR));
                Change::Write { at: *at, bytes: bytes[..bytes.len().min(sectors * SECTOR)].to_vec() }
            }
        }
    }
}

impl Manner {
    fn words(self) -> &'static str {
        match self {
            Manner::All => "all of it",
            Manner::Nothing => "nothing",
            Manner::Some => "some of it",
            Manner::Torn => "the first of it, the last torn",
        }
    }
}

/// From none to all.
fn upto(dice: &mut Dice, all: usize) -> usize {
    usize::try_from(dice.below(all as u64 + 1)).unwrap_or(all)
}

/// What the agent goes on from. The log of frames is for people, and the index of the WAL is made anew.
fn matters(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(name.ends_with("-shm") || name.starts_with("frames.") || name == "log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &str, at: u64, byte: u8) -> Op {
        Op::Write { path: path.into(), at, bytes: vec![byte; 2 * SECTOR] }
    }

    #[test]
    fn what_was_synced_is_there_and_of_the_rest_any_part() {
        let mut disk = Disk::default();
        let path = PathBuf::from("/d/a");
        assert!(disk.apply(&Op::Open { path: path.clone(), empty: false }));
        disk.apply(&write("/d/a", 0, 1));
        disk.apply(&Op::Sync { path: path.clone() });
        disk.apply(&write("/d/a", 0, 2));
        disk.apply(&Op::Rename { from: path.clone(), to: "/d/b".into() });
        let mut dice = Dice::new(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let (files, _) = disk.after_cut(&mut dice);
            let [(name, content)] = &files.into_iter().collect::<Vec<_>>()[..] else { panic!("one file") };
            assert_eq!(content.len(), 2 * SECTOR);
            let halves = (content[0], content[2 * SECTOR - 1]);
            assert!(halves.0 >= halves.1, "from the front");
            seen.insert((name.clone(), halves));
        }
        // Either name, and old, new, or half of each.
        assert_eq!(seen.len(), 6, "{seen:?}");
    }
}
