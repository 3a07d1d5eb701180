//! Values on their way into columns: checked, each by what its field is.

use async_graphql::{ScalarType, Value};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use shared::id::StationId;
use sqlx::types::Json;
use sqlx::{Postgres, QueryBuilder};

use crate::graphql::entity::table::{Create, Entity, Field, Kind, Number, Text, Writing};
use crate::graphql::error::{Fault, Result};
use crate::graphql::row_id;
use crate::graphql::saving::{MAX_TEXT, currency_of, point, price};
use crate::graphql::scalar::Time;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(String),
    Boolean(bool),
    Double(f64),
    Whole(i64),
    Small(i32),
    Price(Decimal),
    Time(DateTime<Utc>),
    Json(Value),
}

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Create,
    Update,
}

/// What is written into one row.
#[derive(Clone)]
pub(super) struct Cells(pub(super) Vec<(&'static Field, Cell)>);

impl Cells {
    /// Checks an input of an entity.
    pub(super) fn read(entity: &'static Entity, input: Value, used: Use) -> Result<Self> {
        let Value::Object(mut input) = input else {
            return Err(Fault::BadInput(format!("{} is needed.", entity.one)));
        };
        if input.swap_remove("id").is_some_and(|id| id != Value::Null) {
            let doing = if used == Use::Update { "updating" } else { "creating" };
            return Err(Fault::BadInput(format!("Id cannot be specified when {doing}")));
        }
        let mut cells = Vec::new();
        for field in entity.fields.iter().filter(|field| field.writing == Writing::Written) {
            match input.swap_remove(field.name) {
                None => {}
                // Left out and null are the same where there is nothing to be replaced yet.
                Some(Value::Null) if used == Use::Create && field.create != Create::Required => {}
                Some(value) => cells.push((field, cell(field, value)?)),
            }
        }
        Ok(Self(cells))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Cell> {
        self.0.iter().find(|(field, _)| field.name == name).map(|(_, cell)| cell)
    }

    /// A reference to another row: none when nothing is said of it, none within when it is to be null.
    pub(super) fn reference(&self, name: &str) -> Option<Option<i64>> {
        self.get(name).map(|cell| if let Cell::Whole(id) = cell { Some(*id) } else { None })
    }

    pub(super) fn set(&mut self, entity: &'static Entity, name: &str, cell: Cell) {
        self.remove(name);
        self.0.extend(entity.field(name).map(|field| (field, cell)));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| field.name != name);
    }
}

fn cell(field: &Field, value: Value) -> Result<Cell> {
    let wrong = |problem: &str| Fault::BadInput(format!("{} {problem}.", field.name));
    let cell = match (field.kind, value) {
        (_, Value::Null) if field.never_null => return Err(wrong("cannot be null")),
        (_, Value::Null) => Some(Cell::Null),
        (Kind::Text(of), Value::String(text)) => {
            Some(text_cell(of, text).map_err(|problem| wrong(&problem))?)
        }
        (Kind::Boolean, Value::Boolean(value)) => Some(Cell::Boolean(value)),
        (Kind::Time, value) => <Time as ScalarType>::parse(value).ok().map(|time| Cell::Time(time.0)),
        (Kind::Place, value) => {
            let place = value.into_json().ok().and_then(|value| point(&value));
            let place = place.ok_or_else(|| {
                wrong(
                    "must be a GeoJSON Point, {\"type\": \"Point\", \"coordinates\": [longitude, latitude]}",
                )
            })?;
            Some(Cell::Json(place))
        }
        (Kind::Number(of), Value::Number(number)) => number_cell(of, &number, field.name)?,
        _ => None,
    };
    cell.ok_or_else(|| wrong("has a wrong value"))
}

fn text_cell(of: Text, text: String) -> std::result::Result<Cell, String> {
    if text.chars().count() > MAX_TEXT || text.contains('\0') {
        return Err(format!("must be text of at most {MAX_TEXT} characters"));
    }
    match of {
        Text::Any => Ok(Cell::Text(text)),
        Text::PriceUnit => currency_of(&text).map(|_| Cell::Text(text)).map_err(Into::into),
        Text::Identity => {
            let identity = text.trim().to_owned();
            StationId::new(identity.clone()).map(|_| Cell::Text(identity)).map_err(|error| error.to_string())
        }
        // Nobody signs in with nothing, and two who have none must not be one.
        Text::Account => {
            let account = text.trim();
            Ok(if account.is_empty() { Cell::Null } else { Cell::Text(account.to_owned()) })
        }
    }
}

fn number_cell(of: Number, number: &async_graphql::Number, name: &str) -> Result<Option<Cell>> {
    Ok(match of {
        Number::Double => number.as_f64().filter(|number| number.is_finite()).map(Cell::Double),
        Number::Reference => Some(Cell::Whole(row_id(number.as_f64().unwrap_or(f64::NAN), name)?)),
        Number::Price => {
            let price = price(&number.to_string());
            let problem =
                || Fault::BadInput(format!("{name} must be a price, from 0 to less than a million."));
            Some(Cell::Price(price.ok_or_else(problem)?))
        }
        Number::Evse => {
            let number = number.as_f64().and_then(|number| row_id(number, name).ok());
            let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
            let problem = || Fault::BadInput(format!("{name} must be a whole number from 1 to 65535."));
            Some(Cell::Small(number.ok_or_else(problem)?.into()))
        }
    })
}

impl Cell {
    /// Writes it as a bound value of the field's type.
    pub(super) fn push(&self, field: &Field, sql: &mut QueryBuilder<Postgres>) {
        match self {
            Cell::Null => sql.push("null"),
            Cell::Text(text) => sql.push_bind(text.clone()),
            Cell::Boolean(value) => sql.push_bind(*value),
            Cell::Double(number) => sql.push_bind(*number),
            Cell::Whole(number) => sql.push_bind(*number),
            Cell::Small(number) => sql.push_bind(*number),
            Cell::Price(price) => sql.push_bind(*price),
            Cell::Time(time) => sql.push_bind(*time),
            Cell::Json(value) => sql.push_bind(Json(value.clone())),
        };
        sql.push(format_args!("::{}", field.kind.postgres()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::entity::tables::{CHARGE_POINT, CONNECTOR, SITE, USER};
    use serde_json::json;

    fn read(entity: &'static Entity, input: serde_json::Value) -> Result<Cells> {
        Cells::read(entity, Value::from_json(input).unwrap(), Use::Update)
    }

    fn told(entity: &'static Entity, input: serde_json::Value) -> String {
        match read(entity, input) {
            Err(Fault::BadInput(text)) => text,
            _ => panic!("taken"),
        }
    }

    #[test]
    fn values_become_what_their_columns_hold() {
        let cells = read(&SITE, json!({"default_price": 0.1, "organizationId": 3, "address": null})).unwrap();
        assert_eq!(cells.get("default_price"), Some(&Cell::Price("0.1".parse().unwrap())));
        assert_eq!(cells.reference("organizationId"), Some(Some(3)));
        assert_eq!((cells.get("address"), cells.get("name")), (Some(&Cell::Null), None));
        let cells = read(&USER, json!({"email": "  ", "phone": " +1 "})).unwrap();
        assert_eq!(
            (cells.get("email"), cells.get("phone")),
            (Some(&Cell::Null), Some(&Cell::Text("+1".into())))
        );
    }

    #[test]
    fn what_the_server_keeps_is_not_written() {
        let cells =
            read(&CHARGE_POINT, json!({"id": null, "created_at": "2020-01-01T00:00:00Z", "power": 5}))
                .unwrap();
        assert_eq!(cells.0.len(), 1);
        assert_eq!(told(&USER, json!({"id": "5"})), "Id cannot be specified when updating");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (entity, input, problem) in [
            (&SITE, json!({"battery": null}), "battery cannot be null."),
            (
                &SITE,
                json!({"default_price": -1}),
                "default_price must be a price, from 0 to less than a million.",
            ),
            (
                &SITE,
                json!({"default_price": 1_000_000}),
                "default_price must be a price, from 0 to less than a million.",
            ),
            (&SITE, json!({"ownerId": 1.5}), "ownerId must be a whole number."),
            (&CONNECTOR, json!({"connectorId": 0}), "connectorId must be a whole number from 1 to 65535."),
            (&CONNECTOR, json!({"priceUnit": "$/min"}), "priceUnit must be per kWh."),
            (&CONNECTOR, json!({"label": "a\u{0}"}), "label must be text of at most 500 characters."),
        ] {
            assert_eq!(told(entity, input), problem);
        }
        assert!(
            told(&SITE, json!({"location": {"type": "Point", "coordinates": ["x", 1]}})).contains("GeoJSON")
        );
    }
}
