//! How often something may be tried or sent: per account and per address, counted in Postgres for all replicas together.
//!
//! The address goes first, so that one that is refused cannot use up the attempts of an account too. What `throttle` already
//! knows to be too much never gets here.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::Refusal;
use crate::db::limit;

/// So many within a time.
pub(super) struct Limit {
    what: &'static str,
    per_account: i32,
    per_address: i32,
    within: Duration,
}

/// Failed logins by password; as many as `throttle` allows on one replica.
pub(super) const PASSWORDS: Limit =
    Limit { what: "password", per_account: 10, per_address: 30, within: Duration::from_mins(5) };
/// Failed logins by code, over all codes sent: at this rate a code of six digits is guessed in twenty years.
pub(super) const CODES_TRIED: Limit =
    Limit { what: "code tried", per_account: 10, per_address: 60, within: Duration::from_mins(15) };
/// Codes sent.
pub(super) const CODES_SENT: Limit =
    Limit { what: "code sent", per_account: 5, per_address: 60, within: Duration::from_mins(10) };
/// Members added by one person.
pub(super) const INVITATIONS: Limit =
    Limit { what: "invitation", per_account: 60, per_address: 120, within: HOUR };

const HOUR: Duration = Duration::from_hours(1);

impl Limit {
    /// Counts one, or says how long to wait.
    pub(super) async fn admit(&self, db: &PgPool, account: &str, from: IpAddr) -> Result<(), Refusal> {
        for (key, most) in
            [(self.of_address(from), self.per_address), (self.of_account(account), self.per_account)]
        {
            within(limit::count(db, &key, self.within).await, most)?;
        }
        Ok(())
    }

    /// It was no guess: the account starts over.
    pub(super) async fn forgive(&self, db: &PgPool, account: &str, from: IpAddr) -> Result<(), Refusal> {
        limit::reset(db, &self.of_account(account)).await?;
        limit::uncount(db, &self.of_address(from)).await?;
        Ok(())
    }

    /// It did not happen after all.
    pub(super) async fn take_back(&self, db: &PgPool, account: &str, from: IpAddr) -> Result<(), Refusal> {
        for key in [self.of_account(account), self.of_address(from)] {
            limit::uncount(db, &key).await?;
        }
        Ok(())
    }

    fn of_account(&self, account: &str) -> [u8; 32] {
        key(self.what, "account", &account.trim().to_lowercase())
    }

    /// Whoever has one IPv6 address has all of its network.
    fn of_address(&self, address: IpAddr) -> [u8; 32] {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => (address.to_bits() >> 64).to_string(),
        };
        key(self.what, "address", &network)
    }
}

/// Counts a text message, of which the operator pays no more than so many.
pub(super) async fn admit_text_message(db: &PgPool, per_hour: u32) -> Result<(), Refusal> {
    let most = i32::try_from(per_hour).unwrap_or(i32::MAX);
    within(limit::count(db, &key("text message", "all", ""), HOUR).await, most)
}

fn within(counted: sqlx::Result<(i32, Duration)>, most: i32) -> Result<(), Refusal> {
    let (count, wait) = counted?;
    if count > most { Err(Refusal::Wait(wait)) } else { Ok(()) }
}

/// Nobody who reads the table learns who tried to sign in without trying them all.
fn key(what: &str, of: &str, whom: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(what)
        .chain_update([0])
        .chain_update(of)
        .chain_update([0])
        .chain_update(whom)
        .finalize()
        .into()
}
