//! Logs: no panic, and none of the secrets that were dealt out.

use super::finding::Finding;

/// Lines of a log that tell of a panic.
pub(crate) fn panics(name: &str, log: &str) -> Vec<Finding> {
    let bad = |line: &&str| line.contains("panicked at") || line.contains("stack backtrace");
    let found = log.lines().filter(bad).take(3);
    found.map(|line| Finding::Panic { log: name.to_owned(), line: line.to_owned() }).collect()
}

/// Secrets, each with whose it is, that a log shows.
pub(crate) fn secrets(name: &str, log: &str, secrets: &[(String, String)]) -> Vec<Finding> {
    let shown = secrets.iter().filter(|(_, secret)| secret.len() >= 8 && log.contains(secret.as_str()));
    shown.map(|(whose, _)| Finding::Secret { log: name.to_owned(), whose: whose.clone() }).collect()
}
