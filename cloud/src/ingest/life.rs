//! What gateways tell of stations' life, from knocking at the door to how their clocks go: folded, then written.

use std::collections::BTreeMap;

use serde_json::json;
use shared::id::StationId;
use shared::model::event::{ClockMeasured, StatusChanged};
use shared::model::onboarding::{
    StationAdopted, StationKnocked, StationPending, StationRejected, WindowChanged,
};
use shared::model::settings::{SettingsApplied, SettingsRead};
use sqlx::PgConnection;

use crate::db::alarm::{self, Alarm};
use crate::db::record::Origin;
use crate::db::{pending_station, setting, station_life};
use crate::documents;

/// A clock that is wrong by more misdates sessions.
const SKEW_MS: u64 = 60_000;

/// All that a batch tells of it: of each station the newest.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are the events'")]
pub struct Life {
    pub knocks: BTreeMap<StationId, StationKnocked>,
    pub pending: BTreeMap<StationId, StationPending>,
    pub adopted: Vec<StationAdopted>,
    pub rejected: Vec<StationRejected>,
    pub window: Option<WindowChanged>,
    pub read: Vec<SettingsRead>,
    pub applied: BTreeMap<StationId, SettingsApplied>,
    pub clocks: BTreeMap<StationId, ClockMeasured>,
    /// Of stations as a whole.
    pub statuses: BTreeMap<StationId, StatusChanged>,
}

impl Life {
    /// Writes it.
    ///
    /// # Errors
    /// As any statement.
    pub async fn write(&self, tx: &mut PgConnection, origin: Origin) -> sqlx::Result<()> {
        for knock in self.knocks.values() {
            pending_station::knocked(tx, origin, knock).await?;
        }
        for pending in self.pending.values() {
            pending_station::waits(tx, origin, pending).await?;
        }
        if !self.knocks.is_empty() || !self.pending.is_empty() {
            pending_station::forget_beyond(tx, origin.site_id).await?;
        }
        self.write_decisions(tx, origin).await?;
        for read in &self.read {
            setting::read(tx, origin, read).await?;
        }
        for applied in self.applied.values() {
            setting::applied(tx, origin, applied).await?;
        }
        station_life::statuses(tx, origin, self.statuses.values()).await?;
        station_life::clocks(tx, origin, self.clocks.values()).await?;
        for clock in self.clocks.values().filter(|it| it.skew_ms.unsigned_abs() > SKEW_MS) {
            alarm::raise(tx, Some(origin.gateway), Some(origin.site_id), &skewed(clock)).await?;
        }
        Ok(())
    }

    async fn write_decisions(&self, tx: &mut PgConnection, origin: Origin) -> sqlx::Result<()> {
        if let Some(window) = &self.window {
            pending_station::window_at_site(tx, origin.site_id, window).await?;
        }
        for rejected in &self.rejected {
            pending_station::rejected_at_site(tx, origin, rejected).await?;
        }
        for adopted in &self.adopted {
            if !station_life::adopted_at_site(tx, origin, adopted).await? {
                alarm::raise(tx, Some(origin.gateway), Some(origin.site_id), &elsewhere(adopted)).await?;
            }
        }
        if self.rejected.is_empty() && self.adopted.is_empty() {
            return Ok(());
        }
        documents::refresh(tx, origin.site_id).await
    }
}

fn skewed(clock: &ClockMeasured) -> Alarm {
    let way = if clock.skew_ms > 0 { "behind" } else { "ahead" };
    let detail = format!("the station's clock is {} s {way}", clock.skew_ms.unsigned_abs() / 1000);
    Alarm {
        kind: "clock_skew".into(),
        subject: clock.station.to_string(),
        detail: json!({ "station": clock.station, "skewMs": clock.skew_ms, "detail": detail }),
    }
}

fn elsewhere(adopted: &StationAdopted) -> Alarm {
    let detail = "adopted at the gateway, but another site has a station of this identity";
    Alarm {
        kind: "adoption_conflict".into(),
        subject: adopted.station.to_string(),
        detail: json!({ "station": adopted.station, "detail": detail }),
    }
}
