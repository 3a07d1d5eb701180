//! The last messages, kept in memory for a developer to read.

use std::collections::VecDeque;
use std::sync::Mutex;

use chrono::{DateTime, Utc};

use super::Message;

const KEPT: usize = 50;

/// A message that was not sent but kept.
#[derive(Clone, serde::Serialize)]
pub struct Kept {
    /// For whom.
    pub to: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Its subject.
    pub subject: String,
    /// Its words.
    pub text: String,
}

/// The last messages of one replica.
#[derive(Default)]
pub struct Mailbox(Mutex<VecDeque<Kept>>);

impl Mailbox {
    pub(super) fn keep(&self, to: &str, message: Message) {
        let mut kept = self.0.lock().expect("no code panics while holding it");
        kept.truncate(KEPT - 1);
        let Message { subject, text } = message;
        kept.push_front(Kept { to: to.to_owned(), at: Utc::now(), subject, text });
    }

    /// What was kept, the newest first.
    pub fn messages(&self) -> Vec<Kept> {
        self.0.lock().expect("no code panics while holding it").iter().cloned().collect()
    }
}
