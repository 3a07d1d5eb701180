//! The operations themselves, as fields of the three roots.

use async_graphql::indexmap::IndexMap;
use async_graphql::registry::{MetaField, MetaType, Registry};

use super::meta::{field, root, value, with};
use super::{aggregate, list, list_arguments, many, one, register};
use crate::graphql::entity::operation::{ALL, Event, Many, Operation, Read, Write};
use crate::graphql::entity::table::Entity;

/// The reading part of the schema.
pub(in crate::graphql::entity) fn queries(registry: &mut Registry, name: &str) -> MetaType {
    part(registry, name, |operation| match operation {
        Operation::Read(entity, read) => Some(query(entity, read)),
        Operation::Me(_) => {
            Some(MetaField { description: Some("Who is asking.".into()), ..field("me", "User!") })
        }
        Operation::Write(..) | Operation::Watch(..) => None,
    })
}

/// The writing part.
pub(in crate::graphql::entity) fn mutations(registry: &mut Registry, name: &str) -> MetaType {
    part(registry, name, |operation| match operation {
        Operation::Write(entity, write) => Some(mutation(entity, write)),
        Operation::Read(..) | Operation::Me(_) | Operation::Watch(..) => None,
    })
}

/// The watching part.
pub(in crate::graphql::entity) fn subscriptions(registry: &mut Registry, name: &str) -> MetaType {
    part(registry, name, |operation| match operation {
        Operation::Watch(entity, event) => Some(subscription(entity, event)),
        Operation::Read(..) | Operation::Me(_) | Operation::Write(..) => None,
    })
}

fn part(registry: &mut Registry, name: &str, field: impl Fn(Operation) -> Option<MetaField>) -> MetaType {
    register(registry);
    let fields: IndexMap<_, _> =
        ALL.iter().filter_map(|(name, operation)| Some((name.clone(), field(*operation)?))).collect();
    root(name, "", fields, false)
}

fn query(entity: &'static Entity, read: Read) -> MetaField {
    let Entity { name, many: plural, one: single, .. } = entity;
    match read {
        Read::One => {
            let id = value("id", "ID!", "The id of the record to find.");
            with(field(*single, *name), "Null when there is none, or it is not one's own.", one, vec![id])
        }
        Read::Many => list(plural, entity),
        Read::Page => {
            let about = "The same list with its length.";
            with(field(format!("{plural}Page"), format!("{name}Page!")), about, many, list_arguments(entity))
        }
        Read::Aggregate => {
            aggregate(format!("{single}Aggregate"), format!("[{name}AggregateResponse!]!"), entity)
        }
    }
}

fn mutation(entity: &'static Entity, write: Write) -> MetaField {
    let name = entity.name;
    let (ty, cost) = match write {
        Write::CreateMany => (format!("[{name}!]!"), many as super::meta::Weight),
        Write::UpdateMany => ("UpdateManyResponse!".into(), one as super::meta::Weight),
        Write::DeleteMany => ("DeleteManyResponse!".into(), one as super::meta::Weight),
        Write::DeleteOne => (format!("{name}DeleteResponse!"), one as super::meta::Weight),
        Write::CreateOne | Write::UpdateOne | Write::Add(_) | Write::Set(_) => {
            (format!("{name}!"), one as super::meta::Weight)
        }
    };
    let field_name = write.field(entity);
    let input = format!("{}Input!", capital(&field_name));
    with(field(field_name, ty), "", cost, vec![value("input", input, "")])
}

fn subscription(entity: &'static Entity, event: Event) -> MetaField {
    let name = entity.name;
    let after = value(
        "after",
        "ID",
        "Resume after this cursor: whatever changed since comes first. Each answer tells its own in `extensions.cursor`.",
    );
    let (ty, input) = match event {
        Event::Created => (format!("{name}!"), Some("Create")),
        Event::UpdatedOne => (format!("{name}!"), Some("UpdateOne")),
        Event::DeletedOne => (format!("{name}DeleteResponse!"), Some("DeleteOne")),
        Event::Many(Many::Updated) => ("UpdateManyResponse!".into(), None),
        Event::Many(Many::Deleted) => ("DeleteManyResponse!".into(), None),
    };
    let input = input.map(|kind| value("input", format!("{kind}{name}SubscriptionFilterInput"), ""));
    with(field(event.field(entity), ty), "", one, input.into_iter().chain([after]).collect())
}

/// `createOneSite` takes a `CreateOneSiteInput`.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
