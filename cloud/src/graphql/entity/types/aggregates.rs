//! What a list adds up to: one set of types per entity, and one per relation.

use async_graphql::registry::Registry;

use super::meta::{field, object};
use crate::graphql::entity::aggregate::Part;
use crate::graphql::entity::table::Entity;

pub(super) fn register(registry: &mut Registry, prefix: &str, entity: &'static Entity) {
    let mut response = Vec::new();
    for part in Part::ALL {
        let fields = entity.filterable().filter_map(|it| Some(field(it.name, part.scalar(it.kind)?)));
        let name = part.type_name(prefix);
        object(registry, &name, "", fields.collect());
        response.push(field(part.name(), name));
    }
    object(registry, &format!("{prefix}AggregateResponse"), "", response);
}
