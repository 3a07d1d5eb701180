//! The topics, as types. `evb/v1/{shard}/{gateway}/up/…` is written by the gateway, `…/down/…` by the cloud.
//!
//! ```
//! use shared::id::Shard;
//! use shared::sync::topic::{Topic, UpTopic};
//! let text = "evb/v1/3/018f4e1c-0000-7000-8000-000000000001/up/batch";
//! let topic: Topic = text.parse().unwrap();
//! assert_eq!(topic.shard, Shard(3));
//! assert_eq!(topic.way, UpTopic::Batch.into());
//! assert_eq!(topic.to_string(), text);
//! ```

use std::fmt;
use std::str::FromStr;

use crate::id::{GatewayId, Shard};

/// One gateway's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The shard that the gateway belongs to.
    pub shard: Shard,
    /// The gateway.
    pub gateway: GatewayId,
    /// Which of its topics.
    pub way: Way,
}

/// The direction of a topic and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the gateway.
    Up(UpTopic),
    /// To the gateway.
    Down(DownTopic),
}

/// What a gateway sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the frames")]
pub enum UpTopic {
    Hello,
    Batch,
    Result,
}

/// What the cloud sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the frames")]
pub enum DownTopic {
    Welcome,
    Ack,
    Command,
    Want,
}

/// A text that is no topic of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a topic of this protocol: {0:?}")]
pub struct BadTopic(String);

const WAYS: [(&str, Way); 7] = [
    ("up/hello", Way::Up(UpTopic::Hello)),
    ("up/batch", Way::Up(UpTopic::Batch)),
    ("up/result", Way::Up(UpTopic::Result)),
    ("down/welcome", Way::Down(DownTopic::Welcome)),
    ("down/ack", Way::Down(DownTopic::Ack)),
    ("down/command", Way::Down(DownTopic::Command)),
    ("down/want", Way::Down(DownTopic::Want)),
];

impl Topic {
    /// A gateway's topic.
    pub fn new(shard: Shard, gateway: GatewayId, way: impl Into<Way>) -> Self {
        Topic { shard, gateway, way: way.into() }
    }

    /// The filter for all that the cloud sends to a gateway.
    pub fn down_filter(shard: Shard, gateway: GatewayId) -> String {
        format!("evb/v1/{}/{gateway}/down/+", shard.0)
    }

    /// The filter for all that the gateways of a shard send.
    pub fn up_filter(shard: Shard) -> String {
        format!("evb/v1/{}/+/up/+", shard.0)
    }
}

impl From<UpTopic> for Way {
    fn from(up: UpTopic) -> Way {
        Way::Up(up)
    }
}

impl From<DownTopic> for Way {
    fn from(down: DownTopic) -> Way {
        Way::Down(down)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = WAYS.iter().find(|(_, way)| *way == self.way).expect("every way has a name");
        write!(f, "evb/v1/{}/{}/{name}", self.shard.0, self.gateway)
    }
}

impl FromStr for Topic {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        parse(text).filter(|topic| topic.to_string() == text).ok_or_else(|| BadTopic(text.into()))
    }
}

fn parse(text: &str) -> Option<Topic> {
    let mut levels = text.strip_prefix("evb/v1/")?.splitn(3, '/');
    let shard = Shard(levels.next()?.parse().ok()?);
    let gateway = levels.next()?.parse().ok()?;
    let rest = levels.next()?;
    let (_, way) = WAYS.iter().find(|(name, _)| *name == rest)?;
    Some(Topic { shard, gateway, way: *way })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_goes_there_and_back() {
        let gateway = "018f4e1c-0000-7000-8000-000000000001".parse().unwrap();
        for (_, way) in WAYS {
            let topic = Topic::new(Shard(15), gateway, way);
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
    }

    #[test]
    fn other_topics_are_none_of_ours() {
        let uuid = "018f4e1c-0000-7000-8000-000000000001";
        let upper = uuid.to_uppercase();
        for text in [
            String::new(),
            format!("evb/v2/1/{uuid}/up/batch"),
            format!("evb/v1/x/{uuid}/up/batch"),
            format!("evb/v1/+1/{uuid}/up/batch"),
            format!("evb/v1/1/{upper}/up/batch"),
            format!("evb/v1/1/{uuid}/up/batch/x"),
            format!("evb/v1/1/{uuid}/up/#"),
            "evb/v1/1/+/up/batch".into(),
        ] {
            assert!(text.parse::<Topic>().is_err(), "{text}");
        }
    }
}
