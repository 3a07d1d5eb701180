//! Columns as values of answers.

use async_graphql::{ScalarType as _, Value};
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::table::{Kind, Number};
use crate::graphql::rows::optional;
use crate::graphql::scalar::{Float, Time};

/// A column as a statement selects it: numbers of all sorts as doubles, everything else as it is.
pub(super) fn selected(kind: Kind, expression: &str) -> String {
    match kind {
        Kind::Number(Number::Double)
        | Kind::Id
        | Kind::Text(_)
        | Kind::Boolean
        | Kind::Time
        | Kind::Place => expression.to_owned(),
        Kind::Number(_) => format!("({expression})::float8"),
    }
}

/// What was selected so, as it is shown.
pub(super) fn shown(kind: Kind, row: &PgRow, at: usize) -> sqlx::Result<Value> {
    Ok(match kind {
        Kind::Id => optional(row.try_get::<Option<i64>, _>(at)?.map(|id| id.to_string())),
        Kind::Text(_) => optional(row.try_get::<Option<String>, _>(at)?),
        Kind::Boolean => optional(row.try_get::<Option<bool>, _>(at)?),
        Kind::Time => {
            row.try_get::<Option<DateTime<Utc>>, _>(at)?.map_or(Value::Null, |time| Time(time).to_value())
        }
        Kind::Place => row.try_get::<Option<Json<Value>>, _>(at)?.map_or(Value::Null, |Json(value)| value),
        Kind::Number(_) => optional(row.try_get::<Option<f64>, _>(at)?.map(Float)),
    })
}
