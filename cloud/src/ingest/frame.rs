//! From the bytes of a stranger's message to what an enrolled gateway said, or to the reason why not.

use shared::id::GatewayId;
use shared::sync::seal::SealError;
use shared::sync::topic::{Topic, UpTopic, Way};
use shared::sync::{MAX_BATCH_RECORDS, Up};
use sqlx::PgPool;

use crate::db::gateway::Gateway;
use crate::gateways::Keys;

/// A message that holds.
#[derive(Debug)]
pub(super) struct Heard {
    /// From whom.
    pub(super) id: GatewayId,
    /// What we know of it.
    pub(super) gateway: Gateway,
    /// What it said.
    pub(super) message: Up,
}

/// Why a message is dropped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    /// Counted under this word.
    #[error("{0}")]
    Refused(&'static str),
    /// The database does not answer; the gateway sends again.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Checks topic, gateway, seal and content.
///
/// # Errors
/// Says why the message is dropped.
pub(super) async fn open(db: &PgPool, keys: &Keys, topic: &str, payload: &[u8]) -> Result<Heard, Unheard> {
    let topic: Topic = topic.parse().map_err(|_| Unheard::Refused("topic"))?;
    let Way::Up(way) = topic.way else { return Err(Unheard::Refused("topic")) };
    let gateway = keys.get(db, topic.gateway).await?.ok_or(Unheard::Refused("gateway"))?;
    if gateway.shard != topic.shard {
        return Err(Unheard::Refused("shard"));
    }
    let mut opened = gateway.key.open(&topic, payload);
    if matches!(opened, Err(SealError::Tag)) {
        let renewed = keys.doubt(db, topic.gateway).await?.ok_or(Unheard::Refused("gateway"))?;
        opened = renewed.key.open(&topic, payload);
    }
    let message = opened.map_err(|error| Unheard::Refused(reason(&error)))?;
    match (&message, way) {
        (Up::Batch(batch), UpTopic::Batch) if batch.records.len() > MAX_BATCH_RECORDS => {
            Err(Unheard::Refused("size"))
        }
        (Up::Ahead(ahead), UpTopic::Batch) if ahead.records.len() > MAX_BATCH_RECORDS => {
            Err(Unheard::Refused("size"))
        }
        (Up::Hello(_), UpTopic::Hello)
        | (Up::Batch(_) | Up::Ahead(_), UpTopic::Batch)
        | (Up::Result(_), UpTopic::Result) => Ok(Heard { id: topic.gateway, gateway, message }),
        (Up::Hello(_) | Up::Batch(_) | Up::Result(_) | Up::Ahead(_), _) => Err(Unheard::Refused("topic")),
    }
}

fn reason(error: &SealError) -> &'static str {
    match error {
        SealError::Size(_) => "size",
        SealError::Tag => "seal",
        SealError::Version(_) => "version",
        SealError::Content(_) => "content",
    }
}
