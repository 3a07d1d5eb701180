//! Charging as it goes: power, energy and battery of running sessions, at each meter reading.

use std::collections::HashSet;

use async_graphql::{Context, InputObject, SimpleObject, Subscription};

use super::error::Result;
use super::live::{self, Live};
use super::scalar::{Float, thousandths};
use super::{app, reach, row_id};
use crate::auth::{Deed, Reach};
use crate::db::station;
use crate::live::SessionChange;

/// Which sessions: all that one may see when both are left out.
#[derive(InputObject)]
pub(super) struct InputFilterChargingProgressDto {
    /// `Connector.id`.
    connector_id: Option<f64>,
    user_id: Option<f64>,
}

#[derive(SimpleObject)]
pub(super) struct ChargingProgressResponse {
    /// The station's own number for it, or ours where the station uses no numbers.
    transaction_id: Option<Float>,
    /// kW now.
    #[graphql(name = "power_usage")]
    power_usage: Option<Float>,
    /// kWh so far.
    #[graphql(name = "power_spend")]
    power_spend: Option<Float>,
    /// Percent.
    battery: Option<Float>,
}

#[derive(Default)]
pub(super) struct ProgressSubscription;

#[Subscription]
impl ProgressSubscription {
    /// Running sessions as they are, then each meter reading and the end: of one's own sessions and those at one's own sites.
    async fn charging_progress_updated(
        &self,
        ctx: &Context<'_>,
        input: InputFilterChargingProgressDto,
    ) -> Result<Live<ChargingProgressResponse>> {
        let (viewer, reach) = reach(ctx, Deed::SeeSessions).await?;
        let connector = input.connector_id.map(|id| row_id(id, "connectorId")).transpose()?;
        let user = input.user_id.map(|id| row_id(id, "userId")).transpose()?;
        let app = app(ctx).clone();
        let changes = app.live.sessions();
        let visible = Visible::of(viewer.id, &reach, &app.db).await?;
        let now = move || {
            let (db, reach) = (app.db.clone(), reach.clone());
            async move { Ok(station::running_sessions(&db, connector, user, &reach).await?) }
        };
        let stream = live::events(changes, now, move |session: &SessionChange| {
            let asked = connector.is_none_or(|id| session.connector_id == Some(id))
                && user.is_none_or(|id| session.user_id == Some(id));
            (asked && visible.includes(session)).then(|| ChargingProgressResponse::of(session))
        });
        Ok(live::while_signed_in(&viewer, stream))
    }
}

/// What the watching one may see.
enum Visible {
    All,
    Own { user: i64, sites: HashSet<i64> },
}

impl Visible {
    async fn of(user: i64, reach: &Reach, db: &sqlx::PgPool) -> Result<Self> {
        if reach.everything {
            return Ok(Visible::All);
        }
        Ok(Visible::Own { user, sites: station::sites_within(db, reach).await?.into_iter().collect() })
    }

    fn includes(&self, session: &SessionChange) -> bool {
        match self {
            Visible::All => true,
            Visible::Own { user, sites } => {
                session.user_id == Some(*user) || session.site_id.is_some_and(|site| sites.contains(&site))
            }
        }
    }
}

impl ChargingProgressResponse {
    fn of(session: &SessionChange) -> Self {
        let number = session.tx_ref.as_deref().and_then(|text| text.parse::<i64>().ok());
        Self {
            transaction_id: Some(number.unwrap_or(session.history_id).into()),
            power_usage: session.power_w.map(thousandths),
            power_spend: session.energy_wh.map(thousandths),
            battery: session.soc.map(|percent| i64::from(percent).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(user_id: Option<i64>, site_id: Option<i64>) -> SessionChange {
        SessionChange {
            id: uuid::Uuid::nil(),
            history_id: 9,
            site_id,
            connector_id: Some(1),
            user_id,
            tx_ref: Some("77".into()),
            power_w: Some(7_400),
            energy_wh: Some(12_500),
            soc: None,
            started_at: None,
            stopped_at: None,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_ones_own_is_seen() {
        let own = Visible::Own { user: 1, sites: HashSet::from([5]) };
        assert!(own.includes(&session(Some(1), Some(6))) && own.includes(&session(Some(2), Some(5))));
        assert!(!own.includes(&session(Some(2), Some(6))) && !own.includes(&session(None, None)));
        assert!(Visible::All.includes(&session(None, None)));
    }

    #[test]
    fn units_are_kilowatts_and_kilowatt_hours() {
        let shown = ChargingProgressResponse::of(&session(None, None));
        assert_eq!((shown.power_usage, shown.power_spend), (Some(Float(7.4)), Some(Float(12.5))));
        assert_eq!((shown.transaction_id, shown.battery), (Some(Float(77.0)), None));
        let named = SessionChange { tx_ref: Some("ab-1".into()), ..session(None, None) };
        assert_eq!(ChargingProgressResponse::of(&named).transaction_id, Some(Float(9.0)));
    }
}
