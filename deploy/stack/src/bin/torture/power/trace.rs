//! What `strace` wrote down, as operations on files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Everything that changes a file or tells a station something.
const CALLS: &str = "openat,creat,write,pwrite64,writev,pwritev,sendto,sendmsg,fsync,fdatasync,ftruncate,fallocate,rename,\
    renameat,renameat2,unlink,unlinkat,lseek";

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A file was opened to be written: made if it was not there, emptied if so wished.
    Open { path: PathBuf, empty: bool },
    /// Bytes at a place.
    Write { path: PathBuf, at: u64, bytes: Vec<u8> },
    /// A file got another length.
    Truncate { path: PathBuf, length: u64 },
    /// What was done to a file, or a folder, is on the disk.
    Sync { path: PathBuf },
    /// A file got another name.
    Rename { from: PathBuf, to: PathBuf },
    /// A name is gone.
    Unlink { path: PathBuf },
    /// Bytes went to a socket.
    Said { bytes: Vec<u8> },
}

/// What to start a program under, so that what it does is written to `into.TID`. It stays our child (`-D`).
pub(crate) fn recorder(into: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["strace", "-D", "-ff", "-ttt", "-y", "-xx", "-s", "4194304", "-e", "signal=none", "-e"]
            .map(OsString::from)
            .into();
    words.extend([format!("trace={CALLS}").into(), "-o".into(), into.into()]);
    words
}

/// All that was done, in order, to files below `root` (elsewhere it is nobody's business), and said to sockets.
pub(crate) fn read(traces: &Path, root: &Path) -> Result<Vec<Op>> {
    let folder = traces.parent().context("traces lie in a folder")?;
    let stem = traces.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut lines = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.file_name().unwrap_or_default().to_string_lossy().starts_with(&format!("{stem}.")) {
            let text = std::fs::read_to_string(&path)?;
            lines.extend(text.lines().filter_map(timed));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut places = HashMap::new();
    let mut ops = Vec::new();
    for (_, line) in &lines {
        let op = parse(line, &mut places).with_context(|| line.chars().take(200).collect::<String>())?;
        ops.extend(op.filter(|op| op.is_below(root)));
    }
    Ok(ops)
}

/// The time in microseconds, and the call.
fn timed(line: &str) -> Option<(u64, String)> {
    let (at, call) = line.split_once(' ')?;
    let (seconds, micros) = at.split_once('.')?;
    Some((seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?, call.to_owned()))
}

/// One call. `places` are where the next plain `write` of each descriptor goes.
fn parse(line: &str, places: &mut HashMap<u32, u64>) -> Result<Option<Op>> {
    let Some((name, rest)) = line.split_once('(') else { return Ok(None) };
    // It failed, or the program ended in the middle of it.
    let Some((arguments, result)) = rest.rsplit_once(") = ") else { return Ok(None) };
    if result.starts_with('-') || result.starts_with('?') {
        return Ok(None);
    }
    let path = || PathBuf::from(OsString::from_vec(below(arguments).unwrap_or_default()));
    let numbers = || arguments.rsplit(", ").map_while(|word| word.parse::<u64>().ok()).collect::<Vec<_>>();
    Ok(Some(match name {
        "openat" => {
            let (descriptor, opened) = (number(result)?, below(result).context("what was opened")?);
            let path = PathBuf::from(OsString::from_vec(opened));
            let length = if arguments.contains("O_APPEND") { u64::MAX } else { 0 };
            places.insert(descriptor, length);
            if !arguments.contains("O_WRONLY") && !arguments.contains("O_RDWR") {
                return Ok(None);
            }
            Op::Open { path, empty: arguments.contains("O_TRUNC") }
        }
        "lseek" => {
            places.insert(number(arguments)?, result.trim().parse()?);
            return Ok(None);
        }
        "write" | "writev" | "sendto" | "sendmsg" if is_socket(arguments) => {
            Op::Said { bytes: strings(arguments).concat() }
        }
        "pwrite64" => Op::Write { path: path(), at: numbers()[0], bytes: strings(arguments).concat() },
        "write" | "writev" => {
            let bytes = strings(arguments).concat();
            let place = places.entry(number(arguments)?).or_default();
            let at = *place;
            *place = at.saturating_add(bytes.len() as u64);
            Op::Write { path: path(), at, bytes }
        }
        "ftruncate" => Op::Truncate { path: path(), length: numbers()[0] },
        "fsync" | "fdatasync" => Op::Sync { path: path() },
        "rename" | "renameat" | "renameat2" => {
            let names = named(arguments);
            let [from, to] = &names[..] else { bail!("two names") };
            Op::Rename { from: from.clone(), to: to.clone() }
        }
        "unlink" | "unlinkat" => Op::Unlink { path: named(arguments).pop().context("a name")? },
        // Room only: what is in it comes by writes.
        "fallocate" => return Ok(None),
        other => bail!("nobody knows what {other} does to a file"),
    }))
}

impl Op {
    fn is_below(&self, root: &Path) -> bool {
        match self {
            Op::Open { path, .. }
            | Op::Write { path, .. }
            | Op::Truncate { path, .. }
            | Op::Sync { path }
            | Op::Unlink { path } => path.starts_with(root),
            Op::Rename { to, .. } => to.starts_with(root),
            Op::Said { .. } => true,
        }
    }
}

fn is_socket(arguments: &str) -> bool {
    below(arguments).is_some_and(|name| !name.starts_with(b"/"))
}

/// The number that a text begins with.
fn number(text: &str) -> Result<u32> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().context("a descriptor")
}

/// What stands in the first angle brackets: the file of a descriptor.
fn below(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once('<')?;
    Some(plain(rest.split_once('>')?.0))
}

/// What stands in quotation marks.
fn strings(arguments: &str) -> Vec<Vec<u8>> {
    arguments.split('"').skip(1).step_by(2).map(plain).collect()
}

/// Names of files, each below the folder that stands before it when it is relative.
fn named(arguments: &str) -> Vec<PathBuf> {
    strings(arguments).into_iter().map(|name| PathBuf::from(OsString::from_vec(name))).collect()
}

/// `\x61b` as bytes.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(1..3).filter(|_| *first == b'\\' && after[0] == b'x');
        match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &after[3..]).1,
            None => (bytes.push(*first), rest = after).1,
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_become_operations() {
        let mut places = HashMap::new();
        let mut op = |line: &str| parse(line, &mut places).unwrap();
        let path = PathBuf::from("/a");
        assert_eq!(
            op(r#"openat(AT_FDCWD<\x2f>, "\x2f\x61", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 9<\x2f\x61>"#),
            Some(Op::Open { path: path.clone(), empty: false })
        );
        let write = |at, bytes: &[u8]| Some(Op::Write { path: path.clone(), at, bytes: bytes.to_vec() });
        assert_eq!(op(r#"write(9<\x2f\x61>, "\x61\x62", 2) = 2"#), write(0, b"ab"));
        assert_eq!(op(r#"write(9<\x2f\x61>, "\x63", 1) = 1"#), write(2, b"c"));
        assert_eq!(op(r#"pwrite64(9<\x2f\x61>, "\x64\x65", 2, 4096) = 2"#), write(4096, b"de"));
        assert_eq!(
            op(r#"ftruncate(9<\x2f\x61>, 3) = 0"#),
            Some(Op::Truncate { path: path.clone(), length: 3 })
        );
        assert_eq!(op(r"fsync(9<\x2f\x61>) = 0"), Some(Op::Sync { path: path.clone() }));
        assert_eq!(op(r"fsync(9<\x2f\x61>) = -1 EIO (Input/output error)"), None);
        let said = op(r#"sendto(5<\x54\x43\x50>, "\x5b\x33", 2, MSG_NOSIGNAL, NULL, 0) = 2"#);
        assert_eq!(said, Some(Op::Said { bytes: b"[3".to_vec() }));
        let (from, to) = (path, PathBuf::from("/b"));
        assert_eq!(op(r#"rename("\x2f\x61", "\x2f\x62") = 0"#), Some(Op::Rename { from, to }));
    }
}
