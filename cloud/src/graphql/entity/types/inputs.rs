//! What operations take.

use async_graphql::registry::{MetaInputValue, Registry};

use super::meta::{input, members, value};
use crate::graphql::entity::table::{Create, Entity, Through, Writing};

pub(super) fn register(registry: &mut Registry, entity: &'static Entity) {
    filters(registry, entity);
    sorting(registry, entity);
    writing(registry, entity);
    relations(registry, entity);
    subscriptions(registry, entity);
}

fn filters(registry: &mut Registry, entity: &'static Entity) {
    let name = entity.name;
    let through = |it: &Through| value(it.key, format!("{name}Filter{}Filter", it.target.name), "");
    let mut own = filter_fields(&format!("{name}Filter"), entity);
    own.extend(entity.filters.iter().map(through));
    input(registry, &format!("{name}Filter"), "", own);
    for kind in ["Aggregate", "Update", "Delete", "Subscription"] {
        let filter = format!("{name}{kind}Filter");
        input(registry, &filter, "", filter_fields(&filter, entity));
    }
    for it in entity.filters {
        let filter = format!("{name}Filter{}Filter", it.target.name);
        input(registry, &filter, "", filter_fields(&filter, it.target));
    }
}

fn filter_fields(name: &str, entity: &'static Entity) -> Vec<MetaInputValue> {
    let groups = ["and", "or"].map(|group| value(group, format!("[{name}!]"), ""));
    let fields = entity.filterable().map(|field| value(field.name, field.kind.comparison(), ""));
    groups.into_iter().chain(fields).collect()
}

fn sorting(registry: &mut Registry, entity: &'static Entity) {
    let name = entity.name;
    members(registry, &format!("{name}SortFields"), entity.filterable().map(|field| field.name));
    let fields = vec![
        value("field", format!("{name}SortFields!"), ""),
        value("direction", "SortDirection!", ""),
        value("nulls", "SortNulls", ""),
    ];
    input(registry, &format!("{name}Sort"), "", fields);
}

fn writing(registry: &mut Registry, entity: &'static Entity) {
    let Entity { name, plural, one, many, input: row, .. } = entity;
    let made = entity.fields.iter().filter(|field| field.create != Create::Absent).map(|field| {
        let required = if field.create == Create::Required { "!" } else { "" };
        value(field.name, format!("{}{required}", field.kind.scalar()), "")
    });
    input(registry, row, "", made.collect());
    let updated = entity.fields.iter().filter(|field| field.writing != Writing::Absent).map(|field| {
        let about = match field.writing {
            Writing::Kept if field.name != "id" => "Kept by the server: what is sent here is not written.",
            Writing::Written | Writing::Kept | Writing::Absent => "",
        };
        value(field.name, field.kind.scalar(), about)
    });
    input(registry, &format!("Update{name}"), "", updated.collect());

    let inputs = [
        (format!("CreateOne{name}Input"), vec![value(*one, format!("{row}!"), "The record to create")]),
        (
            format!("CreateMany{plural}Input"),
            vec![value(*many, format!("[{row}!]!"), "Array of records to create")],
        ),
        (
            format!("UpdateOne{name}Input"),
            vec![
                value("id", "ID!", "The id of the record to update"),
                value("update", format!("Update{name}!"), "The update to apply."),
            ],
        ),
        (
            format!("UpdateMany{plural}Input"),
            vec![
                value("filter", format!("{name}UpdateFilter!"), "Filter used to find fields to update"),
                value(
                    "update",
                    format!("Update{name}!"),
                    "The update to apply to all records found using the filter",
                ),
            ],
        ),
        (format!("DeleteOne{name}Input"), vec![value("id", "ID!", "The id of the record to delete.")]),
        (
            format!("DeleteMany{plural}Input"),
            vec![value("filter", format!("{name}DeleteFilter!"), "Filter to find records to delete")],
        ),
    ];
    for (input_name, fields) in inputs {
        input(registry, &input_name, "", fields);
    }
}

fn relations(registry: &mut Registry, entity: &'static Entity) {
    for relation in entity.relations {
        let (name, theirs) = (entity.name, relation.target.plural);
        for link in [format!("Add{theirs}To{name}Input"), format!("Set{theirs}On{name}Input")] {
            let fields = vec![
                value("id", "ID!", "The id of the record."),
                value("relationIds", "[ID!]!", "The ids of the relations."),
            ];
            input(registry, &link, "", fields);
        }
    }
}

fn subscriptions(registry: &mut Registry, entity: &'static Entity) {
    let name = entity.name;
    for event in ["Create", "UpdateOne", "DeleteOne"] {
        let filter =
            value("filter", format!("{name}SubscriptionFilter!"), "Specify to filter the records returned.");
        input(registry, &format!("{event}{name}SubscriptionFilterInput"), "", vec![filter]);
    }
}
