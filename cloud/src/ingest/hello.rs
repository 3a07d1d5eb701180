//! The handshake: may this birth of the gateway's database go on, and from where?

use std::time::Duration;

use shared::model::Lane;
use shared::sync::v1::PerLane;
use shared::sync::{Hello, VERSION, Verdict};
use sqlx::PgPool;

use super::batch;
use crate::db::cursor::{self, EpochState};
use crate::db::gateway::Gateway;
use crate::db::record::Origin;
use shared::id::GatewayId;

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
    let judgement = judge(hello, state.as_ref());
    match &judgement {
        Judgement::OldNews => return Ok(None),
        Judgement::Register => {
            cursor::register(&mut tx, id, hello.epoch, hello.parent.map(|(parent, _)| parent)).await?
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

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// A birth that we did not know.
    Register,
    /// Known and sound.
    Continue,
    /// Its numbers cannot be trusted any more.
    Replace(String),
    /// Something was committed after this hello was sent: its heads say nothing now.
    OldNews,
}

fn judge(hello: &Hello, state: Option<&EpochState>) -> Judgement {
    let above = |more: &PerLane, less: &PerLane| {
        Lane::ALL.into_iter().find(|lane| more[lane.index()] > less[lane.index()]).map(Lane::name)
    };
    let watermarks = state.map(|state| state.watermarks).unwrap_or_default();
    if let Some(frozen) = state.and_then(|state| state.frozen.clone()) {
        return Judgement::Replace(frozen);
    }
    if let Some(lane) = above(&watermarks, &hello.heads) {
        if state.is_some_and(|state| state.moved_since) {
            return Judgement::OldNews;
        }
        return Judgement::Replace(format!(
            "the gateway went back: more is committed than it has, {lane} lane"
        ));
    }
    if let Some(lane) = above(&hello.acked, &watermarks) {
        return Judgement::Replace(format!(
            "the cloud went back: it acknowledged more than it has, {lane} lane"
        ));
    }
    if state.is_some() { Judgement::Continue } else { Judgement::Register }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::id::{BootId, Epoch};
    use shared::sync::ClockQuality;
    use shared::units::Timestamp;
    use uuid::Uuid;

    fn hello(heads: PerLane, acked: PerLane) -> Hello {
        Hello {
            versions: (1, 1),
            kinds: vec![],
            epoch: Epoch(Uuid::from_u128(1)),
            parent: None,
            heads,
            acked,
            boot: BootId(Uuid::from_u128(2)),
            wallclock: Timestamp(0),
            clock: ClockQuality::Synced,
            documents: vec![],
            agent: String::new(),
        }
    }

    fn state(watermarks: PerLane) -> EpochState {
        EpochState { watermarks, frozen: None, moved_since: false }
    }

    #[test]
    fn a_new_birth_is_registered_and_a_known_one_goes_on() {
        assert_eq!(judge(&hello([3, 0, 0], [0; 3]), None), Judgement::Register);
        assert_eq!(judge(&hello([3, 9, 0], [2, 0, 0]), Some(&state([3, 1, 0]))), Judgement::Continue);
    }

    #[test]
    fn a_gateway_restored_from_a_backup_has_to_start_over() {
        let judged = judge(&hello([5, 2, 2], [5, 2, 2]), Some(&state([5, 3, 2])));
        assert!(matches!(judged, Judgement::Replace(reason) if reason.contains("meter")));
    }

    #[test]
    fn a_cloud_restored_from_a_backup_has_the_gateway_start_over() {
        assert!(matches!(
            judge(&hello([9, 0, 0], [7, 0, 0]), Some(&state([6, 0, 0]))),
            Judgement::Replace(_)
        ));
        assert!(matches!(judge(&hello([9, 0, 0], [7, 0, 0]), None), Judgement::Replace(_)));
    }

    #[test]
    fn a_late_copy_of_a_hello_condemns_nobody() {
        let moved = EpochState { moved_since: true, ..state([20, 0, 0]) };
        assert_eq!(judge(&hello([10, 0, 0], [10, 0, 0]), Some(&moved)), Judgement::OldNews);
    }

    #[test]
    fn a_frozen_epoch_stays_frozen() {
        let frozen = EpochState { frozen: Some("cloned".into()), ..state([1, 0, 0]) };
        assert_eq!(judge(&hello([5, 0, 0], [1, 0, 0]), Some(&frozen)), Judgement::Replace("cloned".into()));
    }
}
