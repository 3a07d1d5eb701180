//! One order to many stations: as many at once per gateway as was asked for, the others after them.
//!
//! The rows are the state and any replica may work on them, one at a time per order: it puts the order to stations where
//! there is room and takes in how it ended at others, in one transaction. A replica that dies in between has done both or
//! neither, and another goes on.

use std::time::Duration;

use shared::id::{GatewayId, StationId};
use shared::model::CommandBody;
use sqlx::PgPool;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::command::{self, NewCommand};
use crate::db::bulk::{self as rows, Order};
use crate::live::{self, Hint, Hub};

/// How often an order is looked at that nobody told of.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So long the ends of commands gather: a hundred at once are one step.
const GATHER: Duration = Duration::from_millis(50);

/// Works on all orders until `stop`.
///
/// # Errors
/// None: a database that is away is waited for.
pub async fn work(db: PgPool, live: Hub, stop: CancellationToken) -> anyhow::Result<()> {
    let mut ended = live.commands();
    let forever = async {
        loop {
            match advance(&db).await {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "orders to many stations stand still; trying again"),
            }
            // An end makes room for the next one; the clock finds what nobody told of.
            match tokio::time::timeout(LOOK_EVERY, ended.recv()).await {
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => tokio::time::sleep(GATHER).await,
                Ok(Err(RecvError::Closed)) => tokio::time::sleep(LOOK_EVERY).await,
                Err(_) => {}
            }
            while ended.try_recv().is_ok() {}
        }
    };
    stop.run_until_cancelled(forever).await;
    Ok(())
}

/// Takes every open order one step further.
///
/// # Errors
/// When the database does not answer.
pub async fn advance(db: &PgPool) -> sqlx::Result<()> {
    for id in rows::open(db).await? {
        let mut tx = db.begin().await?;
        let Some(order) = rows::lock(&mut tx, id).await? else { continue };
        let mut changed = rows::settle(&mut tx, id).await?;
        if order.runs {
            changed |= put(&mut tx, &order).await?;
        }
        changed |= rows::finish(&mut tx, id).await?;
        if changed {
            live::notify(&mut tx, &Hint { bulks: vec![id], ..Hint::default() }).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// Puts an order to stations where there is room.
async fn put(tx: &mut sqlx::PgConnection, order: &Order) -> sqlx::Result<bool> {
    // What a newer replica wrote, that one will read.
    let Ok(body) = postcard::from_bytes::<CommandBody>(&order.body) else { return Ok(false) };
    let next = rows::next(tx, order).await?;
    for place in &next {
        let Ok(station) = StationId::new(place.station.clone()) else { continue };
        let new = NewCommand {
            gateway: GatewayId(place.gateway_id),
            station,
            body: body.clone(),
            issued_by: order.created_by,
            ttl: Duration::from_secs_f64(order.life_seconds),
            waits: order.waits,
        };
        let command = command::issue_in(tx, new).await?;
        rows::begun(tx, order.id, place.charge_point_id, command).await?;
    }
    Ok(!next.is_empty())
}
