//! The rule of the handshake: may this birth of a gateway's database go on? Pure; what it is judged by is read under locks.

use super::v1::PerLane;
use crate::model::Lane;

/// An epoch as a hello finds it in the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What is committed, by lane.
    pub watermarks: PerLane,
    /// Why it may write no more.
    pub frozen: Option<String>,
    /// Did a watermark move after the hello arrived here? Then the hello is old news.
    pub moved_since: bool,
}

/// What a hello means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A birth that we did not know.
    Register,
    /// Known and sound.
    Continue,
    /// Its numbers cannot be trusted any more: for a person, why.
    Replace(String),
    /// Something was committed after this hello was sent: its heads say nothing now.
    OldNews,
}

/// Judges a hello by the last numbers that the gateway has written and those that it knows to be acknowledged.
pub fn judge(heads: &PerLane, acked: &PerLane, known: Option<&Known>) -> Judgement {
    let above = |more: &PerLane, less: &PerLane| {
        Lane::ALL.into_iter().find(|lane| more[lane.index()] > less[lane.index()]).map(Lane::name)
    };
    let watermarks = known.map(|known| known.watermarks).unwrap_or_default();
    if let Some(frozen) = known.and_then(|known| known.frozen.clone()) {
        return Judgement::Replace(frozen);
    }
    if let Some(lane) = above(&watermarks, heads) {
        if known.is_some_and(|known| known.moved_since) {
            return Judgement::OldNews;
        }
        return Judgement::Replace(format!(
            "the gateway went back: more is committed than it has, {lane} lane"
        ));
    }
    if let Some(lane) = above(acked, &watermarks) {
        return Judgement::Replace(format!(
            "the cloud went back: it acknowledged more than it has, {lane} lane"
        ));
    }
    if known.is_some() { Judgement::Continue } else { Judgement::Register }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(watermarks: PerLane) -> Known {
        Known { watermarks, ..Known::default() }
    }

    #[test]
    fn a_new_birth_is_registered_and_a_known_one_goes_on() {
        assert_eq!(judge(&[3, 0, 0], &[0; 3], None), Judgement::Register);
        assert_eq!(judge(&[3, 9, 0], &[2, 0, 0], Some(&known([3, 1, 0]))), Judgement::Continue);
    }

    #[test]
    fn a_gateway_restored_from_a_backup_has_to_start_over() {
        let judged = judge(&[5, 2, 2], &[5, 2, 2], Some(&known([5, 3, 2])));
        assert!(matches!(judged, Judgement::Replace(reason) if reason.contains("meter")));
    }

    #[test]
    fn a_cloud_restored_from_a_backup_has_the_gateway_start_over() {
        let back = known([6, 0, 0]);
        assert!(matches!(judge(&[9, 0, 0], &[7, 0, 0], Some(&back)), Judgement::Replace(_)));
        assert!(matches!(judge(&[9, 0, 0], &[7, 0, 0], None), Judgement::Replace(_)));
    }

    #[test]
    fn a_late_copy_of_a_hello_condemns_nobody() {
        let moved = Known { moved_since: true, ..known([20, 0, 0]) };
        assert_eq!(judge(&[10, 0, 0], &[10, 0, 0], Some(&moved)), Judgement::OldNews);
    }

    #[test]
    fn a_frozen_epoch_stays_frozen() {
        let frozen = Known { frozen: Some("cloned".into()), ..known([1, 0, 0]) };
        assert_eq!(judge(&[5, 0, 0], &[1, 0, 0], Some(&frozen)), Judgement::Replace("cloned".into()));
    }
}
