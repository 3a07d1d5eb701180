//! The generated types: what the tables say, told to the executor's registry.
//!
//! Names, arguments, nullability and defaults are those of the first API. Ours are the argument `paging` of each list, the
//! `…Page` types with totals, and `after` of the subscriptions.

mod aggregates;
mod inputs;
mod meta;
mod roots;

use async_graphql::registry::Registry;
use async_graphql::registry::{MetaField, MetaInputValue};
use async_graphql::{InputType as _, OutputType as _, ServerResult};

use super::table::{Entity, Writing};
use super::tables;
use crate::graphql::filter::{
    BooleanComparison, Direction, IdComparison, JsonComparison, Nulls, NumberComparison, Paging,
    TextComparison, TimeComparison,
};
use crate::graphql::scalar::{JsonValue, Time};
use meta::{field, object, or, value, with};
pub(super) use roots::{mutations, queries, subscriptions};

/// Everything that the roots refer to; telling it twice changes nothing.
pub(super) fn register(registry: &mut Registry) {
    if registry.types.contains_key("UpdateManyResponse") {
        return;
    }
    scalars_and_operators(registry);
    let count =
        |name: &str, about: &str| MetaField { description: Some(about.to_owned()), ..field(name, "Int!") };
    object(registry, "UpdateManyResponse", "", vec![count("updatedCount", "The number of records updated.")]);
    object(registry, "DeleteManyResponse", "", vec![count("deletedCount", "The number of records deleted.")]);
    for entity in tables::ALL {
        objects(registry, entity);
        inputs::register(registry, entity);
        aggregates::register(registry, entity.name, entity);
        for relation in entity.relations {
            aggregates::register(
                registry,
                &format!("{}{}", entity.name, relation.target.plural),
                relation.target,
            );
        }
    }
}

fn scalars_and_operators(registry: &mut Registry) {
    <i32 as async_graphql::InputType>::create_type_info(registry);
    <f64 as async_graphql::InputType>::create_type_info(registry);
    <String as async_graphql::InputType>::create_type_info(registry);
    <bool as async_graphql::InputType>::create_type_info(registry);
    <async_graphql::ID as async_graphql::InputType>::create_type_info(registry);
    <Time as async_graphql::InputType>::create_type_info(registry);
    JsonValue::create_type_info(registry);
    IdComparison::create_type_info(registry);
    TextComparison::create_type_info(registry);
    NumberComparison::create_type_info(registry);
    BooleanComparison::create_type_info(registry);
    TimeComparison::create_type_info(registry);
    JsonComparison::create_type_info(registry);
    <Direction as async_graphql::InputType>::create_type_info(registry);
    <Nulls as async_graphql::InputType>::create_type_info(registry);
    Paging::create_type_info(registry);
}

fn objects(registry: &mut Registry, entity: &'static Entity) {
    let mut fields: Vec<_> = entity.fields.iter().map(|it| field(it.name, it.output())).collect();
    for relation in entity.relations {
        let target = relation.target;
        fields.push(list(target.many, target));
        let of = format!("[{}{}AggregateResponse!]!", entity.name, target.plural);
        fields.push(aggregate(format!("{}Aggregate", target.many), of, target));
    }
    object(registry, entity.name, "", fields);
    let deleted = entity.fields.iter().filter(|it| it.writing != Writing::Absent);
    let deleted = deleted.map(|it| field(it.name, it.kind.scalar())).collect();
    object(registry, &format!("{}DeleteResponse", entity.name), "", deleted);
    let about = |about: &str, it: MetaField| MetaField { description: Some(about.to_owned()), ..it };
    let page = vec![
        about("Of all pages.", field("totalCount", "Int!")),
        field("hasNextPage", "Boolean!"),
        field("nodes", format!("[{}!]!", entity.name)),
    ];
    object(registry, &format!("{}Page", entity.name), "A page of a list, and how long the list is.", page);
}

/// A list of an entity, at the root or of a row.
fn list(name: &str, of: &Entity) -> MetaField {
    with(field(name, format!("[{}!]!", of.name)), "The first 200 without paging.", many, list_arguments(of))
}

fn list_arguments(of: &Entity) -> Vec<MetaInputValue> {
    vec![
        or(value("filter", format!("{}Filter!", of.name), "Specify to filter the records returned."), "{}"),
        or(value("sorting", format!("[{}Sort!]!", of.name), "Specify to sort results."), "[]"),
        value("paging", "Paging", "Which part of the list; of each row's own, where lists are in lists."),
    ]
}

fn aggregate(name: String, ty: String, of: &Entity) -> MetaField {
    let filter =
        value("filter", format!("{}AggregateFilter", of.name), "Filter to find records to aggregate on");
    with(field(name, ty), "", many, vec![filter])
}

/// Lists are loaded level by level, so a level costs a statement and its rows, not a statement per row.
#[expect(clippy::unnecessary_wraps, reason = "the registry's signature")]
fn many(
    _: &async_graphql::VisitorContext<'_>,
    _: &[async_graphql::Positioned<async_graphql::parser::types::VariableDefinition>],
    _: &async_graphql::parser::types::Field,
    inner: usize,
) -> ServerResult<usize> {
    Ok(5 + 2 * inner)
}

#[expect(clippy::unnecessary_wraps, reason = "the registry's signature")]
fn one(
    _: &async_graphql::VisitorContext<'_>,
    _: &[async_graphql::Positioned<async_graphql::parser::types::VariableDefinition>],
    _: &async_graphql::parser::types::Field,
    inner: usize,
) -> ServerResult<usize> {
    Ok(1 + inner)
}
