//! What a list shall be, and how two lists differ.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use shared::model::token::{AuthStatus, TokenEntry};
use shared::units::Timestamp;

use super::super::Tokens;

/// A list: stations with the same limit share one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) entries: BTreeMap<String, TokenEntry>,
    pub(super) left_out: u32,
    pub(super) digest: [u8; 32],
}

/// A token of a list and what to say of it; without, it leaves the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListLine {
    /// The token in folded form.
    pub token: String,
    /// What to say of it.
    pub entry: Option<TokenEntry>,
}

/// The lists that are wanted now, by what a station can hold.
#[derive(Debug, Default)]
pub(super) struct Wanted(HashMap<usize, Arc<List>>);

impl Wanted {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    pub(super) fn of(&mut self, tokens: &Tokens, limit: usize, now: Timestamp) -> Arc<List> {
        let made = self.0.entry(limit).or_insert_with(|| Arc::new(List::made(tokens, limit, now)));
        Arc::clone(made)
    }
}

impl List {
    /// The site's own tokens first; of the public ones those that may charge, as far as there is room.
    fn made(tokens: &Tokens, limit: usize, now: Timestamp) -> Self {
        let (mut own, mut public): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
        if tokens.on_stations() {
            own.extend(tokens.own());
            public.extend(tokens.public().filter(|entry| entry.status_at(now) == AuthStatus::Accepted));
        }
        for part in [&mut own, &mut public] {
            part.sort_by(|a, b| a.token.cmp(&b.token));
        }
        let mut entries = BTreeMap::new();
        let mut left_out = 0;
        for entry in own.into_iter().chain(public) {
            if entries.contains_key(&entry.token) {
            } else if entries.len() < limit {
                entries.insert(
                    entry.token.clone(),
                    TokenEntry { status: entry.status_at(now), ..entry.clone() },
                );
            } else {
                left_out += 1;
            }
        }
        let bytes = postcard::to_stdvec(&entries).expect("wire types always serialise");
        List { digest: *blake3::hash(&bytes).as_bytes(), entries, left_out }
    }

    /// The whole list.
    pub(super) fn lines(&self) -> Vec<ListLine> {
        let line = |entry: &TokenEntry| ListLine { token: entry.token.clone(), entry: Some(entry.clone()) };
        self.entries.values().map(line).collect()
    }

    /// What makes this list of an older one.
    pub(super) fn since(&self, older: &List) -> Vec<ListLine> {
        let gone = older.entries.keys().filter(|token| !self.entries.contains_key(*token));
        let gone = gone.map(|token| ListLine { token: token.clone(), entry: None });
        let new = self.entries.values().filter(|entry| older.entries.get(&entry.token) != Some(entry));
        let new = new.map(|entry| ListLine { token: entry.token.clone(), entry: Some(entry.clone()) });
        gone.chain(new).collect()
    }
}
