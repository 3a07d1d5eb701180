//! Charging profiles: what a station, its sessions or one session may draw over time.

use async_graphql::{Context, Enum, ID, InputObject, Object};
use shared::id::SessionId;
use shared::model::charging::{
    ChargingKind, ChargingPeriod, ChargingProfile, ChargingPurpose, ChargingSchedule, ProfileFilter,
    PurposeKind, RateUnit,
};
use shared::model::command::CommandBody;
use shared::units::Timestamp;
use uuid::Uuid;

use super::command::{CommandView, OrderTerms, charge_point_or_connector, order};
use super::error::{Fault, Result};
use super::scalar::Time;

/// The longest schedule that can be asked for: a week.
const MAX_DURATION: i32 = 7 * 86_400;

/// What a profile limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ChargingPurpose", remote = "PurposeKind", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum Purpose {
    /// The station as a whole (1.6: ChargePointMaxProfile).
    Station,
    /// Each session without a profile of its own (1.6: TxDefaultProfile).
    Default,
    /// One running session (1.6: TxProfile).
    Session,
}

/// What a schedule counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ChargingKind", remote = "ChargingKind", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    /// A point in time.
    Absolute,
    /// The same hour every day.
    Daily,
    /// The same hour of the same day every week.
    Weekly,
    /// The beginning of the session.
    Relative,
}

/// What limits are measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ChargingRateUnit", remote = "RateUnit", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum Unit {
    /// Amperes per phase.
    Amperes,
    /// Watts.
    Watts,
}

/// A limit on charging over time (OCPP 1.6 §3.13).
#[derive(InputObject)]
pub(super) struct ChargingProfileInput {
    /// Its number; it replaces an older one of the same number.
    profile_id: i32,
    /// From 0; of a purpose the highest that is valid counts.
    #[graphql(default)]
    stack_level: u16,
    purpose: Purpose,
    /// The session (`ChargingHistory.sessionId`), for a profile of one.
    session_id: Option<ID>,
    kind: Kind,
    valid_from: Option<Time>,
    valid_to: Option<Time>,
    schedule: ChargingScheduleInput,
}

/// Limits over time.
#[derive(InputObject)]
pub(super) struct ChargingScheduleInput {
    unit: Unit,
    /// What the periods count from; not for RELATIVE.
    start: Option<Time>,
    /// Seconds; to the end of the session when left out.
    duration: Option<u32>,
    /// Below this, charging makes no sense to the vehicle.
    min_rate: Option<f64>,
    periods: Vec<ChargingPeriodInput>,
}

/// A limit from a moment on.
#[derive(InputObject)]
pub(super) struct ChargingPeriodInput {
    /// Seconds from the schedule's start; 0 for the first.
    start: u32,
    /// The most that may flow, in the schedule's unit, with one digit after the point.
    limit: f64,
    /// 1 to 3; 3 when left out.
    phases: Option<u8>,
}

#[derive(Default)]
pub(super) struct ChargingMutation;

#[Object]
impl ChargingMutation {
    /// Gives a station a profile, for all of it or for one connector (`Connector.id`).
    async fn set_charging_profile(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        connector_id: Option<ID>,
        profile: ChargingProfileInput,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let profile = profile.read()?;
        let (at, evse) = charge_point_or_connector(ctx, &charge_point_id, connector_id.as_ref()).await?;
        if profile.purpose == ChargingPurpose::Station && evse.is_some() {
            return Err(Fault::BadInput("A profile of the STATION is for no single connector.".into()));
        }
        order(ctx, at, CommandBody::SetChargingProfile { evse, profile }, terms).await
    }

    /// Removes the profiles that fit all that is given; all of the station's when nothing is.
    #[expect(clippy::too_many_arguments, reason = "they are the message's")]
    async fn clear_charging_profiles(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        connector_id: Option<ID>,
        profile_id: Option<i32>,
        purpose: Option<Purpose>,
        stack_level: Option<u16>,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let (at, evse) = charge_point_or_connector(ctx, &charge_point_id, connector_id.as_ref()).await?;
        let filter = ProfileFilter { id: profile_id, evse, purpose: purpose.map(Into::into), stack_level };
        order(ctx, at, CommandBody::ClearChargingProfiles(filter), terms).await
    }

    /// What all profiles of a station or of one connector (`Connector.id`) add up to, as the station reckons. `result` has
    /// it.
    async fn get_composite_schedule(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        connector_id: Option<ID>,
        #[graphql(desc = "Seconds from now, at most a week.")] duration: i32,
        unit: Option<Unit>,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let seconds = u32::try_from(duration).ok().filter(|_| (1..=MAX_DURATION).contains(&duration));
        let duration_s = seconds
            .ok_or_else(|| Fault::BadInput(format!("duration must be 1 to {MAX_DURATION} seconds.")))?;
        let (at, evse) = charge_point_or_connector(ctx, &charge_point_id, connector_id.as_ref()).await?;
        order(
            ctx,
            at,
            CommandBody::GetCompositeSchedule { evse, duration_s, unit: unit.map(Into::into) },
            terms,
        )
        .await
    }
}

impl ChargingProfileInput {
    /// A profile for stations as a whole; one session is at one of them only.
    pub(super) fn for_whole_stations(self) -> Result<CommandBody> {
        let profile = self.read()?;
        if matches!(profile.purpose, ChargingPurpose::Session(_)) {
            return Err(Fault::BadInput("A profile for a SESSION is for one station.".into()));
        }
        Ok(CommandBody::SetChargingProfile { evse: None, profile })
    }

    fn read(self) -> Result<ChargingProfile> {
        let purpose = match (self.purpose, self.session_id) {
            (Purpose::Station, None) => ChargingPurpose::Station,
            (Purpose::Default, None) => ChargingPurpose::Default,
            (Purpose::Session, Some(id)) => {
                let id: Uuid = id
                    .parse()
                    .map_err(|_| Fault::BadInput("sessionId must be a ChargingHistory.sessionId.".into()))?;
                ChargingPurpose::Session(SessionId(id))
            }
            (Purpose::Session, None) => {
                return Err(Fault::BadInput("A profile for a SESSION needs its sessionId.".into()));
            }
            (Purpose::Station | Purpose::Default, Some(_)) => {
                return Err(Fault::BadInput("sessionId is for the purpose SESSION only.".into()));
            }
        };
        let profile = ChargingProfile {
            id: self.profile_id,
            stack_level: self.stack_level,
            purpose,
            kind: self.kind.into(),
            valid_from: self.valid_from.map(|time| Timestamp::from_utc(time.0)),
            valid_to: self.valid_to.map(|time| Timestamp::from_utc(time.0)),
            schedule: self.schedule.read()?,
        };
        profile.check().map_err(|bad| Fault::BadInput(format!("The profile cannot be followed: {bad}.")))?;
        Ok(profile)
    }
}

impl ChargingScheduleInput {
    fn read(self) -> Result<ChargingSchedule> {
        let period = |period: ChargingPeriodInput| {
            Ok(ChargingPeriod {
                start_s: period.start,
                limit_tenths: tenths(period.limit, "limit")?,
                phases: period.phases,
            })
        };
        Ok(ChargingSchedule {
            unit: self.unit.into(),
            start: self.start.map(|time| Timestamp::from_utc(time.0)),
            duration_s: self.duration,
            min_rate_tenths: self.min_rate.map(|rate| tenths(rate, "minRate")).transpose()?,
            periods: self.periods.into_iter().map(period).collect::<Result<_>>()?,
        })
    }
}

/// A rate as whole tenths.
fn tenths(value: f64, field: &str) -> Result<u32> {
    let tenths = (value * 10.0).round();
    let is_tenth = (value * 10.0 - tenths).abs() < 1e-6 && (0.0..=1e9).contains(&tenths);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and in range, checked"
    )]
    if is_tenth {
        Ok(tenths as u32)
    } else {
        Err(Fault::BadInput(format!("{field} must not be negative and has one digit after the point.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_tenths() {
        assert_eq!(tenths(16.1, "limit").unwrap(), 161);
        assert_eq!(tenths(0.0, "limit").unwrap(), 0);
        for bad in [-0.1, 6.25, f64::NAN, 1e12] {
            assert!(tenths(bad, "limit").is_err(), "{bad}");
        }
    }
}
