//! The tag that proves who made a frame and for which topic, so that no broker has to be trusted.
//!
//! A keyed BLAKE3 over topic and bytes, 16 bytes long; it is the checksum too. Keyed hashing rather than signatures: the
//! same key proves both directions, verification costs a microsecond, and what the cloud stores (a key derived from the
//! gateway's secret) is no login.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MAX_FRAME_BYTES, Topic, VERSION};

const TAG: usize = 16;
const CONTEXT: &str = "evb v1 gateway frame key";

/// The key that seals the frames of one gateway, both ways.
#[derive(Clone, PartialEq, Eq)]
pub struct FrameKey([u8; 32]);

/// A frame whose tag was right: its version and its postcard bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealed<'a> {
    /// The version of the wire.
    pub version: u8,
    /// What that version's module reads.
    pub body: &'a [u8],
}

/// Why a frame was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// Too short or too long to be a frame.
    #[error("a frame has {TAG} to {MAX_FRAME_BYTES} bytes, this one has {0}")]
    Size(usize),
    /// Not made with this key for this topic, or damaged.
    #[error("the frame's tag does not fit its topic and bytes")]
    Tag,
    /// A version that this build does not read.
    #[error("wire version {0} is not known here")]
    Version(u8),
    /// The version's module cannot read it.
    #[error("the frame's content cannot be read: {0}")]
    Content(#[from] postcard::Error),
}

impl FrameKey {
    /// The key of a gateway's secret.
    pub fn derive(secret: &[u8]) -> Self {
        FrameKey(blake3::derive_key(CONTEXT, secret))
    }

    /// A key as the cloud stores it.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        FrameKey(bytes)
    }

    /// The bytes that the cloud stores.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Is this the key of that secret? Takes the same time whatever the answer.
    pub fn fits(&self, secret: &[u8]) -> bool {
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(FrameKey::derive(secret).0)
    }

    /// Writes a message as a sealed frame for a topic.
    pub fn seal<T: Serialize>(&self, topic: &Topic, message: &T) -> Vec<u8> {
        let mut frame = postcard::to_extend(message, vec![VERSION]).expect("wire types always serialise");
        frame.extend_from_slice(&self.tag(topic, &frame));
        frame
    }

    /// Checks a frame's tag.
    pub fn unseal<'a>(&self, topic: &Topic, frame: &'a [u8]) -> Result<Unsealed<'a>, SealError> {
        if !(TAG + 1..=MAX_FRAME_BYTES).contains(&frame.len()) {
            return Err(SealError::Size(frame.len()));
        }
        let (content, tag) = frame.split_at(frame.len() - TAG);
        if !same(&self.tag(topic, content), tag) {
            return Err(SealError::Tag);
        }
        Ok(Unsealed { version: content[0], body: &content[1..] })
    }

    /// Checks a frame and reads it as a message of version 1.
    pub fn open<T: DeserializeOwned>(&self, topic: &Topic, frame: &[u8]) -> Result<T, SealError> {
        let unsealed = self.unseal(topic, frame)?;
        match unsealed.version {
            VERSION => Ok(postcard::from_bytes(unsealed.body)?),
            other => Err(SealError::Version(other)),
        }
    }

    fn tag(&self, topic: &Topic, content: &[u8]) -> [u8; TAG] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(topic.to_string().as_bytes()).update(&[0]).update(content);
        let mut tag = [0; TAG];
        hasher.finalize_xof().fill(&mut tag);
        tag
    }
}

impl std::fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameKey(…)")
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Shard;
    use crate::sync::{DownTopic, UpTopic};

    fn topic(shard: u16, way: impl Into<crate::sync::topic::Way>) -> Topic {
        Topic::new(Shard(shard), "018f4e1c-0000-7000-8000-000000000001".parse().unwrap(), way)
    }

    #[test]
    fn a_frame_opens_only_with_its_key_on_its_topic_undamaged() {
        let key = FrameKey::derive(b"secret");
        let frame = key.seal(&topic(1, UpTopic::Batch), &(7u32, "x"));
        assert_eq!(key.open::<(u32, String)>(&topic(1, UpTopic::Batch), &frame), Ok((7, "x".into())));
        assert_eq!(key.open::<(u32, String)>(&topic(2, UpTopic::Batch), &frame), Err(SealError::Tag));
        assert_eq!(key.open::<(u32, String)>(&topic(1, DownTopic::Ack), &frame), Err(SealError::Tag));
        let other = FrameKey::derive(b"other");
        assert_eq!(other.open::<(u32, String)>(&topic(1, UpTopic::Batch), &frame), Err(SealError::Tag));
        for place in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged[place] ^= 1;
            assert_eq!(key.unseal(&topic(1, UpTopic::Batch), &damaged), Err(SealError::Tag));
        }
        assert_eq!(key.unseal(&topic(1, UpTopic::Batch), &frame[..16]), Err(SealError::Size(16)));
    }

    #[test]
    fn a_key_knows_its_secret_and_does_not_print_itself() {
        let key = FrameKey::derive(b"secret");
        assert!(key.fits(b"secret") && !key.fits(b"Secret"));
        assert_eq!(format!("{key:?}"), "FrameKey(…)");
    }
}
