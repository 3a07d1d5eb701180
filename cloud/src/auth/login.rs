//! Passwords in, tokens out; tokens in, [`Viewer`]s out.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::jwt::{self, Claims};
use super::keys::KeySet;
use super::throttle::Throttle;
use super::{Viewer, password};
use crate::clock;
use crate::config::Config;
use crate::db::user::{self, Account};

/// How long an access token is good: an hour, as apps expect; `users.token_version` ends it earlier.
const LIFETIME: i64 = 3600;

/// Signs people in and recognises them.
pub struct Auth {
    db: PgPool,
    keys: KeySet,
    throttle: Throttle,
}

/// What somebody shows to sign in.
pub struct Credentials<'a> {
    /// User name, e-mail address or phone number.
    pub account: &'a str,
    /// The password.
    pub password: &'a str,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such account, no password set, or another password: which one is not told.
    #[error("wrong account or password")]
    Wrong,
    /// Too many failures of late.
    #[error("too many attempts")]
    Wait(Duration),
    /// The database does not answer.
    #[error(transparent)]
    Broken(#[from] anyhow::Error),
}

impl Auth {
    /// Loads the signing keys.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(config: &Config, db: PgPool) -> anyhow::Result<Self> {
        let keys = KeySet::load(&config.auth, &db).await?;
        Ok(Self { db, keys, throttle: Throttle::default() })
    }

    /// An access token for a password.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn login(&self, shown: &Credentials<'_>, from: IpAddr) -> Result<String, Refusal> {
        self.throttle.admit(shown.account, from, Instant::now()).map_err(Refusal::Wait)?;
        let account = user::by_login(&self.db, shown.account).await.map_err(anyhow::Error::from)?;
        let stored = account.as_ref().filter(|it| it.is_active).and_then(|it| it.password_hash.as_deref());
        if !password::verify(shown.password, stored).await? {
            return Err(Refusal::Wrong);
        }
        self.throttle.forgive(shown.account, from);
        account.map(|account| self.token(account)).ok_or(Refusal::Wrong)
    }

    /// Whose token it is; `None` when it is not good or no longer good.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn viewer(&self, token: &str) -> anyhow::Result<Option<Viewer>> {
        let Some(claims) = jwt::verify(token, &self.keys, now()) else { return Ok(None) };
        let standing = user::standing(&self.db, claims.sub).await?;
        Ok(standing.filter(|it| it.is_active && it.token_version == claims.ver).and_then(|it| {
            let memberships = it.memberships();
            Some(Viewer { id: claims.sub, role: it.role.parse().ok()?, memberships, expires_at: claims.exp })
        }))
    }

    fn token(&self, account: Account) -> String {
        let claims = Claims {
            username: account.username,
            name: account.name,
            email: account.email,
            ..Claims::new(account.id, account.role, account.token_version, now(), LIFETIME)
        };
        jwt::sign(&claims, self.keys.signing())
    }
}

fn now() -> i64 {
    clock::now().0.div_euclid(1000)
}
