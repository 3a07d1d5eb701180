//! The words that a station and its gateway exchanged, for whoever has to find out why they do not understand each other.
//!
//! The gateway keeps the last ones of each station. They are asked for by the page, and never leave the gateway unasked.

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// The most frames of a page.
pub const PAGE_FRAMES: u16 = 100;
/// The most bytes of a page's texts, so that it fits a message.
pub const PAGE_BYTES: usize = 32 * 1024;
/// A longer frame is cut when it is told in a page; the gateway has it whole.
pub const LONGEST_TOLD: usize = 8 * 1024;

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the station.
    Received,
    /// To the station.
    Sent,
}

impl Direction {
    /// The name in queries and exports.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Received => "received",
            Direction::Sent => "sent",
        }
    }
}

/// Which frames are wanted. Everything that is named must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameFilter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The message's action; an answer has its call's.
    pub action: Option<String>,
    /// Which way.
    pub direction: Option<Direction>,
    /// After this number: where the page before ended.
    pub after: Option<u64>,
    /// How many at most; [`PAGE_FRAMES`] when absent.
    pub limit: Option<u16>,
}

/// A frame as it went over the line, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedFrame {
    /// Its number: it rises over all frames of the gateway.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The station's connection, as the gateway counts them.
    pub connection: u64,
    /// Which way.
    pub direction: Direction,
    /// The message's action, where it has one or its call had.
    pub action: Option<String>,
    /// The message's id.
    pub message_id: Option<String>,
    /// The frame.
    pub text: String,
    /// So many frames of this connection just before it were not kept.
    pub lost_before: u32,
}

/// A page of frames, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FramePage {
    /// The frames.
    pub frames: Vec<LoggedFrame>,
    /// Where the next page begins; absent when there is none yet.
    pub next: Option<u64>,
}
