//! Keys for programs, `evbk_<id>_<secret>`: shown once when they are made, known by a digest afterwards.
//!
//! 160 random bits need no slow hash. A key acts as a user of role [`Role::Service`](super::Role), who has nothing of his own
//! and one role in one organization.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Auth, Viewer, random_text};
use crate::clock;
use crate::db::{api_key, user};

const PREFIX: &str = "evbk_";
const RANDOM_BYTES: usize = 20;
const SECRET_LENGTH: usize = 32;
/// Whoever watches with a key is looked at again after so many seconds, as with any token.
const LOOKED_AT_AGAIN: i64 = 3600;

/// The secret part of a key to be, and what is kept of it.
pub(crate) fn new_secret() -> (String, [u8; 32]) {
    let secret = random_text(RANDOM_BYTES);
    let digest = Sha256::digest(&secret).into();
    (secret, digest)
}

/// A key as its owner enters it into a program.
pub(crate) fn written(id: i64, secret: &str) -> String {
    format!("{PREFIX}{id}_{secret}")
}

/// Does it look like a key? Anything else is a token.
pub(super) fn is_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

impl Auth {
    /// Whom a key acts as; `None` when it is not good or no longer good.
    pub(super) async fn program(&self, key: &str) -> anyhow::Result<Option<Viewer>> {
        let Some((id, digest)) = read(key) else { return Ok(None) };
        let known = api_key::known(&self.db, id).await?;
        let Some(known) = known.filter(|it| bool::from(it.digest.ct_eq(&digest))) else { return Ok(None) };
        if known.stale {
            api_key::touch(&self.db, id).await?;
        }
        let later = clock::utc().timestamp() + LOOKED_AT_AGAIN;
        let expires_at = known.expires_at.map_or(later, |end| end.timestamp().min(later));
        let standing = user::standing(&self.db, known.user_id, None).await?.filter(|it| it.is_active);
        Ok(standing.and_then(|it| {
            let memberships = it.memberships();
            Some(Viewer { id: known.user_id, role: it.role.parse().ok()?, memberships, expires_at })
        }))
    }
}

fn read(key: &str) -> Option<(i64, [u8; 32])> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let id = id.parse().ok().filter(|id| *id > 0)?;
    (secret.len() == SECRET_LENGTH).then(|| (id, Sha256::digest(secret).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let (secret, digest) = new_secret();
        assert_eq!(read(&written(7, &secret)), Some((7, digest)));
        let other = "0".repeat(SECRET_LENGTH);
        assert_ne!(read(&written(7, &other)), Some((7, digest)));
        for wrong in
            ["evbk_", "evbk_7", "evbk_7_", "evbk_x_0", "evbk_-7_00000000000000000000000000000000", "a.b.c"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
