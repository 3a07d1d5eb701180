//! The site's tariffs, by EVSE.

use std::collections::HashMap;

use shared::id::{EvseNo, StationId};
use shared::model::document::TariffsDoc;
use shared::tariff::Tariff;

/// The site's tariffs.
#[derive(Debug, Default)]
pub struct Tariffs {
    assigned: HashMap<(StationId, EvseNo), Tariff>,
}

impl Tariffs {
    /// The tariffs of a document. An assignment to a tariff that is not in it counts as none.
    pub fn new(document: TariffsDoc) -> Self {
        let tariff_at =
            |place: u32| usize::try_from(place).ok().and_then(|p| document.tariffs.get(p)).cloned();
        let assigned = document.assigned.into_iter();
        Tariffs {
            assigned: assigned.filter_map(|a| Some(((a.station, a.evse), tariff_at(a.tariff)?))).collect(),
        }
    }

    /// The tariff of an EVSE, if it has one.
    pub fn of(&self, station: &StationId, evse: EvseNo) -> Option<&Tariff> {
        self.assigned.get(&(station.clone(), evse))
    }
}
