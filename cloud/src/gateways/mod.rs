//! Gateways: how a box becomes one of ours, and how we know it again.
//!
//! An operator makes a one-time claim code for a site; the installer types it into the box; the box trades it for an identity
//! and a secret. The secret is shown that once. What is kept are a key derived from it, which verifies logins and seals
//! frames, and its hashes for external brokers: none is a login.
//!
//! A box that was copied is two with one identity. A code that renews it settles which one is right: the box that trades it goes on
//! as the same gateway, with all that it has not sent, and with a secret that the copy does not have.

mod basic;
mod enroll;
mod keys;
pub mod mosquitto;
pub mod nats;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use shared::id::GatewayId;
use sqlx::PgExecutor;

pub use basic::who;
pub use enroll::router;
pub use keys::Keys;

use crate::auth::random_text;
use crate::db::gateway as rows;

/// 15 random bytes: short enough to type, far too many to guess within an hour.
const CODE_BYTES: usize = 15;

/// A one-time code, as it is shown once.
#[derive(Debug, Clone)]
pub struct ClaimCode {
    /// What the installer types.
    pub code: String,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// Makes a claim code for a site; only its hash is kept.
///
/// # Errors
/// When the database refuses, for example for an unknown site.
pub async fn create_claim(db: impl PgExecutor<'_>, site_id: i64, ttl: Duration) -> sqlx::Result<ClaimCode> {
    claim(db, site_id, None, ttl).await
}

/// Makes a code with which one box goes on as a gateway of a site, with secrets that no other box has.
///
/// # Errors
/// When the database refuses.
pub async fn renew_claim(
    db: impl PgExecutor<'_>,
    site_id: i64,
    gateway: GatewayId,
    ttl: Duration,
) -> sqlx::Result<ClaimCode> {
    claim(db, site_id, Some(gateway), ttl).await
}

async fn claim(
    db: impl PgExecutor<'_>,
    site_id: i64,
    renews: Option<GatewayId>,
    ttl: Duration,
) -> sqlx::Result<ClaimCode> {
    let code = grouped(&random_text(CODE_BYTES));
    let expires_at = rows::insert_claim(db, site_id, renews, &hash(&code), ttl).await?;
    Ok(ClaimCode { code, expires_at })
}

/// In fours, as it is read out over the phone.
fn grouped(code: &str) -> String {
    let fours: Vec<String> =
        code.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).into_owned()).collect();
    fours.join("-")
}

/// Codes are random and long: a plain hash is enough, and a lookup by it takes no comparison. How it was typed (case, dashes,
/// O for 0, I or L for 1) does not matter.
fn hash(code: &str) -> Vec<u8> {
    let meant = |typed: char| match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).map(meant).collect();
    blake3::hash(code.as_bytes()).as_bytes().to_vec()
}

/// Writes a file that only we and the broker's group may read.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o640)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_typed() {
        let code = grouped("0123456789ABCDEFGHJKMNPQ");
        assert_eq!(code, "0123-4567-89AB-CDEF-GHJK-MNPQ");
        for typed in
            [" 0123 4567-89abcdef-GHJK-MNPQ\n", "oi23456789ABCDEFGHJKMNPQ", "oL23456789ABCDEFGHJKMNPQ"]
        {
            assert_eq!(hash(typed), hash(&code), "{typed}");
        }
        assert_ne!(hash("0123-4567-89AB-CDEF-GHJK-MNPR"), hash(&code));
    }
}
