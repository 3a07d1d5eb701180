//! Charging profiles and schedules in 1.6's words (§7.8 to §7.14).
//!
//! A profile for a session names its transaction here; [`ChargingPurpose::Session`] stands for it, whichever it is.
#![expect(clippy::wildcard_enum_match_arm, reason = "the schema's enumerations are open")]

use serde_json::value::RawValue;

use super::schema::{self, date_time, timestamp};
use crate::id::SessionId;
use crate::model::charging::{
    ChargingKind, ChargingPeriod, ChargingProfile, ChargingPurpose, ChargingSchedule, CompositeSchedule,
    PurposeKind, RateUnit,
};
use crate::ocpp::lenient::{Reader, decimal, json};

/// A profile as the schema has it; `transaction` is that of a session's profile.
pub(super) fn write_profile(profile: &ChargingProfile, transaction: Option<i32>) -> schema::ChargingProfile {
    let (kind, recurrency) = match profile.kind {
        ChargingKind::Absolute => (schema::ChargingProfileKind::Absolute, None),
        ChargingKind::Daily => (schema::ChargingProfileKind::Recurring, Some(schema::RecurrencyKind::Daily)),
        ChargingKind::Weekly => {
            (schema::ChargingProfileKind::Recurring, Some(schema::RecurrencyKind::Weekly))
        }
        ChargingKind::Relative => (schema::ChargingProfileKind::Relative, None),
    };
    let mut written = schema::ChargingProfile::new(
        profile.id,
        i32::from(profile.stack_level),
        write_purpose(profile.purpose.into()),
        kind,
        write_schedule(&profile.schedule),
    );
    written.recurrency_kind = recurrency;
    written.transaction_id = transaction;
    written.valid_from = profile.valid_from.and_then(date_time);
    written.valid_to = profile.valid_to.and_then(date_time);
    written
}

/// A profile as the schema has it, and the transaction that it is for.
///
/// # Errors
/// When it says what 1.6 does not know.
pub fn read_profile(
    profile: &schema::ChargingProfile,
) -> Result<(ChargingProfile, Option<i32>), &'static str> {
    let kind = match (&profile.charging_profile_kind, &profile.recurrency_kind) {
        (schema::ChargingProfileKind::Absolute, _) => ChargingKind::Absolute,
        (schema::ChargingProfileKind::Relative, _) => ChargingKind::Relative,
        (schema::ChargingProfileKind::Recurring, Some(schema::RecurrencyKind::Weekly)) => {
            ChargingKind::Weekly
        }
        (schema::ChargingProfileKind::Recurring, _) => ChargingKind::Daily,
        (_, _) => return Err("an unknown kind of profile"),
    };
    let purpose = match read_purpose(&profile.charging_profile_purpose)? {
        PurposeKind::Station => ChargingPurpose::Station,
        PurposeKind::Default => ChargingPurpose::Default,
        PurposeKind::Session => ChargingPurpose::Session(SessionId(uuid::Uuid::nil())),
    };
    let read = ChargingProfile {
        id: profile.charging_profile_id,
        stack_level: u16::try_from(profile.stack_level).map_err(|_| "a negative stack level")?,
        purpose,
        kind,
        valid_from: profile.valid_from.map(timestamp),
        valid_to: profile.valid_to.map(timestamp),
        schedule: read_schedule(&profile.charging_schedule)?,
    };
    Ok((read, profile.transaction_id))
}

/// A purpose's name.
pub fn write_purpose(purpose: PurposeKind) -> schema::ChargingProfilePurpose {
    match purpose {
        PurposeKind::Station => schema::ChargingProfilePurpose::ChargePointMaxProfile,
        PurposeKind::Default => schema::ChargingProfilePurpose::TxDefaultProfile,
        PurposeKind::Session => schema::ChargingProfilePurpose::TxProfile,
    }
}

/// A purpose by its name.
///
/// # Errors
/// When 1.6 does not know it.
pub fn read_purpose(purpose: &schema::ChargingProfilePurpose) -> Result<PurposeKind, &'static str> {
    match purpose {
        schema::ChargingProfilePurpose::ChargePointMaxProfile => Ok(PurposeKind::Station),
        schema::ChargingProfilePurpose::TxDefaultProfile => Ok(PurposeKind::Default),
        schema::ChargingProfilePurpose::TxProfile => Ok(PurposeKind::Session),
        _ => Err("an unknown purpose"),
    }
}

/// A schedule as the schema has it.
pub fn write_schedule(schedule: &ChargingSchedule) -> schema::ChargingSchedule {
    let periods = schedule.periods.iter().map(|period| {
        let mut written =
            schema::ChargingSchedulePeriod::new(whole(period.start_s), tenths(period.limit_tenths));
        written.number_phases = period.phases.map(i32::from);
        written
    });
    let mut written = schema::ChargingSchedule::new(write_unit(schedule.unit), periods.collect());
    written.duration = schedule.duration_s.map(whole);
    written.start_schedule = schedule.start.and_then(date_time);
    written.min_charging_rate = schedule.min_rate_tenths.map(tenths);
    written
}

/// A unit by its name; amperes when in doubt.
pub fn read_unit(unit: &schema::ChargingRateUnit) -> RateUnit {
    if *unit == schema::ChargingRateUnit::W { RateUnit::Watts } else { RateUnit::Amperes }
}

/// A unit's name.
pub fn write_unit(unit: RateUnit) -> schema::ChargingRateUnit {
    match unit {
        RateUnit::Amperes => schema::ChargingRateUnit::A,
        RateUnit::Watts => schema::ChargingRateUnit::W,
    }
}

fn read_schedule(schedule: &schema::ChargingSchedule) -> Result<ChargingSchedule, &'static str> {
    let period = |period: &schema::ChargingSchedulePeriod| -> Result<ChargingPeriod, &'static str> {
        Ok(ChargingPeriod {
            start_s: u32::try_from(period.start_period).map_err(|_| "a period begins before its schedule")?,
            limit_tenths: in_tenths(period.limit).ok_or("a limit is no number of tenths")?,
            phases: period.number_phases.and_then(|phases| u8::try_from(phases).ok()),
        })
    };
    Ok(ChargingSchedule {
        unit: read_unit(&schedule.charging_rate_unit),
        start: schedule.start_schedule.map(timestamp),
        duration_s: schedule.duration.and_then(|seconds| u32::try_from(seconds).ok()),
        min_rate_tenths: schedule.min_charging_rate.and_then(in_tenths),
        periods: schedule.charging_schedule_period.iter().map(period).collect::<Result<_, _>>()?,
    })
}

/// The schedule in an answer to GetCompositeSchedule, read leniently; `None` when it has none.
pub(super) fn read_composite(
    reader: &mut Reader,
    start: Option<&RawValue>,
    schedule: Option<&RawValue>,
) -> Option<CompositeSchedule> {
    let start = reader.time("scheduleStart", start).map(|time| time.at);
    let names =
        ["chargingRateUnit", "startSchedule", "duration", "minChargingRate", "chargingSchedulePeriod"];
    let [unit, begins, duration, least, periods] = reader.members(schedule?, names);
    let mut read = Vec::new();
    json::items(periods?, |raw| read.extend(period(reader, raw)));
    let watts = reader.text("chargingRateUnit", unit, 1).is_some_and(|unit| unit.eq_ignore_ascii_case("W"));
    let schedule = ChargingSchedule {
        unit: if watts { RateUnit::Watts } else { RateUnit::Amperes },
        start: reader.time("startSchedule", begins).map(|time| time.at),
        duration_s: reader.integer("duration", duration).and_then(|seconds| u32::try_from(seconds).ok()),
        min_rate_tenths: least.and_then(read_tenths),
        periods: read,
    };
    Some(CompositeSchedule { start, schedule })
}

fn period(reader: &mut Reader, raw: &RawValue) -> Option<ChargingPeriod> {
    let [start, limit, phases] = reader.members(raw, ["startPeriod", "limit", "numberPhases"]);
    Some(ChargingPeriod {
        start_s: u32::try_from(reader.integer("startPeriod", start)?).ok()?,
        limit_tenths: read_tenths(limit?)?,
        phases: reader.integer("numberPhases", phases).and_then(|phases| u8::try_from(phases).ok()),
    })
}

fn read_tenths(raw: &RawValue) -> Option<u32> {
    u32::try_from(decimal::scaled(&json::text(raw)?, 1)?).ok()
}

fn in_tenths(value: schema::Decimal) -> Option<u32> {
    u32::try_from(value.round_to(1)?.rescale(1)?.mantissa()).ok()
}

/// Without a trailing zero: some stations take `16` and not `16.0`.
fn tenths(value: u32) -> schema::Decimal {
    schema::Decimal::new(i64::from(value), 1).normalized()
}

fn whole(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    fn sample() -> ChargingProfile {
        ChargingProfile {
            id: 7,
            stack_level: 2,
            purpose: ChargingPurpose::Session(SessionId(uuid::Uuid::nil())),
            kind: ChargingKind::Weekly,
            valid_from: Some(Timestamp(1_800_000_000_000)),
            valid_to: None,
            schedule: ChargingSchedule {
                unit: RateUnit::Amperes,
                start: Some(Timestamp(1_800_000_000_000)),
                duration_s: Some(3600),
                min_rate_tenths: Some(60),
                periods: vec![
                    ChargingPeriod { start_s: 0, limit_tenths: 160, phases: Some(3) },
                    ChargingPeriod { start_s: 600, limit_tenths: 65, phases: None },
                ],
            },
        }
    }

    #[test]
    fn a_profile_comes_back_as_it_was_written() {
        let written = write_profile(&sample(), Some(9));
        assert_eq!(read_profile(&written), Ok((sample(), Some(9))));
        let text = serde_json::to_string(&written).unwrap();
        assert!(text.contains(r#""limit":16,"#) && text.contains(r#""limit":6.5"#), "{text}");
        assert!(
            text.contains(r#""recurrencyKind":"Weekly""#) && text.contains(r#""transactionId":9"#),
            "{text}"
        );
    }

    #[test]
    fn a_composite_schedule_is_read_as_stations_write_it() {
        let read = |text: &str| {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let start = RawValue::from_string("\"2027-01-15T08:00:00\"".to_owned()).unwrap();
            read_composite(&mut Reader::default(), Some(&start), Some(&raw))
        };
        let found = read(
            r#"{"chargingRateUnit":"w","duration":"60","chargingSchedulePeriod":[
                {"startPeriod":0,"limit":"11000.0"},{"startPeriod":30.0,"limit":0,"numberPhases":1},{"limit":5}]}"#,
        )
        .unwrap();
        assert_eq!(found.start, Some(Timestamp(1_800_000_000_000)));
        assert_eq!((found.schedule.unit, found.schedule.duration_s), (RateUnit::Watts, Some(60)));
        assert_eq!(
            found.schedule.periods,
            [
                ChargingPeriod { start_s: 0, limit_tenths: 110_000, phases: None },
                ChargingPeriod { start_s: 30, limit_tenths: 0, phases: Some(1) }
            ]
        );
        assert_eq!(read("{}"), None);
    }
}
