//! Login and tokens.

use anyhow::{bail, ensure};
use serde::Deserialize;

use super::{Http, Secret};

/// The first apps expect an hour, and know no way to renew a token before they sign in again.
const LONGEST_ACCESS: u32 = 60;
const SHORTEST_SECRET: usize = 32;

/// Login and tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Keys that sign access tokens, the first one signs; empty: kept in Postgres, shared by all replicas.
    pub signing_keys: Vec<SigningKey>,
    /// How long an access token is good.
    pub access_token_minutes: u32,
    /// How long somebody stays signed in without using it.
    pub refresh_token_days: u32,
    /// Messages are shown at `/dev/mail` instead of being sent.
    pub dev_mailbox: bool,
    /// The page at `/dev/mail` may be read by everybody who reaches the listener.
    pub dev_mailbox_anywhere: bool,
}

/// One key that signs access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Its name in a token's header.
    pub kid: String,
    /// At least 32 characters.
    pub secret: Secret,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            signing_keys: Vec::new(),
            access_token_minutes: LONGEST_ACCESS,
            refresh_token_days: 30,
            dev_mailbox: false,
            dev_mailbox_anywhere: false,
        }
    }
}

impl Auth {
    pub(super) fn check(&self, http: &Http) -> anyhow::Result<()> {
        for (place, key) in self.signing_keys.iter().enumerate() {
            if key.secret.expose().len() < SHORTEST_SECRET {
                bail!("auth.signing_keys: the secret of `{}` is shorter than 32 characters", key.kid);
            }
            if self.signing_keys[..place].iter().any(|other| other.kid == key.kid) {
                bail!("auth.signing_keys: two keys are called `{}`; a new key needs a new kid", key.kid);
            }
        }
        ensure!(
            (1..=LONGEST_ACCESS).contains(&self.access_token_minutes),
            "auth.access_token_minutes must be 1 to {LONGEST_ACCESS}; a longer sign-in is what refresh tokens are for"
        );
        ensure!((1..=365).contains(&self.refresh_token_days), "auth.refresh_token_days must be 1 to 365");
        let reached_from_elsewhere = !http.listen.ip().is_loopback() || http.trust_forwarded_for;
        if self.dev_mailbox && reached_from_elsewhere && !self.dev_mailbox_anywhere {
            bail!(
                "auth.dev_mailbox shows everybody's one-time codes, and http.listen or http.trust_forwarded_for says that \
                 others can reach it: listen on 127.0.0.1 without a proxy, or set auth.dev_mailbox_anywhere on a network \
                 where everybody may sign in as anybody"
            );
        }
        Ok(())
    }
}
