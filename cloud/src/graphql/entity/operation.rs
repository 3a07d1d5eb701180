//! The generated operations by name: which fields of the roots are ours, and what each of them does.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_graphql::indexmap::IndexMap;

use super::table::{Entity, Relation};
use super::tables;

/// One generated field of a root.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Read(&'static Entity, Read),
    /// Who is asking.
    Me(&'static Entity),
    Write(&'static Entity, Write),
    Watch(&'static Entity, Event),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    One,
    Many,
    /// Many, and how many there are.
    Page,
    Aggregate,
}

#[derive(Clone, Copy)]
pub(super) enum Write {
    CreateOne,
    CreateMany,
    UpdateOne,
    UpdateMany,
    DeleteOne,
    DeleteMany,
    /// Rows join the row's list
    Add(&'static Relation),
    /// or become it.
    Set(&'static Relation),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Created,
    UpdatedOne,
    DeletedOne,
    Many(Many),
}

/// A change of many rows at once is told as their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Many {
    Updated,
    Deleted,
}

/// All of them, by the field's name.
pub(super) static ALL: LazyLock<IndexMap<String, Operation>> =
    LazyLock::new(|| tables::ALL.into_iter().flat_map(of_entity).collect());

static BY_NAME: LazyLock<HashMap<&'static str, Operation>> =
    LazyLock::new(|| ALL.iter().map(|(name, operation)| (name.as_str(), *operation)).collect());

/// What a field of a root does; none: it is none of these.
pub(super) fn named(field: &str) -> Option<Operation> {
    BY_NAME.get(field).copied()
}

fn of_entity(entity: &'static Entity) -> Vec<(String, Operation)> {
    let reads = [
        (format!("{}Aggregate", entity.one), Read::Aggregate),
        (entity.one.to_owned(), Read::One),
        (entity.many.to_owned(), Read::Many),
        (format!("{}Page", entity.many), Read::Page),
    ];
    let reads = reads.into_iter().map(|(name, read)| (name, Operation::Read(entity, read)));
    let me = (entity.name == "User").then(|| ("me".to_owned(), Operation::Me(entity)));
    let relations = entity.relations.iter().flat_map(|it| [Write::Add(it), Write::Set(it)]);
    let writes = [
        Write::CreateOne,
        Write::CreateMany,
        Write::UpdateOne,
        Write::UpdateMany,
        Write::DeleteOne,
        Write::DeleteMany,
    ];
    let writes = relations.chain(writes).map(|write| (write.field(entity), Operation::Write(entity, write)));
    let events = [
        Event::Created,
        Event::UpdatedOne,
        Event::Many(Many::Updated),
        Event::DeletedOne,
        Event::Many(Many::Deleted),
    ];
    let events = events.map(|event| (event.field(entity), Operation::Watch(entity, event)));
    reads.chain(me).chain(writes).chain(events).collect()
}

impl Write {
    /// The field's name.
    pub(super) fn field(self, entity: &Entity) -> String {
        let (one, many) = (entity.name, entity.plural);
        match self {
            Write::CreateOne => format!("createOne{one}"),
            Write::CreateMany => format!("createMany{many}"),
            Write::UpdateOne => format!("updateOne{one}"),
            Write::UpdateMany => format!("updateMany{many}"),
            Write::DeleteOne => format!("deleteOne{one}"),
            Write::DeleteMany => format!("deleteMany{many}"),
            Write::Add(relation) => format!("add{}To{one}", relation.target.plural),
            Write::Set(relation) => format!("set{}On{one}", relation.target.plural),
        }
    }
}

impl Event {
    /// The field's name.
    pub(super) fn field(self, entity: &Entity) -> String {
        let (one, many) = (entity.name, entity.plural);
        match self {
            Event::Created => format!("created{one}"),
            Event::UpdatedOne => format!("updatedOne{one}"),
            Event::DeletedOne => format!("deletedOne{one}"),
            Event::Many(Many::Updated) => format!("updatedMany{many}"),
            Event::Many(Many::Deleted) => format!("deletedMany{many}"),
        }
    }
}
