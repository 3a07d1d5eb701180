//! Which sites changed on the map since when, so that nobody who follows misses a commit.
//!
//! Triggers stamp a site with the transaction that changes it (`site_changes`, `0005_map.sql`), whoever writes: a gateway's
//! batch, a person's edit, a booking, a deletion. Transactions commit in another order than they begin, so neither a counter
//! nor a clock could say "everything up to here has been seen" without making all writers wait for one another. Postgres
//! itself can: of a snapshot it knows the oldest transaction that was still running. That one is the [`Cursor`].
//!
//! * What a snapshot does not show was done by a transaction that ran at that moment or began later, and both have numbers
//!   not below the cursor. So `changed_in >= cursor` finds all that was missed.
//! * A stamp may be overwritten by a transaction of a lower number, but only after waiting for the row: whoever saw neither
//!   read while the lower one ran, so his cursor is not above it.
//! * It may also find what was seen (a long transaction holds the cursor back). Repeats are harmless: a state is sent, not a
//!   step. Who remembers the stamps he saw does not even read such sites again: a stamp is shown together with what it did.
//! * A deleted site keeps its row here, so a deletion is found as well.
//!
//! A cursor is good on every replica, and across their deaths: it is about the database. Another database (restored from a
//! backup, or a standby that was promoted without the last commits) counts anew, so a cursor names the cluster and its
//! timeline too, and is refused elsewhere.

use std::fmt;
use std::str::FromStr;

use sqlx::PgPool;

/// How far somebody has seen. Opaque to apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    cluster: i64,
    timeline: i64,
    oldest: i64,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct NotACursor;

/// A site's newest stamp.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The site; it may be gone.
    pub site_id: i64,
    /// The transaction.
    pub changed_in: i64,
    /// Did more than a status change since the cursor that was asked for?
    pub reshaped: bool,
}

impl Cursor {
    /// The cursor of a state that is read after this.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now(db: &PgPool) -> sqlx::Result<Self> {
        Ok(Seen::after(i64::MAX, db).await?.cursor())
    }

    /// The stamps not below this cursor, and the cursor behind them; `None` when it is of another database.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn since(self, db: &PgPool) -> sqlx::Result<Option<(Self, Vec<Stamp>)>> {
        let seen = Seen::after(self.oldest, db).await?;
        let next = seen.cursor();
        let same =
            (next.cluster, next.timeline) == (self.cluster, self.timeline) && next.oldest >= self.oldest;
        Ok(same.then(|| (next, seen.stamps())))
    }

    /// Could a state of this cursor lack what the stamp stands for?
    pub fn may_lack(&self, changed_in: i64) -> bool {
        changed_in >= self.oldest
    }
}

/// What one snapshot shows: of itself, and of the sites.
#[derive(sqlx::FromRow)]
struct Seen {
    cluster: i64,
    timeline: i64,
    oldest: i64,
    sites: Vec<i64>,
    changed_in: Vec<i64>,
    reshaped: Vec<bool>,
}

impl Seen {
    async fn after(oldest: i64, db: &PgPool) -> sqlx::Result<Self> {
        sqlx::query_as(
            "select (select system_identifier from pg_control_system()) as cluster,
                    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint as timeline,
                    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as oldest,
                    coalesce(array_agg(site_id), '{}') as sites,
                    coalesce(array_agg(changed_in::text::bigint), '{}') as changed_in,
                    coalesce(array_agg(reshaped_in >= $1::text::xid8), '{}') as reshaped
             from site_changes where changed_in >= $1::text::xid8",
        )
        .bind(oldest.to_string())
        .fetch_one(db)
        .await
    }

    fn cursor(&self) -> Cursor {
        Cursor { cluster: self.cluster, timeline: self.timeline, oldest: self.oldest }
    }

    fn stamps(self) -> Vec<Stamp> {
        let rows = self.sites.into_iter().zip(self.changed_in).zip(self.reshaped);
        rows.map(|((site_id, changed_in), reshaped)| Stamp { site_id, changed_in, reshaped }).collect()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}.{:x}", self.cluster, self.timeline, self.oldest)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let mut parts = text.split('.').map(|part| i64::from_str_radix(part, 16));
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(cluster)), Some(Ok(timeline)), Some(Ok(oldest)), None) if oldest >= 0 => {
                Ok(Self { cluster, timeline, oldest })
            }
            _ => Err(NotACursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor { cluster: 7_711_145_227_922_749_124, timeline: 3, oldest: 1_122 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1.2", "1.2.3.4", "1.2.x", "1.2.-3", "1.2.ffffffffffffffffffff"] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }
}
