//! The keys that sign access tokens. All of the set verify, the first one signs, so a key is changed by putting a new one
//! in front and taking the old one away an hour later.

use anyhow::{Context, bail};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sqlx::PgPool;

use crate::config;

/// A named secret.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) secret: Vec<u8>,
}

impl Key {
    pub(super) fn new(kid: impl Into<String>, secret: impl Into<Vec<u8>>) -> Self {
        Self { kid: kid.into(), secret: secret.into() }
    }

    /// Tokens are base64 and have no space in them: no token is ever a code.
    fn code_mac(&self, account: &str, code: &str) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.chain_update("one-time code ").chain_update(code).chain_update(" ").chain_update(account)
    }
}

/// At least one key.
pub(super) struct KeySet(Vec<Key>);

impl KeySet {
    /// A set of given keys, the first one signs.
    pub(super) fn new(keys: Vec<Key>) -> anyhow::Result<Self> {
        if keys.is_empty() {
            bail!("no key to sign access tokens with");
        }
        Ok(Self(keys))
    }

    /// The configured keys, or the one that all replicas share through Postgres.
    pub(super) async fn load(config: &config::Auth, db: &PgPool) -> anyhow::Result<Self> {
        let configured =
            config.signing_keys.iter().map(|key| Key::new(&key.kid, key.secret.expose().as_bytes()));
        let keys: Vec<Key> = configured.collect();
        if keys.is_empty() { Self::shared(db).await } else { Self::new(keys) }
    }

    /// Replicas that start together race for the first key; the primary key lets one win, and all read what won.
    async fn shared(db: &PgPool) -> anyhow::Result<Self> {
        let mut secret = [0_u8; 32];
        getrandom::fill(&mut secret).context("no randomness")?;
        sqlx::query("insert into signing_keys (kid, secret) select 'first', $1 where not exists (select from signing_keys) on conflict do nothing")
            .bind(&secret[..])
            .execute(db)
            .await?;
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("select kid, secret from signing_keys order by created_at desc, kid")
                .fetch_all(db)
                .await?;
        Self::new(rows.into_iter().map(|(kid, secret)| Key::new(kid, secret)).collect())
    }

    pub(super) fn signing(&self) -> &Key {
        self.0.first().expect("a key set is never empty")
    }

    pub(super) fn find(&self, kid: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// What is kept of a one-time code.
    pub(super) fn code_digest(&self, account: &str, code: &str) -> Vec<u8> {
        self.signing().code_mac(account, code).finalize().into_bytes().to_vec()
    }

    /// Is it the digest of this code? Under any key of the set, because keys change while codes are on their way.
    pub(super) fn is_code_digest(&self, account: &str, code: &str, digest: &[u8]) -> bool {
        self.0.iter().any(|key| key.code_mac(account, code).verify_slice(digest).is_ok())
    }
}
