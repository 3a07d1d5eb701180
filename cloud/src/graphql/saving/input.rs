//! The loose JSON of a whole site, made strict: every field is checked and named by its place when it is wrong.
//!
//! Apps send numbers as text and text as numbers, so both are taken. A field that is left out, or null, is kept.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use shared::id::StationId;
use shared::units::Currency;

use crate::db::site::{ChargePointFields, ConnectorFields, SiteFields};
use crate::graphql::error::{Fault, Result};

const MAX_CHARGE_POINTS: usize = 200;
const MAX_CONNECTORS: usize = 32;
/// Characters of a text.
pub(in crate::graphql) const MAX_TEXT: usize = 500;
/// What numeric(12, 6) holds.
const MAX_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// A whole site.
#[derive(Debug, PartialEq)]
pub(super) struct SiteInput {
    pub(super) id: Option<i64>,
    pub(super) fields: SiteFields,
    pub(super) charge_points: Vec<ChargePointInput>,
}

/// A charge point of it.
#[derive(Debug, PartialEq)]
pub(super) struct ChargePointInput {
    pub(super) id: Option<i64>,
    pub(super) fields: ChargePointFields,
    pub(super) connectors: Vec<ConnectorInput>,
}

/// A connector of that.
#[derive(Debug, PartialEq)]
pub(super) struct ConnectorInput {
    pub(super) id: Option<i64>,
    pub(super) number: Option<i32>,
    pub(super) fields: ConnectorFields,
}

impl SiteInput {
    /// Reads `data`.
    pub(super) fn read(data: &Value) -> Result<Self> {
        let it = Reader::new("data", data)?;
        let charge_points = it.list("chargepoints", MAX_CHARGE_POINTS)?;
        Ok(Self {
            id: it.id("id")?,
            fields: SiteFields {
                name: it.text("name")?,
                site: it.text("site")?,
                site_area: it.text("site_area")?,
                location: it.point("location")?,
                address: it.text("address")?,
                zip_code: it.number("zip_code")?,
                phone_number: it.text("phone_number")?,
                default_price: it.price("default_price")?,
                information: it.text("information")?,
                dynamic_asset: it.text("dynamic_asset")?,
                asset_type: it.text("asset_type")?,
                instant_power: it.number("instant_power")?,
                battery: it.text("battery")?,
                organization_id: it.id("organizationId")?,
                currency: it.currency("currency")?,
                timezone: it.text("timezone")?,
            },
            charge_points: charge_points.iter().map(ChargePointInput::read).collect::<Result<_>>()?,
        })
    }
}

impl ChargePointInput {
    fn read(it: &Reader<'_>) -> Result<Self> {
        let hardware_id = it.text("chargePointHardwareId")?.map(|text| text.trim().to_owned());
        if let Some(identity) = &hardware_id {
            StationId::new(identity.clone())
                .map_err(|error| it.wrong("chargePointHardwareId", &error.to_string()))?;
        }
        let id = it.id("id")?;
        if id.is_none() && hardware_id.is_none() {
            return Err(it.wrong("chargePointHardwareId", "is needed, or id"));
        }
        let connectors = it.list("connectors", MAX_CONNECTORS)?;
        Ok(Self {
            id,
            fields: ChargePointFields {
                hardware_id,
                name: it.text("chargePointName")?,
                instant_power: it.number("instantPower")?,
                power: it.number("power")?,
                public: it.boolean("public")?,
            },
            connectors: connectors.iter().map(ConnectorInput::read).collect::<Result<_>>()?,
        })
    }
}

impl ConnectorInput {
    fn read(it: &Reader<'_>) -> Result<Self> {
        let number = it.id("connectorId")?.map(|number| match i32::try_from(number) {
            Ok(number) if u16::try_from(number).is_ok() => Ok(number),
            _ => Err(it.wrong("connectorId", "must be from 1 to 65535")),
        });
        let price_unit = it.text("priceUnit")?;
        if let Some(unit) = &price_unit {
            currency_of(unit).map_err(|problem| it.wrong("priceUnit", problem))?;
        }
        Ok(Self {
            id: it.id("id")?,
            number: number.transpose()?,
            fields: ConnectorFields {
                label: it.text("label")?,
                type_name: it.text("connectorTypeName")?,
                type_id: it.text("connectorTypeId")?,
                power: it.number("power")?,
                max_power: it.number("maxPower")?,
                price: it.price("price")?,
                price_unit,
            },
        })
    }
}

/// The currency of a unit such as `$/kWh`, `€/kWh` or `EUR/kWh`; none when it names none, as old data does.
pub(in crate::graphql) fn currency_of(unit: &str) -> Result<Option<Currency>, &'static str> {
    let (money, per) = unit.split_once('/').unwrap_or((unit, "kWh"));
    if !per.trim().eq_ignore_ascii_case("kwh") {
        return Err("must be per kWh");
    }
    Ok(match money.trim() {
        "$" => Some(Currency::USD),
        "€" => Some(Currency::EUR),
        "£" => Currency::new("GBP").ok(),
        code => Currency::new(&code.to_ascii_uppercase()).ok(),
    })
}

/// An amount of money as it was written; none when it is none that a column holds.
pub(in crate::graphql) fn price(text: &str) -> Option<Decimal> {
    let price = text.parse().or_else(|_| Decimal::from_scientific(text)).ok();
    price.filter(|price: &Decimal| !price.is_sign_negative() && *price < MAX_PRICE)
}

/// A GeoJSON point, and nothing but the point: a height or a foreign member would never be shown again.
pub(in crate::graphql) fn point(value: &Value) -> Option<async_graphql::Value> {
    let (lon, lat) = (&value["coordinates"][0], &value["coordinates"][1]);
    let within = |degrees: &Value, most: f64| degrees.as_f64().is_some_and(|degrees| degrees.abs() <= most);
    if value["type"] != "Point" || !within(lon, 180.0) || !within(lat, 90.0) {
        return None;
    }
    async_graphql::Value::from_json(json!({"type": "Point", "coordinates": [lon, lat]})).ok()
}

/// An object, and the way to it for whoever has to mend it.
struct Reader<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    fn new(path: impl Into<String>, value: &'a Value) -> Result<Self> {
        let path = path.into();
        let Some(fields) = value.as_object() else {
            return Err(Fault::BadInput(format!("{path} must be an object.")));
        };
        Ok(Self { path, fields })
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, problem: &str) -> Fault {
        Fault::BadInput(format!("{}.{name} {problem}.", self.path))
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let text = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(self.wrong(name, "must be text")),
        };
        if text.chars().count() > MAX_TEXT || text.contains('\0') {
            return Err(self.wrong(name, &format!("must be text of at most {MAX_TEXT} characters")));
        }
        Ok(Some(text))
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        number.map(Some).ok_or_else(|| self.wrong(name, "must be a number, 0 or more"))
    }

    /// An id; 0 and less mean that there is none yet.
    fn id(&self, name: &str) -> Result<Option<i64>> {
        let id = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let id = id.ok_or_else(|| self.wrong(name, "must be a whole number"))?;
        Ok((id > 0).then_some(id))
    }

    /// Exactly as written: a price never passes through a float.
    fn price(&self, name: &str) -> Result<Option<Decimal>> {
        let text = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(_) => String::new(),
        };
        price(&text)
            .map(Some)
            .ok_or_else(|| self.wrong(name, "must be a price, from 0 to less than a million"))
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(name, "must be true or false")),
        }
    }

    fn currency(&self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        Currency::new(&text).map_err(|error| self.wrong(name, &format!("is wrong: {error}")))?;
        Ok(Some(text))
    }

    fn point(&self, name: &str) -> Result<Option<async_graphql::Value>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        point(value).map(Some).ok_or_else(|| {
            self.wrong(
                name,
                "must be a GeoJSON Point, {\"type\": \"Point\", \"coordinates\": [longitude, latitude]}",
            )
        })
    }

    fn list(&self, name: &str, most: usize) -> Result<Vec<Reader<'a>>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= most => items
                .iter()
                .enumerate()
                .map(|(at, item)| Reader::new(format!("{}.{name}[{at}]", self.path), item))
                .collect(),
            Some(_) => Err(self.wrong(name, &format!("must be a list of at most {most} objects"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(data: serde_json::Value) -> String {
        match SiteInput::read(&data) {
            Err(Fault::BadInput(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers() {
        let read = SiteInput::read(&json!({
            "id": "6", "name": 5, "zip_code": "10115", "default_price": 0.25,
            "chargepoints": [{"chargePointHardwareId": 15, "connectors": [{"price": "0.1", "priceUnit": 0.2, "connectorId": 1}]}],
        }))
        .unwrap();
        assert_eq!(
            (read.id, read.fields.name.as_deref(), read.fields.zip_code),
            (Some(6), Some("5"), Some(10115.0))
        );
        assert_eq!(read.fields.default_price, Some("0.25".parse().unwrap()));
        let charge_point = &read.charge_points[0];
        assert_eq!(charge_point.fields.hardware_id.as_deref(), Some("15"));
        assert_eq!(charge_point.connectors[0].fields.price, Some("0.1".parse().unwrap()));
        assert_eq!(charge_point.connectors[0].number, Some(1));
    }

    #[test]
    fn what_is_left_out_or_null_is_kept() {
        let read = SiteInput::read(&json!({"name": null, "chargepoints": null, "id": 0})).unwrap();
        assert_eq!(read, SiteInput { id: None, fields: SiteFields::default(), charge_points: vec![] });
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(told(json!([])), "data must be an object.");
        assert_eq!(told(json!({"zip_code": "x"})), "data.zip_code must be a number, 0 or more.");
        assert_eq!(
            told(json!({"default_price": 1_000_000})),
            "data.default_price must be a price, from 0 to less than a million."
        );
        assert!(told(json!({"location": {"type": "Point", "coordinates": ["x", 1]}})).contains("GeoJSON"));
        assert_eq!(
            told(json!({"chargepoints": {}})),
            "data.chargepoints must be a list of at most 200 objects."
        );
        assert_eq!(
            told(json!({"chargepoints": [{}]})),
            "data.chargepoints[0].chargePointHardwareId is needed, or id."
        );
        let connector = |field: &str, value: serde_json::Value| {
            told(json!({"chargepoints": [{"id": 1, "connectors": [{field: value}]}]}))
        };
        assert_eq!(
            connector("connectorId", json!(70_000)),
            "data.chargepoints[0].connectors[0].connectorId must be from 1 to 65535."
        );
        assert_eq!(
            connector("priceUnit", json!("$/min")),
            "data.chargepoints[0].connectors[0].priceUnit must be per kWh."
        );
    }

    #[test]
    fn currencies_are_read_from_price_units() {
        let code = |unit| currency_of(unit).unwrap().map(|it| it.code().to_owned());
        assert_eq!(code("$/kWh").as_deref(), Some("USD"));
        assert_eq!(code("€ / kwh").as_deref(), Some("EUR"));
        assert_eq!(code("eur/kWh").as_deref(), Some("EUR"));
        assert_eq!(code("0.2"), None);
        assert!(currency_of("$/h").is_err());
    }
}
