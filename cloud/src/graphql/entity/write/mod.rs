//! The writing operations: one transaction each, and everything that follows from a change inside it.
//!
//! Rows are locked, checked and written in the viewer's name. What follows (`aftermath`: columns that other tables repeat,
//! gateways' documents, hints) is the server's own work; then the answer is read, again in his name, and the log is written
//! last, because its lock is held until the commit.

mod aftermath;
mod cells;
mod link;
mod rows;
mod rules;
mod snapshot;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Field as Asked;
use async_graphql::{Context, ID, Name, Positioned, Value};
use serde_json::Value as Json;
use sqlx::{Postgres, Transaction};

use super::filter;
use super::operation::Write;
use super::plan::{Document, Shape, parsed};
use super::read::{Answered, Reading};
use super::table::Entity;
use crate::auth::{Reach, Viewer};
use crate::db;
use crate::graphql::error::{Fault, Result};
use crate::graphql::{app, parse_id, reach};
use cells::{Cells, Use};
use rows::Which;
pub(in crate::graphql) use snapshot::Snapshot;

/// Rows that one call makes, changes, links or deletes.
const MAX_MANY: usize = 1_000;

/// A change under way.
pub(super) struct Writing<'a> {
    tx: Transaction<'static, Postgres>,
    viewer: &'a Viewer,
    changes: Vec<Change>,
}

/// A row that was made, changed or deleted.
pub(super) struct Change {
    entity: &'static Entity,
    id: i64,
    before: Option<Json>,
    after: Option<Json>,
}

/// What an operation answers with.
enum Outcome {
    Row(i64),
    Rows(Vec<i64>),
    /// How many rows, under this field of this type.
    Count(&'static str, &'static str, usize),
    Done(Answered),
}

pub(super) async fn write(ctx: &Context<'_>, entity: &'static Entity, write: Write) -> Result<Answered> {
    let (viewer, reach) = reach(ctx, entity.change).await?;
    let (document, field) = (Document::new(ctx.query_env), ctx.item);
    let mut input = Input::read(document, field)?;
    // Read before anything is written: a wrong argument in it refuses the whole.
    let deleted = matches!(write, Write::DeleteOne).then_some("DeleteResponse").unwrap_or_default();
    let many = matches!(write, Write::UpdateMany | Write::DeleteMany);
    let shape = || {
        let type_name = format!("{}{deleted}", entity.name);
        Shape::named(document, entity, type_name, [&field.node.selection_set.node])
    };
    let shape = if many { None } else { Some(shape()?) };
    let mut writing = Writing::begin(&app(ctx).db, &viewer).await?;
    let outcome = match write {
        Write::CreateOne => {
            let cells = Cells::read(entity, input.take(entity.one), Use::Create)?;
            Outcome::Row(writing.create(entity, &reach, cells).await?)
        }
        Write::CreateMany => {
            Outcome::Rows(writing.create_many(entity, &reach, input.list(entity.many)).await?)
        }
        Write::UpdateOne => {
            let (id, cells) = (input.id()?, Cells::read(entity, input.take("update"), Use::Update)?);
            writing.update_one(entity, &reach, id, cells).await?;
            Outcome::Row(id)
        }
        Write::UpdateMany => {
            let filter = filter::read(entity, Some(input.take("filter")))?;
            let cells = Cells::read(entity, input.take("update"), Use::Update)?;
            let count = writing.update_many(entity, &reach, Which::Passing(&filter), &cells).await?;
            Outcome::Count("UpdateManyResponse", "updatedCount", count)
        }
        Write::DeleteOne => {
            let id = input.id()?;
            let shown = match &shape {
                Some(shape) => Reading::new(&mut writing.tx, &reach).one(shape, id).await?,
                None => None,
            };
            writing.delete_one(entity, &reach, id).await?;
            Outcome::Done(shown.ok_or_else(|| Fault::no_such(entity.name, id))?)
        }
        Write::DeleteMany => {
            let filter = filter::read(entity, Some(input.take("filter")))?;
            let count = writing.delete(entity, &reach, Which::Passing(&filter)).await?;
            Outcome::Count("DeleteManyResponse", "deletedCount", count)
        }
        Write::Add(relation) | Write::Set(relation) => {
            let (id, others) = (input.id()?, input.ids("relationIds")?);
            let whole = matches!(write, Write::Set(_));
            writing.link(entity, relation, &reach, id, &others, whole).await?;
            Outcome::Row(id)
        }
    };
    writing.answer(document, field, shape, outcome, many).await
}

impl<'a> Writing<'a> {
    pub(super) async fn begin(db: &sqlx::PgPool, viewer: &'a Viewer) -> Result<Self> {
        Ok(Self { tx: db::viewer::begin(db, viewer).await?, viewer, changes: Vec::new() })
    }

    async fn create(&mut self, entity: &'static Entity, reach: &Reach, mut cells: Cells) -> Result<i64> {
        rules::create(&mut self.tx, entity, self.viewer, reach, &mut cells).await?;
        let owner = rules::owner(entity, self.viewer, &cells);
        let id = rows::insert(&mut self.tx, entity, &cells, owner).await.map_err(refused(entity))?;
        self.changes.push(Change { entity, id, before: None, after: None });
        Ok(id)
    }

    async fn create_many(
        &mut self,
        entity: &'static Entity,
        reach: &Reach,
        inputs: Vec<Value>,
    ) -> Result<Vec<i64>> {
        few(inputs.len())?;
        let mut ids = Vec::with_capacity(inputs.len());
        for input in inputs {
            let cells = Cells::read(entity, input, Use::Create)?;
            ids.push(self.create(entity, reach, cells).await?);
        }
        Ok(ids)
    }

    async fn update_one(
        &mut self,
        entity: &'static Entity,
        reach: &Reach,
        id: i64,
        cells: Cells,
    ) -> Result<()> {
        match self.update_many(entity, reach, Which::These(&[id]), &cells).await? {
            0 => Err(Fault::no_such(entity.name, id)),
            _ => Ok(()),
        }
    }

    /// Every row by itself: what a value means may depend on what it replaces.
    async fn update_many(
        &mut self,
        entity: &'static Entity,
        reach: &Reach,
        which: Which<'_>,
        cells: &Cells,
    ) -> Result<usize> {
        let rows = rows::locked(&mut self.tx, entity, reach, which, MAX_MANY + 1).await?;
        few(rows.len())?;
        for (id, before) in &rows {
            let mut cells = cells.clone();
            rules::update(&mut self.tx, entity, self.viewer, reach, before, &mut cells).await?;
            if rows::update(&mut self.tx, entity, *id, &cells).await.map_err(refused(entity))? {
                self.changes.push(Change { entity, id: *id, before: Some(before.clone()), after: None });
            }
        }
        Ok(rows.len())
    }

    /// Deletes a row within reach.
    pub(super) async fn delete_one(&mut self, entity: &'static Entity, reach: &Reach, id: i64) -> Result<()> {
        match self.delete(entity, reach, Which::These(&[id])).await? {
            0 => Err(Fault::no_such(entity.name, id)),
            _ => Ok(()),
        }
    }

    async fn delete(&mut self, entity: &'static Entity, reach: &Reach, which: Which<'_>) -> Result<usize> {
        let rows = rows::locked(&mut self.tx, entity, reach, which, MAX_MANY + 1).await?;
        few(rows.len())?;
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        rows::delete(&mut self.tx, entity, &ids).await.map_err(refused(entity))?;
        let changes =
            rows.into_iter().map(|(id, before)| Change { entity, id, before: Some(before), after: None });
        self.changes.extend(changes);
        Ok(ids.len())
    }

    /// Ends a change without an answer.
    pub(super) async fn finish(mut self) -> Result<()> {
        self.follow().await?;
        self.commit(false).await
    }

    async fn answer(
        mut self,
        document: Document<'_>,
        field: &Positioned<Asked>,
        shape: Option<Shape>,
        outcome: Outcome,
        many: bool,
    ) -> Result<Answered> {
        self.follow().await?;
        let see = |entity: &Entity| self.viewer.reach(entity.see);
        let answered = match (outcome, shape) {
            (Outcome::Row(id), Some(shape)) => {
                db::viewer::act_as(&mut self.tx, self.viewer).await?;
                let found = Reading::new(&mut self.tx, &see(shape.entity)).one(&shape, id).await?;
                found.ok_or_else(|| Fault::no_such(shape.entity.name, id))?
            }
            (Outcome::Rows(ids), Some(shape)) => {
                db::viewer::act_as(&mut self.tx, self.viewer).await?;
                Reading::new(&mut self.tx, &see(shape.entity)).these(&shape, &ids).await?
            }
            (Outcome::Done(answered), _) => answered,
            (Outcome::Count(type_name, name, count), _) => {
                Ok(counted(document, field, type_name, name, count))
            }
            (Outcome::Row(_) | Outcome::Rows(_), None) => Ok(Value::Null),
        };
        self.commit(many).await?;
        Ok(answered)
    }
}

/// The answer to a change of many rows.
fn counted(
    document: Document<'_>,
    field: &Positioned<Asked>,
    type_name: &str,
    name: &str,
    count: usize,
) -> Value {
    let mut object = IndexMap::new();
    for (key, fields) in document.below(&[field]) {
        let is_count = fields.first().is_some_and(|field| field.node.name.node == name);
        object.insert(key.clone(), if is_count { Value::from(count) } else { Value::from(type_name) });
    }
    Value::Object(object)
}

fn few(rows: usize) -> Result<()> {
    if rows > MAX_MANY {
        return Err(Fault::BadInput(format!(
            "This concerns more than {MAX_MANY} rows. Narrow the filter, or do it in parts."
        )));
    }
    Ok(())
}

/// What Postgres refuses for a reason that the caller can mend.
fn refused(entity: &'static Entity) -> impl Fn(sqlx::Error) -> Fault {
    const OUT_OF_REACH: &str = "42501";
    move |error| match error.as_database_error() {
        Some(known) if known.is_unique_violation() => {
            Fault::BadInput(format!("This {} is taken.", entity.unique))
        }
        Some(known) if known.is_foreign_key_violation() => {
            Fault::BadInput("Something that it refers to is not there any more.".into())
        }
        Some(known) if known.code().as_deref() == Some(OUT_OF_REACH) => Fault::role(),
        _ => error.into(),
    }
}

/// The argument `input`.
struct Input(IndexMap<Name, Value>);

impl Input {
    fn read(document: Document<'_>, field: &Positioned<Asked>) -> Result<Self> {
        match document.argument(field, "input")? {
            Some(Value::Object(input)) => Ok(Self(input)),
            _ => Err(Fault::BadInput("input is needed.".into())),
        }
    }

    fn take(&mut self, name: &str) -> Value {
        self.0.swap_remove(name).unwrap_or_default()
    }

    fn id(&mut self) -> Result<i64> {
        parse_id(&parsed::<ID>(self.take("id"), "id")?, "id")
    }

    fn list(&mut self, name: &str) -> Vec<Value> {
        let value = self.take(name);
        if let Value::List(items) = value { items } else { vec![value] }
    }

    /// Ids, each once.
    fn ids(&mut self, name: &str) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        for id in self.list(name) {
            let id = parse_id(&parsed::<ID>(id, name)?, name)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        few(ids.len())?;
        Ok(ids)
    }
}
