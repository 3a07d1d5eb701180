//! Lanes: what the edge wrote is what the cloud committed, every number of it.

use super::books::{CloudBook, EdgeBook, LaneAt};
use super::finding::Finding;

/// What of an edge's current epoch the cloud has not committed, or the edge not been told of.
pub(crate) fn behind(edge: &EdgeBook, cloud: &CloudBook) -> Vec<Finding> {
    let late = edge.lanes.iter().filter_map(|&(lane, head, acked)| {
        let at = cloud.lanes.iter().find(|at| at.epoch == edge.epoch && at.lane == lane);
        let watermark = at.map_or(0, |at| at.watermark);
        let same = watermark == head && acked == head;
        (!same).then(|| Finding::Behind { lane: name(&edge.epoch, lane), head, watermark })
    });
    late.collect()
}

/// Lanes of the cloud that do not have every number up to their watermark. A fact that was sent again in a later epoch is
/// kept once, so only lanes of gateways with a single epoch can be counted like that.
pub(crate) fn broken(cloud: &CloudBook) -> Vec<Finding> {
    let later = |at: &LaneAt| cloud.lanes.iter().any(|it| it.gateway == at.gateway && it.epoch != at.epoch);
    let odd = cloud.lanes.iter().filter(|at| at.watermark != at.records && !later(at));
    odd.map(|at| Finding::Gap {
        lane: name(&at.epoch, at.lane),
        watermark: at.watermark,
        records: at.records,
    })
    .collect()
}

fn name(epoch: &str, lane: i64) -> String {
    let name = match lane {
        0 => "billing",
        1 => "meter",
        2 => "status",
        _ => "unknown",
    };
    format!("the {name} lane of epoch {}", epoch.get(..8).unwrap_or(epoch))
}
