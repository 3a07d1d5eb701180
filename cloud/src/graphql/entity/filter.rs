//! Filters of entities: the value that was sent, field by field, into conditions.

use async_graphql::Value;
use async_graphql::indexmap::IndexMap;

use super::plan::parsed;
use super::table::{Entity, Kind};
use crate::graphql::error::{Fault, Result};
use crate::graphql::filter::{
    BooleanComparison, Conditions, IdComparison, JsonComparison, NumberComparison, TextComparison,
    TimeComparison, Where,
};

/// Groups within groups.
const MAX_DEPTH: usize = 12;

/// Reads a filter of an entity; nothing is a filter that all rows pass.
pub(super) fn read(entity: &'static Entity, filter: Option<Value>) -> Result<Where> {
    filter.map_or_else(|| Ok(Where::default()), |filter| group(entity, filter, MAX_DEPTH))
}

fn group(entity: &'static Entity, filter: Value, depth: usize) -> Result<Where> {
    let Value::Object(mut filter) = filter else { return Ok(Where::default()) };
    if depth == 0 {
        return Err(Fault::BadInput(format!("A filter may be nested at most {MAX_DEPTH} levels deep.")));
    }
    let mut all = Where {
        and: groups(entity, filter.swap_remove("and"), depth)?,
        or: groups(entity, filter.swap_remove("or"), depth)?,
        ..Where::default()
    };
    for field in entity.filterable() {
        if let Some(comparison) = taken(&mut filter, field.name) {
            all.field(entity.sql(field.column), Some(conditions(field.kind, comparison, field.name)?));
        }
    }
    for through in entity.filters {
        if let Some(inner) = taken(&mut filter, through.key) {
            let target = through.target;
            let (theirs, own) = (target.sql(through.theirs), entity.sql(through.own));
            let rows = format!("select from {} {} where {theirs} = {own}", target.table, target.alias);
            all.through.push((rows, group(target, inner, depth - 1)?));
        }
    }
    Ok(all)
}

fn groups(entity: &'static Entity, groups: Option<Value>, depth: usize) -> Result<Vec<Where>> {
    match groups {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::List(groups)) => {
            groups.into_iter().map(|inner| group(entity, inner, depth - 1)).collect()
        }
        Some(one) => Ok(vec![group(entity, one, depth - 1)?]),
    }
}

fn taken(filter: &mut IndexMap<async_graphql::Name, Value>, key: &str) -> Option<Value> {
    filter.swap_remove(key).filter(|value| *value != Value::Null)
}

fn conditions(kind: Kind, comparison: Value, name: &str) -> Result<Conditions> {
    Ok(match kind {
        Kind::Id => parsed::<IdComparison>(comparison, name)?.into(),
        Kind::Text(_) => parsed::<TextComparison>(comparison, name)?.into(),
        Kind::Boolean => parsed::<BooleanComparison>(comparison, name)?.into(),
        Kind::Time => parsed::<TimeComparison>(comparison, name)?.into(),
        Kind::Place => parsed::<JsonComparison>(comparison, name)?.into(),
        Kind::Number(_) => parsed::<NumberComparison>(comparison, name)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tables::{CONNECTOR, SITE};
    use super::*;
    use serde_json::json;
    use sqlx::QueryBuilder;

    fn sql(entity: &'static Entity, filter: serde_json::Value) -> String {
        let filter = read(entity, Some(Value::from_json(filter).unwrap())).unwrap();
        let mut builder = QueryBuilder::new("");
        filter.push(&mut builder).unwrap();
        builder.sql().as_str().to_owned()
    }

    #[test]
    fn fields_become_columns_and_relations_subqueries() {
        assert_eq!(
            sql(
                &SITE,
                json!({"zip_code": {"gte": 5, "is": null}, "connectors": {"statusName": {"eq": "Available"}}})
            ),
            "(true and (false or s.zip_code is null or (s.zip_code) >= $1) and exists (select from connectors c where \
             c.site_id = s.id and (true and (false or (c.status_name)::text = $2))))"
        );
        assert_eq!(
            sql(
                &CONNECTOR,
                json!({"or": [{"site": {"id": {"eq": "7"}}}, {"price": {"lt": 0.5}}], "label": null})
            ),
            "(true and (false or (true and exists (select from sites s where s.id = c.site_id and (true and (false or \
             (s.id) = $1)))) or (true and (false or (c.price) < $2::float8::numeric))))"
        );
    }

    #[test]
    fn json_is_equal_by_content_and_like_by_text() {
        assert_eq!(
            sql(&SITE, json!({"location": {"eq": {"type": "Point"}, "like": "%Point%"}})),
            "(true and (false or (s.location) = $1::jsonb or (s.location)::text like $2))"
        );
    }

    #[test]
    fn groups_end_somewhere() {
        let deep = (0..MAX_DEPTH + 1).fold(json!({}), |inner, _| json!({"and": [inner]}));
        assert!(matches!(read(&SITE, Some(Value::from_json(deep).unwrap())), Err(Fault::BadInput(_))));
    }
}
