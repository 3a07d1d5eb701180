//! Sign-ins: an access token for an hour at most, and a refresh token that is exchanged for the next pair.
//!
//! Every refresh token works once. One that comes a second time was copied, and since nobody can tell the thief from the
//! owner, the sign-in ends for both; the owner signs in again. One case is no theft: the answer to an exchange was lost on a
//! bad connection. So for a minute a spent token is taken again, as long as nobody used the one it was exchanged for, which
//! then is void. Apps should renew from one place at a time: of two that exchange the same token, the first loses.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::jwt::{self, Claims};
use super::{Auth, Refusal, random_text};
use crate::clock;
use crate::db::alarm::{self, Alarm};
use crate::db::audit;
use crate::db::sign_in::{self, Worth};
use crate::db::user::{self, Account};

const PREFIX: &str = "evbr_";
const RANDOM_BYTES: usize = 20;
/// What `random_text` makes of them, and the prefix.
const LENGTH: usize = 5 + 32;

/// What somebody is signed in with.
pub struct Tokens {
    /// Goes with every request.
    pub access: String,
    /// Good for one exchange.
    pub refresh: String,
    /// When the access token ends.
    pub expires_at: DateTime<Utc>,
}

impl Auth {
    /// The next pair of tokens for a refresh token.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn refresh(&self, token: &str) -> Result<Tokens, Refusal> {
        let digest = digest(token).ok_or(Refusal::SignedOut)?;
        let mut tx = self.db.begin().await?;
        let (id, user) = match sign_in::judge(&mut tx, &digest).await?.ok_or(Refusal::SignedOut)? {
            Worth::Good(id, user) => (id, user),
            Worth::Stolen(id, user) => {
                end_for_theft(&mut tx, id, user).await?;
                tx.commit().await?;
                return Err(Refusal::SignedOut);
            }
        };
        let account = user::account(&mut tx, user).await?.filter(|it| it.is_active);
        let account = account.ok_or(Refusal::SignedOut)?;
        let refresh = new_token();
        let new = self::digest(&refresh).expect("our own token");
        sign_in::exchange(&mut tx, id, &digest, &new, self.refresh_days).await?;
        tx.commit().await?;
        Ok(self.tokens(account, id, refresh))
    }

    /// Ends the sign-in of a refresh token. One that is not known is signed out already.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sign_out(&self, refresh_token: &str) -> Result<(), Refusal> {
        match digest(refresh_token) {
            Some(digest) => Ok(sign_in::end_of_token(&self.db, &digest).await?),
            None => Ok(()),
        }
    }

    /// Ends everything that a person is signed in with.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sign_out_everywhere(&self, user: i64) -> Result<(), Refusal> {
        let mut tx = self.db.begin().await?;
        sign_in::end_all(&mut tx, user).await?;
        audit::write(&mut tx, &of_user(user, Some(user), "sign out everywhere")).await?;
        Ok(tx.commit().await?)
    }

    /// Signs somebody in.
    pub(super) async fn sign_in(&self, tx: &mut PgConnection, account: Account) -> Result<Tokens, Refusal> {
        let id = sign_in::begin(&mut *tx, account.id, self.refresh_days).await?;
        let refresh = new_token();
        sign_in::add_token(tx, id, &digest(&refresh).expect("our own token")).await?;
        Ok(self.tokens(account, id, refresh))
    }

    fn tokens(&self, account: Account, sign_in: Uuid, refresh: String) -> Tokens {
        let now = clock::utc();
        let claims = Claims {
            username: account.username,
            name: account.name,
            email: account.email,
            ..Claims::new(
                account.id,
                account.role,
                account.token_version,
                now.timestamp(),
                self.access_seconds,
            )
        };
        let access = jwt::sign(&Claims { sid: sign_in, ..claims }, self.keys.signing());
        Tokens { access, refresh, expires_at: now + TimeDelta::seconds(self.access_seconds) }
    }
}

/// An entry of the log about a person.
pub(super) fn of_user(user: i64, actor: Option<i64>, action: &'static str) -> audit::Entry<'static> {
    audit::Entry { actor, action, entity: "User", row_id: Some(user.to_string()), ..audit::Entry::default() }
}

async fn end_for_theft(tx: &mut PgConnection, id: Uuid, user: i64) -> sqlx::Result<()> {
    tracing::warn!(user, "a refresh token came a second time; the sign-in is ended");
    metrics::counter!("refresh_tokens_reused_total").increment(1);
    sign_in::end(&mut *tx, id).await?;
    let alarm = Alarm {
        kind: "refresh-token-reused".into(),
        subject: format!("user {user}"),
        detail: serde_json::json!({"user": user}),
    };
    alarm::raise(&mut *tx, None, None, &alarm).await?;
    audit::write(tx, &of_user(user, None, "refresh token reused")).await?;
    Ok(())
}

fn new_token() -> String {
    format!("{PREFIX}{}", random_text(RANDOM_BYTES))
}

/// 160 random bits need no slow hash. `None` when it cannot be a token of ours.
fn digest(token: &str) -> Option<[u8; 32]> {
    let ours = token.len() == LENGTH && token.starts_with(PREFIX);
    ours.then(|| Sha256::digest(token).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_known_by_their_looks() {
        let token = new_token();
        assert!(digest(&token).is_some() && new_token() != token);
        for wrong in ["", "evbr_", "a.b.c", &token[1..], &format!("{token}0")] {
            assert!(digest(wrong).is_none(), "{wrong}");
        }
    }
}
