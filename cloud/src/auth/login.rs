//! Passwords in, tokens out; tokens in, [`Viewer`]s out.

use std::net::IpAddr;
use std::time::Instant;

use sqlx::{PgConnection, PgPool};

use super::keys::KeySet;
use super::sign_in::of_user;
use super::throttle::Throttle;
use super::{Refusal, Tokens, Viewer, api_key, jwt, limits, password};
use crate::clock;
use crate::config::Config;
use crate::courier::Courier;
use crate::db::user::{self, Account};
use crate::db::{audit, sign_in};

/// Signs people in and recognises them.
pub struct Auth {
    pub(super) db: PgPool,
    pub(super) keys: KeySet,
    pub(super) throttle: Throttle,
    pub(super) courier: Courier,
    pub(super) access_seconds: i64,
    pub(super) refresh_days: i32,
    pub(super) texts_per_hour: u32,
}

/// What somebody shows to sign in.
pub struct Credentials<'a> {
    /// User name, e-mail address or phone number.
    pub account: &'a str,
    /// The password.
    pub password: &'a str,
}

impl Auth {
    /// Loads the signing keys.
    ///
    /// # Errors
    /// When the database does not answer, or the mail server's certificate authority cannot be read.
    pub async fn load(config: &Config, db: PgPool) -> anyhow::Result<Self> {
        Ok(Self {
            keys: KeySet::load(&config.auth, &db).await?,
            db,
            throttle: Throttle::default(),
            courier: Courier::new(config)?,
            access_seconds: i64::from(config.auth.access_token_minutes) * 60,
            refresh_days: i32::try_from(config.auth.refresh_token_days)?,
            texts_per_hour: config.sms.per_hour,
        })
    }

    /// What carries the codes.
    pub fn courier(&self) -> &Courier {
        &self.courier
    }

    /// Signs in by password.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn login(&self, shown: &Credentials<'_>, from: IpAddr) -> Result<Tokens, Refusal> {
        let found = user::by_login(&self.db, shown.account);
        let account = self.check_password(shown, from, found).await?;
        let mut tx = self.db.begin().await?;
        let tokens = self.sign_in(&mut tx, account).await?;
        tx.commit().await?;
        Ok(tokens)
    }

    /// Changes the password of who knows it, ends all that he was signed in with, and signs him in anew.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn change_password(
        &self,
        user: i64,
        current: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<Tokens, Refusal> {
        let shown = Credentials { account: &format!("user {user}"), password: current };
        let found = async { user::account(&mut *self.db.acquire().await?, user).await };
        let account = self.check_password(&shown, from, found).await?;
        let hash = password::hash(new).await?;
        let mut tx = self.db.begin().await?;
        let tokens = self.replace_password(&mut tx, account, &hash).await?;
        tx.commit().await?;
        Ok(tokens)
    }

    /// Whose token it is; `None` when it is not good or no longer good.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn viewer(&self, token: &str) -> anyhow::Result<Option<Viewer>> {
        if api_key::is_key(token) {
            return self.program(token).await;
        }
        let Some(claims) = jwt::verify(token, &self.keys, clock::utc().timestamp()) else { return Ok(None) };
        let standing = user::standing(&self.db, claims.sub, Some(claims.sid)).await?;
        Ok(standing.filter(|it| it.is_active && it.token_version == claims.ver).and_then(|it| {
            let memberships = it.memberships();
            Some(Viewer { id: claims.sub, role: it.role.parse().ok()?, memberships, expires_at: claims.exp })
        }))
    }

    /// Counts before it looks, and takes as long for nobody as for somebody.
    async fn check_password(
        &self,
        shown: &Credentials<'_>,
        from: IpAddr,
        found: impl Future<Output = sqlx::Result<Option<Account>>>,
    ) -> Result<Account, Refusal> {
        self.throttle.admit(shown.account, from, Instant::now()).map_err(Refusal::Wait)?;
        limits::PASSWORDS.admit(&self.db, shown.account, from).await?;
        let account = found.await?;
        let stored = account.as_ref().filter(|it| it.is_active).and_then(|it| it.password_hash.as_deref());
        if !password::verify(shown.password, stored).await? {
            return Err(Refusal::Wrong);
        }
        self.throttle.forgive(shown.account, from);
        limits::PASSWORDS.forgive(&self.db, shown.account, from).await?;
        account.ok_or(Refusal::Wrong)
    }

    pub(super) async fn replace_password(
        &self,
        tx: &mut PgConnection,
        account: Account,
        hash: &str,
    ) -> Result<Tokens, Refusal> {
        user::set_password(&mut *tx, account.id, hash).await?;
        sign_in::end_all(&mut *tx, account.id).await?;
        let account = Account { token_version: account.token_version + 1, ..account };
        let user = account.id;
        let tokens = self.sign_in(&mut *tx, account).await?;
        audit::write(tx, &of_user(user, Some(user), "set password")).await?;
        Ok(tokens)
    }
}
