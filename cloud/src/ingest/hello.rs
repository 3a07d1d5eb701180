//! The handshake: may this birth of the gateway's database go on, and from where?

use std::time::Duration;

use serde_json::json;
use shared::id::{Epoch, GatewayId};
use shared::model::Lane;
use shared::sync::handshake::{Judgement, judge};
use shared::sync::v1::PerLane;
use shared::sync::{Hello, VERSION, Verdict};
use sqlx::{PgConnection, PgPool};

use super::batch;
use crate::db::alarm::{self, Alarm};
use crate::db::cursor;
use crate::db::gateway::Gateway;
use crate::db::record::Origin;

/// What a hello is answered with: the verdict and what is committed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// May it go on?
    pub(super) verdict: Verdict,
    /// What is committed, by lane.
    pub(super) watermarks: PerLane,
}

/// Judges a hello that arrived `age` ago. `None`: it is old news, a later one was answered already.
///
/// # Errors
/// When the database does not answer: the gateway will say hello again.
pub(super) async fn greet(
    db: &PgPool,
    id: GatewayId,
    gateway: &Gateway,
    hello: &Hello,
    age: Duration,
) -> sqlx::Result<Option<Answer>> {
    let (oldest, newest) = hello.versions;
    if !(oldest..=newest).contains(&VERSION) {
        let verdict = Verdict::Refused(format!("this cloud speaks wire version {VERSION}"));
        return Ok(Some(Answer { verdict, watermarks: PerLane::default() }));
    }
    let mut tx = db.begin().await?;
    let state = cursor::epoch(&mut tx, id, hello.epoch, age).await?;
    let judgement = judge(&hello.heads, &hello.acked, state.as_ref());
    match &judgement {
        Judgement::OldNews => return Ok(None),
        Judgement::Register => {
            let parent = hello.parent.map(|(parent, _)| parent);
            cursor::register(&mut tx, id, hello.epoch, parent).await?;
            if parent.is_none() {
                tell_of_lost_memory(&mut tx, id, gateway.site_id, hello.epoch).await?;
            }
        }
        Judgement::Replace(reason) => {
            if state.is_some() {
                let origin =
                    Origin { gateway: id, site_id: gateway.site_id, epoch: hello.epoch, lane: Lane::Billing };
                batch::freeze(&mut tx, origin, reason).await?;
            }
        }
        Judgement::Continue => {}
    }
    cursor::heard(&mut tx, id, Some(&hello.agent)).await?;
    tx.commit().await?;
    let verdict = match judgement {
        Judgement::Replace(reason) => Verdict::NewEpoch(reason),
        Judgement::Register | Judgement::Continue | Judgement::OldNews => Verdict::Continue,
    };
    Ok(Some(Answer { verdict, watermarks: state.map(|state| state.watermarks).unwrap_or_default() }))
}

/// A database without a past, of a gateway that has one: it was deleted, or its storage is broken. What it had not sent is
/// lost, and a person should know.
async fn tell_of_lost_memory(
    tx: &mut PgConnection,
    gateway: GatewayId,
    site_id: i64,
    epoch: Epoch,
) -> sqlx::Result<()> {
    let Some(before) = cursor::latest_before(tx, gateway, epoch).await? else { return Ok(()) };
    tracing::warn!(%gateway, %epoch, %before, "the gateway lost its database");
    let detail = json!({ "epoch": epoch, "before": before });
    let alarm = Alarm { kind: "gateway_memory_lost".into(), subject: epoch.to_string(), detail };
    alarm::raise(tx, Some(gateway), Some(site_id), &alarm).await
}
