//! Scalars as apps know them: numbers without a needless `.0`, times with milliseconds and `Z`, JSON that is not parsed twice.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, Json, Number as JsonNumber, OutputType,
    Positioned, Scalar, ScalarType, ServerResult, Value,
};
use chrono::{DateTime, SecondsFormat, Utc};

/// `Float` in answers. A whole number is written as `2`, not `2.0`: some apps read ids and counts as integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Float(pub(super) f64);

/// Above this, not every integer is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Float {
    fn value(self) -> Value {
        if self.0.fract() == 0.0 && self.0.abs() <= EXACT {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole and within the exact range, checked above"
            )]
            return Value::from(self.0 as i64);
        }
        JsonNumber::from_f64(self.0).map_or(Value::Null, Value::Number)
    }
}

impl Float {
    /// As JSON, without a value in between.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, &self.value()).expect("numbers are JSON");
    }
}

impl From<i64> for Float {
    /// Ids and counts: exact up to 2⁵³, as for every app that reads them as a double.
    #[expect(clippy::cast_precision_loss, reason = "the API's numbers are doubles")]
    fn from(number: i64) -> Self {
        Float(number as f64)
    }
}

impl From<Float> for Value {
    fn from(number: Float) -> Value {
        number.value()
    }
}

impl OutputType for Float {
    fn type_name() -> Cow<'static, str> {
        <f64 as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <f64 as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(self.value())
    }
}

/// Thousandths of a unit as a number: Wh as kWh, W as kW.
#[expect(clippy::cast_precision_loss, reason = "the API's numbers are doubles")]
pub(super) fn thousandths(amount: i64) -> Float {
    Float(amount as f64 / 1000.0)
}

/// Millionths of a currency's unit as a number, for the fields that have always been numbers.
#[expect(
    clippy::cast_precision_loss,
    reason = "the API's numbers are doubles; exact amounts are texts elsewhere"
)]
pub(super) fn millionths(amount: i64) -> Float {
    Float(amount as f64 / 1_000_000.0)
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) DateTime<Utc>);

/// A date-time string at UTC, such as 2019-12-03T09:54:33Z, compliant with the date-time format.
#[Scalar(name = "DateTime")]
impl ScalarType for Time {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(Time(time.to_utc())),
            Err(_) => Err(InputValueError::custom(format!(
                "DateTime cannot represent an invalid date-time-string {text}."
            ))),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// `JSON` in answers, read from a `jsonb` column straight into what is written out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JsonValue(pub(super) Value);

impl OutputType for JsonValue {
    fn type_name() -> Cow<'static, str> {
        <Json<Value> as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Json<Value> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_does() {
        let text = |number| Float(number).value().to_string();
        assert_eq!(text(2.0), "2");
        assert_eq!(text(-122.4), "-122.4");
        assert_eq!(text(0.45), "0.45");
        assert_eq!(text(f64::NAN), "null");
        assert_eq!(thousandths(12_500).value().to_string(), "12.5");
        assert_eq!(millionths(250_000).value().to_string(), "0.25");
    }

    #[test]
    fn times_have_milliseconds_and_z() {
        let time =
            <Time as ScalarType>::parse(Value::String("2026-11-22T18:28:19.174999+01:00".into())).unwrap();
        assert_eq!(time.to_value(), Value::String("2026-11-22T17:28:19.174Z".into()));
        assert!(<Time as ScalarType>::parse(Value::String("yesterday".into())).is_err());
    }
}
