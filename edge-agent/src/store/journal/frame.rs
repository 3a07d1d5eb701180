//! A frame: `magic │ number │ length │ checksum │ entries in postcard`. The checksum is over the number and the entries,
//! so that a frame at another place, or half of one, is none.

use super::Entry;

const MAGIC: [u8; 4] = *b"EVJ1";
const HEAD: usize = 4 + 8 + 4 + 8;

/// A commit as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Frame {
    pub(in crate::store) number: u64,
    pub(in crate::store) entries: Vec<Entry>,
}

impl Frame {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Frame { number, entries } = self;
        let body = postcard::to_stdvec(entries).expect("entries always serialise");
        let length = u32::try_from(body.len()).expect("a commit is far smaller than 4 GiB");
        let mut bytes = Vec::with_capacity(HEAD + body.len());
        bytes.extend(MAGIC);
        bytes.extend(number.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(sum(*number, &body));
        bytes.extend(body);
        bytes
    }
}

/// The whole frames of a segment. Behind a damaged one the next is looked for, so that only the damaged one is lost.
pub(super) fn read(bytes: &[u8]) -> Vec<Frame> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some(found) = next_magic(bytes, at) {
        match one(&bytes[found..]) {
            Some((frame, length)) => {
                frames.push(frame);
                at = found + length;
            }
            None => at = found + 1,
        }
    }
    frames
}

fn next_magic(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(MAGIC.len()).position(|window| window == MAGIC).map(|place| from + place)
}

fn one(bytes: &[u8]) -> Option<(Frame, usize)> {
    let number = u64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?);
    let length = usize::try_from(u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?)).ok()?;
    let body = bytes.get(HEAD..HEAD.checked_add(length)?)?;
    if bytes.get(16..HEAD)? != sum(number, body) {
        return None;
    }
    Some((Frame { number, entries: postcard::from_bytes(body).ok()? }, HEAD + length))
}

fn sum(number: u64, body: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(body);
    let hash = hasher.finalize();
    std::array::from_fn(|place| hash.as_bytes()[place])
}
