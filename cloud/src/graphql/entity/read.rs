//! A plan's rows: one statement per level of lists, whatever the number of rows above, and the answer put together.

use std::collections::{HashMap, HashSet};

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, PathSegment, Pos, ServerError, Value};
use futures_util::future::BoxFuture;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};

use super::plan::{Item, List, Shape, Term};
use super::reach::push_reach;
use super::table::Relation;
use super::value;
use crate::auth::Reach;
use crate::graphql::error::{Fault, Result};
use crate::graphql::filter::{Where, push_order};

/// Rows of one answer, all levels together.
const MAX_ROWS_IN_ALL: usize = 20_000;

/// A transaction in the viewer's name, how far he reaches, and how much more may be loaded.
pub(super) struct Reading<'a> {
    pub(super) tx: &'a mut PgConnection,
    pub(super) reach: &'a Reach,
    rows_left: usize,
}

/// A row's object, or what it lacks.
pub(super) type Answered = std::result::Result<Value, Missing>;

/// A value that the schema promises and the row does not have. It takes its object with it, and the lists that this is in.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    what: String,
    at: Pos,
    /// From the value outwards.
    path: Vec<PathSegment>,
}

impl Missing {
    /// In a field of an object around it.
    pub(super) fn within_field(self, name: &str) -> Self {
        self.within(PathSegment::Field(name.to_owned()))
    }

    fn within(mut self, segment: PathSegment) -> Self {
        self.path.push(segment);
        self
    }

    /// The executor's error, with the path of the field that the object is under.
    pub(super) fn error(self, root: &Name) -> ServerError {
        let mut path = self.within(PathSegment::Field(root.to_string()));
        path.path.reverse();
        let text = format!("Cannot return null for non-nullable field {}.", path.what);
        ServerError { path: path.path, ..ServerError::new(text, Some(path.at)) }
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(tx: &'a mut PgConnection, reach: &'a Reach) -> Self {
        Self { tx, reach, rows_left: MAX_ROWS_IN_ALL }
    }

    /// A list at the root.
    pub(super) async fn list(&mut self, list: &List) -> Result<Answered> {
        let rows = self.rows(list).await?;
        let objects = self.objects(&list.shape, &rows).await?;
        Ok(of_list(objects))
    }

    /// How many rows a list has in all.
    pub(super) async fn count(&mut self, list: &List) -> Result<i64> {
        let mut sql = QueryBuilder::new("select count(*)");
        self.push_from(list, &mut sql)?;
        Ok(sql.build_query_scalar().persistent(false).fetch_one(&mut *self.tx).await?)
    }

    /// One row by its id; none when it is not there or out of reach.
    pub(super) async fn one(&mut self, shape: &Shape, id: i64) -> Result<Option<Answered>> {
        self.passing(shape, id, &Where::default()).await
    }

    /// The same, as long as it passes.
    pub(super) async fn passing(
        &mut self,
        shape: &Shape,
        id: i64,
        filter: &Where,
    ) -> Result<Option<Answered>> {
        let mut sql = QueryBuilder::new("select ");
        push_columns(shape, &mut sql);
        let entity = shape.entity;
        sql.push(format_args!(" from {} {} where ", entity.table, entity.alias));
        push_reach(entity, self.reach, &mut sql);
        sql.push(format_args!(" and {} = ", entity.sql("id"))).push_bind(id).push(" and ");
        filter.push(&mut sql)?;
        let rows = sql.build().persistent(filter.is_empty()).fetch_all(&mut *self.tx).await?;
        Ok(self.objects(shape, &rows).await?.pop())
    }

    /// Rows by their ids, in that order; those out of reach are left out.
    pub(super) async fn these(&mut self, shape: &Shape, ids: &[i64]) -> Result<Answered> {
        let mut sql = QueryBuilder::new("select ");
        push_columns(shape, &mut sql);
        let entity = shape.entity;
        sql.push(format_args!(" from {} {} where ", entity.table, entity.alias));
        push_reach(entity, self.reach, &mut sql);
        let id = entity.sql("id");
        sql.push(format_args!(" and {id} = any(")).push_bind(ids.to_vec()).push(")");
        sql.push(" order by array_position(").push_bind(ids.to_vec()).push(format_args!(", {id})"));
        let rows = sql.build().fetch_all(&mut *self.tx).await?;
        Ok(of_list(self.objects(shape, &rows).await?))
    }

    /// A row out of the log, as long as it passes; what is below it as it is now.
    pub(super) async fn logged(
        &mut self,
        shape: &Shape,
        row: &serde_json::Value,
        filter: &Where,
    ) -> Result<Option<Answered>> {
        let fields = shape.entity.fields;
        let columns: Vec<_> = fields.iter().map(|it| format!("r.\"{}\" as {}", it.name, it.column)).collect();
        let types: Vec<_> =
            fields.iter().map(|it| format!("\"{}\" {}", it.name, it.kind.postgres())).collect();
        let mut sql = QueryBuilder::new("select ");
        push_columns(shape, &mut sql);
        sql.push(format_args!(" from (select {} from jsonb_to_record(", columns.join(", ")));
        sql.push_bind(Json(row)).push(format_args!(") r({})) {}", types.join(", "), shape.entity.alias));
        sql.push(" where ");
        filter.push(&mut sql)?;
        let rows = sql.build().persistent(filter.is_empty()).fetch_all(&mut *self.tx).await?;
        Ok(self.objects(shape, &rows).await?.pop())
    }

    async fn rows(&mut self, list: &List) -> Result<Vec<PgRow>> {
        let mut sql = QueryBuilder::new("select ");
        push_columns(&list.shape, &mut sql);
        self.push_from(list, &mut sql)?;
        push_page(list, &mut sql);
        let plain = list.filter.is_empty() && list.order.is_empty();
        let rows = sql.build().persistent(plain).fetch_all(&mut *self.tx).await?;
        self.spend(rows.len())?;
        Ok(rows)
    }

    /// From the table, what is within reach and passes.
    fn push_from(&self, list: &List, sql: &mut QueryBuilder<Postgres>) -> Result<()> {
        let entity = list.shape.entity;
        sql.push(format_args!(" from {} {} where ", entity.table, entity.alias));
        push_reach(entity, self.reach, sql);
        sql.push(" and ");
        list.filter.push(sql)
    }

    fn spend(&mut self, rows: usize) -> Result<()> {
        let left = self.rows_left.checked_sub(rows).ok_or_else(|| {
            Fault::BadInput(format!(
                "The answer would have more than {MAX_ROWS_IN_ALL} rows. Ask for less: filter the lists, or page them with \
                 paging: {{limit, offset}}."
            ))
        })?;
        self.rows_left = left;
        Ok(())
    }

    /// The rows' objects. What is below is loaded for all of them at once.
    pub(super) fn objects<'s>(
        &'s mut self,
        shape: &'s Shape,
        rows: &'s [PgRow],
    ) -> BoxFuture<'s, Result<Vec<Answered>>> {
        Box::pin(async move {
            let mut below = Vec::with_capacity(shape.items.len());
            for (_, item) in &shape.items {
                below.push(match item {
                    Item::TypeName | Item::Column(..) => None,
                    Item::List(relation, link, list) => {
                        Some(self.children(relation, list, &keys(shape, rows, *link)?).await?)
                    }
                    Item::Aggregate(relation, link, aggregate) => {
                        let keys = keys(shape, rows, *link)?;
                        let found = aggregate.of_each(self.tx, self.reach, relation, &keys).await?;
                        let ok =
                            |(key, groups): (i64, Vec<Value>)| (key, groups.into_iter().map(Ok).collect());
                        Some(found.into_iter().map(ok).collect())
                    }
                });
            }
            rows.iter().map(|row| object(shape, row, &below)).collect()
        })
    }

    /// The lists of all these keys, each with its own filter, order and page.
    async fn children(&mut self, relation: &Relation, list: &List, keys: &[i64]) -> Result<Below> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let theirs = list.shape.entity.sql(relation.theirs);
        let mut sql = QueryBuilder::new("select child.*, parent.key from unnest(");
        sql.push_bind(keys.to_vec())
            .push(") with ordinality as parent (key, place) cross join lateral (select ");
        push_columns(&list.shape, &mut sql);
        sql.push(", row_number() over (");
        push_terms(list, &mut sql);
        sql.push(") as place");
        self.push_from(list, &mut sql)?;
        sql.push(format_args!(" and {theirs} = parent.key"));
        push_page(list, &mut sql);
        sql.push(") child order by parent.place, child.place");
        let plain = list.filter.is_empty() && list.order.is_empty();
        let rows = sql.build().persistent(plain).fetch_all(&mut *self.tx).await?;
        self.spend(rows.len())?;
        let objects = self.objects(&list.shape, &rows).await?;
        let mut found: Below = HashMap::new();
        for (row, object) in rows.iter().zip(objects) {
            found.entry(row.try_get("key")?).or_default().push(object);
        }
        Ok(found)
    }
}

/// What is below rows: by the value that links them.
type Below = HashMap<i64, Vec<Answered>>;

fn of_list(objects: Vec<Answered>) -> Answered {
    let objects = objects.into_iter().enumerate();
    let objects =
        objects.map(|(at, object)| object.map_err(|missing| missing.within(PathSegment::Index(at))));
    Ok(Value::List(objects.collect::<std::result::Result<_, _>>()?))
}

/// The values of a link, each once.
fn keys(shape: &Shape, rows: &[PgRow], link: usize) -> Result<Vec<i64>> {
    let mut seen = HashSet::new();
    let mut keys = Vec::new();
    for row in rows {
        let key: Option<i64> = row.try_get(shape.columns.len() + link)?;
        keys.extend(key.filter(|key| seen.insert(*key)));
    }
    Ok(keys)
}

fn object(shape: &Shape, row: &PgRow, below: &[Option<Below>]) -> Result<Answered> {
    let mut object = IndexMap::with_capacity(shape.items.len());
    for ((key, item), below) in shape.items.iter().zip(below) {
        let value = match (item, below) {
            (Item::Column(place, at), _) => column(shape, row, *place, *at)?,
            (Item::List(_, link, _) | Item::Aggregate(_, link, _), Some(below)) => {
                let own: Option<i64> = row.try_get(shape.columns.len() + link)?;
                of_list(own.and_then(|own| below.get(&own)).cloned().unwrap_or_default())
            }
            (Item::TypeName | Item::List(..) | Item::Aggregate(..), _) => Ok(shape.type_name.as_str().into()),
        };
        match value {
            Ok(value) => object.insert(key.clone(), value),
            Err(missing) => return Ok(Err(missing.within(PathSegment::Field(key.to_string())))),
        };
    }
    Ok(Ok(Value::Object(object)))
}

fn column(shape: &Shape, row: &PgRow, place: usize, at: Pos) -> Result<Answered> {
    let Some(field) = shape.columns.get(place) else { return Ok(Ok(Value::Null)) };
    let value = value::shown(field.kind, row, place)?;
    if field.required && shape.type_name == shape.entity.name && value == Value::Null {
        let what = format!("{}.{}", shape.type_name, field.name);
        return Ok(Err(Missing { what, at, path: Vec::new() }));
    }
    Ok(Ok(value))
}

/// The shape's columns, then its links; never nothing.
fn push_columns(shape: &Shape, sql: &mut QueryBuilder<Postgres>) {
    let columns =
        shape.columns.iter().map(|field| value::selected(field.kind, &shape.entity.sql(field.column)));
    let links = shape.links.iter().map(|link| shape.entity.sql(link));
    let all: Vec<String> = columns.chain(links).collect();
    sql.push(if all.is_empty() { "1".to_owned() } else { all.join(", ") });
}

/// The order as asked for, and by id where that leaves a choice.
fn push_terms(list: &List, sql: &mut QueryBuilder<Postgres>) {
    sql.push("order by ");
    for Term { expression, direction, nulls } in &list.order {
        push_order(expression, *direction, *nulls, sql);
        sql.push(", ");
    }
    sql.push(list.shape.entity.sql("id"));
}

fn push_page(list: &List, sql: &mut QueryBuilder<Postgres>) {
    sql.push(" ");
    push_terms(list, sql);
    sql.push(" limit ").push_bind(list.limit).push(" offset ").push_bind(list.offset);
}
