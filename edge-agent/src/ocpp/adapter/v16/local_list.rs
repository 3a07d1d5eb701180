//! Stations' own lists of tokens in 1.6's words.

use shared::model::token::TokenEntry;
use shared::ocpp::v16::reply::TagInfo;
use shared::ocpp::v16::{CsmsCall, ListCall, ListEntry};

use super::{LONGEST_TAG, tag_status};
use crate::core::ListLine;

/// Tokens go in upper case: the specification compares without regard to case, but many a station compares to the letter,
/// and readers give a card's number in upper-case hexadecimal.
pub(super) fn send(version: i32, full: bool, lines: &[ListLine]) -> CsmsCall {
    let fits = |line: &&ListLine| line.token.chars().count() <= LONGEST_TAG;
    let entry = |line: &ListLine| ListEntry {
        id_tag: line.token.to_uppercase(),
        info: line.entry.as_ref().map(info),
    };
    let entries = lines.iter().filter(fits).map(entry).collect();
    CsmsCall::List(ListCall::Send { version, full, entries })
}

fn info(entry: &TokenEntry) -> TagInfo {
    TagInfo { status: tag_status(entry.status), expires_at: entry.expires_at, parent: entry.group.clone() }
}
