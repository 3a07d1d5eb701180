//! Where a site is, as a GeoJSON point.

use std::borrow::Cow;
use std::sync::LazyLock;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value};

use crate::graphql::scalar::{Float, JsonValue};

/// `JSON` in answers; there are many of them, so it is written without the detour over a tree of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) lon: Float,
    pub(super) lat: Float,
}

static TYPE: LazyLock<Name> = LazyLock::new(|| Name::new("type"));
static COORDINATES: LazyLock<Name> = LazyLock::new(|| Name::new("coordinates"));

impl Place {
    pub(super) fn value(self) -> Value {
        let coordinates = Value::List(vec![self.lon.into(), self.lat.into()]);
        Value::Object(IndexMap::from([
            (TYPE.clone(), Value::from("Point")),
            (COORDINATES.clone(), coordinates),
        ]))
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"Point","coordinates":["#);
        self.lon.write(out);
        out.push(b',');
        self.lat.write(out);
        out.extend_from_slice(b"]}");
    }
}

impl OutputType for Place {
    fn type_name() -> Cow<'static, str> {
        JsonValue::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        JsonValue::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_its_value_is() {
        for (lon, lat) in [(-122.4, 37.7), (0.0, -18.0), (178.441_9, 1e-7)] {
            let place = Place { lon: Float(lon), lat: Float(lat) };
            let mut json = Vec::new();
            place.write(&mut json);
            assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&place.value()).unwrap());
        }
    }
}
