//! Is the log of changes still the one that was written?
//!
//! Each entry carries the digest of the one before, so a changed or missing entry breaks the chain. Whoever can rewrite a row
//! could rewrite all after it too: that shows against a head that was kept elsewhere, and so the head goes to the replicas'
//! logs every day.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_hours(24);

/// The end of the chain: the newest entry and its digest.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Head {
    /// The entry's number.
    pub id: i64,
    /// Its digest in hex.
    pub digest: String,
}

/// What is wrong with the log.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// An entry was changed, or the one before it is missing.
    #[error("entry {0} is not the one that was written there, or the one before it is missing")]
    At(i64),
    /// A head that was kept is not in the chain.
    #[error("entry {0} is not the one whose head was kept: the log was rewritten, or cut off before it")]
    Head(i64),
    /// It cannot be read.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.digest)
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (id, digest) = text.split_once(':')?;
            Some(Head { id: id.parse().ok()?, digest: digest.to_ascii_lowercase() })
        };
        read().ok_or_else(|| format!("{text:?} is no head, which looks like 17:9f86d0…"))
    }
}

/// The head; none of an empty log.
///
/// # Errors
/// When the database does not answer.
pub async fn head(db: &PgPool) -> sqlx::Result<Option<Head>> {
    sqlx::query_as("select id, encode(digest, 'hex') as digest from audit order by id desc limit 1")
        .fetch_optional(db)
        .await
}

/// Goes through the whole chain, and looks for a head that was kept elsewhere. Returns the present head.
///
/// # Errors
/// Names the first entry that is not what was written.
pub async fn verify(db: &PgPool, kept: Option<&Head>) -> Result<Option<Head>, Broken> {
    let broken: Option<i64> = sqlx::query_scalar(
        "select id from (
             select a.id, a.id <> lag(a.id, 1, 0::bigint) over w + 1 as gap,
                    a.digest is distinct from audit_digest(coalesce(lag(a.digest) over w, ''), a) as changed
             from audit a window w as (order by a.id)) it
         where gap or changed order by id limit 1",
    )
    .fetch_optional(db)
    .await?;
    if let Some(id) = broken {
        return Err(Broken::At(id));
    }
    if let Some(kept) = kept {
        let there = sqlx::query_scalar(
            "select exists (select from audit where id = $1 and encode(digest, 'hex') = $2)",
        );
        let there: bool = there.bind(kept.id).bind(&kept.digest).fetch_one(db).await?;
        if !there {
            return Err(Broken::Head(kept.id));
        }
    }
    Ok(head(db).await?)
}

/// Writes the head to the log now and once a day, until `stop`.
///
/// # Errors
/// None: a database that is away is asked again the next day.
pub async fn tell_head(db: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let mut days = tokio::time::interval(DAY);
    while stop.run_until_cancelled(days.tick()).await.is_some() {
        match head(&db).await {
            Ok(Some(head)) => tracing::info!(%head, "audit log"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the head of the audit log cannot be read"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head { id: 17, digest: "9f86".into() };
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "17", "x:9f", ":"] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
    }
}
