//! One read per hint and replica: ids in, rows out to the subscribers.

use std::sync::Arc;

use sqlx::PgPool;
use uuid::Uuid;

use super::reread::Reread;
use super::{ConnectorChange, Hint, Hub, SessionChange};
use crate::clock;

pub(super) async fn publish(db: &PgPool, hub: &Hub, seen: &mut Reread, payload: &str) -> sqlx::Result<()> {
    let Ok(hint) = serde_json::from_str::<Hint>(payload) else {
        tracing::warn!("a live hint that is none of ours");
        return Ok(());
    };
    for site_id in hint.sites {
        hub.connectors.send(Arc::new(site_as_a_whole(site_id))).ok();
    }
    if !hint.connectors.is_empty() && hub.connectors.receiver_count() > 0 {
        for change in connectors(db, &hint.connectors).await? {
            seen.note_connector(&change);
            hub.connectors.send(Arc::new(change)).ok();
        }
    }
    if !hint.sessions.is_empty() && hub.sessions.receiver_count() > 0 {
        for change in sessions(db, &hint.sessions).await? {
            seen.note_session(&change);
            hub.sessions.send(Arc::new(change)).ok();
        }
    }
    for command in hint.commands {
        hub.commands.send(command).ok();
    }
    for change in hint.changes {
        hub.changes.send(change).ok();
    }
    Ok(())
}

fn site_as_a_whole(site_id: i64) -> ConnectorChange {
    ConnectorChange {
        id: 0,
        site_id,
        charge_point_id: None,
        owner_id: None,
        status_name: None,
        updated_at: clock::utc(),
    }
}

async fn connectors(db: &PgPool, ids: &[i64]) -> sqlx::Result<Vec<ConnectorChange>> {
    sqlx::query_as(
        "select id, site_id, charge_point_id, owner_id, status_name, updated_at from connectors where id = any($1)",
    )
    .bind(ids)
    .fetch_all(db)
    .await
}

async fn sessions(db: &PgPool, ids: &[Uuid]) -> sqlx::Result<Vec<SessionChange>> {
    sqlx::query_as(
        "select id, history_id, site_id, connector_id, user_id, tx_ref, power_w, energy_wh, soc, started_at, stopped_at,
                updated_at
         from sessions where id = any($1)",
    )
    .bind(ids)
    .fetch_all(db)
    .await
}
