//! Commands and documents on their way down: at once when somebody issues one, again by the clock until they are answered.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgNotification};
use tokio_util::sync::CancellationToken;

use super::uplink::Uplink;
use crate::{command, documents};

const COMMANDS_EVERY: Duration = Duration::from_secs(1);
const DOCUMENTS_EVERY: Duration = Duration::from_secs(30);

/// Pushes until `stop`.
pub(super) async fn run(db: PgPool, uplink: Arc<Uplink>, stop: CancellationToken) {
    let forever = async {
        loop {
            if let Err(error) = push(&db, &uplink).await {
                tracing::warn!(%error, "commands and documents are not pushed; trying again");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    stop.run_until_cancelled(forever).await;
}

async fn push(db: &PgPool, uplink: &Uplink) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(db).await?;
    listener.listen_all([command::CHANNEL, documents::CHANNEL]).await?;
    let (mut commands, mut wanted) =
        (tokio::time::interval(COMMANDS_EVERY), tokio::time::interval(DOCUMENTS_EVERY));
    loop {
        tokio::select! {
            _ = commands.tick() => uplink.push_commands(db).await?,
            _ = wanted.tick() => uplink.push_documents(db, None).await?,
            notice = listener.try_recv() => match notice? {
                Some(notice) => heed(db, uplink, &notice).await?,
                None => commands.reset_immediately(),
            },
        }
    }
}

async fn heed(db: &PgPool, uplink: &Uplink, notice: &PgNotification) -> sqlx::Result<()> {
    if notice.channel() == command::CHANNEL {
        return uplink.push_commands(db).await;
    }
    match notice.payload().parse() {
        Ok(gateway) => uplink.push_documents(db, Some(gateway)).await,
        Err(_) => Ok(()),
    }
}
