//! Counts, sums, averages and extremes of lists, in groups: of a whole list, or of each row's own in one statement.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Field as Asked;
use async_graphql::{Name, Positioned, Value};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};

use super::filter;
use super::plan::Document;
use super::reach::push_reach;
use super::table::{Entity, Field, Kind, Relation};
use super::value;
use crate::auth::Reach;
use crate::graphql::MAX_ROWS;
use crate::graphql::error::{Fault, Result};
use crate::graphql::filter::Where;

/// What is said of a group of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    GroupBy,
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

/// What is asked about a list.
pub(super) struct Aggregate {
    entity: &'static Entity,
    /// What its types' names begin with.
    prefix: String,
    items: Vec<(Name, Item)>,
    filter: Where,
    /// The statement's columns; those to group by come first.
    columns: Vec<(Part, &'static Field)>,
}

enum Item {
    TypeName,
    Part(Part, Vec<(Name, Option<usize>)>),
}

impl Part {
    pub(super) const ALL: [Part; 6] =
        [Part::GroupBy, Part::Count, Part::Sum, Part::Avg, Part::Min, Part::Max];

    /// Its field.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::GroupBy => "groupBy",
            Part::Count => "count",
            Part::Sum => "sum",
            Part::Avg => "avg",
            Part::Min => "min",
            Part::Max => "max",
        }
    }

    /// Its type.
    pub(super) fn type_name(self, prefix: &str) -> String {
        let of = match self {
            Part::GroupBy => return format!("{prefix}AggregateGroupBy"),
            Part::Count => "Count",
            Part::Sum => "Sum",
            Part::Avg => "Avg",
            Part::Min => "Min",
            Part::Max => "Max",
        };
        format!("{prefix}{of}Aggregate")
    }

    /// The scalar of a field in it; none: the field is not in it.
    pub(super) fn scalar(self, kind: Kind) -> Option<&'static str> {
        match self {
            Part::GroupBy => Some(kind.scalar()),
            Part::Count => Some("Int"),
            Part::Sum | Part::Avg => kind.is_summed().then_some("Float"),
            Part::Min | Part::Max => (kind != Kind::Boolean).then(|| kind.scalar()),
        }
    }

    fn push(self, kind: Kind, column: &str, sql: &mut QueryBuilder<Postgres>) {
        let aggregate = match (self, kind) {
            (Part::GroupBy, _) => value::selected(kind, column),
            (Part::Count, _) => format!("count({column})"),
            // Postgres adds exact numbers exactly; only the result is a double.
            (Part::Sum, _) => format!("sum({column})::float8"),
            (Part::Avg, _) => format!("avg({column})::float8"),
            (Part::Min, Kind::Place) => format!("min({column}::text)::jsonb"),
            (Part::Max, Kind::Place) => format!("max({column}::text)::jsonb"),
            (Part::Min, _) => value::selected(kind, &format!("min({column})")),
            (Part::Max, _) => value::selected(kind, &format!("max({column})")),
        };
        sql.push(aggregate);
    }

    fn value(self, kind: Kind, row: &PgRow, at: usize) -> sqlx::Result<Value> {
        match self {
            Part::GroupBy | Part::Min | Part::Max => value::shown(kind, row, at),
            Part::Count => Ok(Value::from(row.try_get::<i64, _>(at)?)),
            Part::Sum | Part::Avg => value::shown(Kind::DOUBLE, row, at),
        }
    }
}

impl Aggregate {
    pub(super) fn read(
        document: Document<'_>,
        entity: &'static Entity,
        prefix: String,
        fields: &[&Positioned<Asked>],
    ) -> Result<Self> {
        let filter = match fields.first() {
            Some(field) => filter::read(entity, document.argument(field, "filter")?)?,
            None => Where::default(),
        };
        let mut asked = Aggregate { entity, prefix, items: vec![], filter, columns: vec![] };
        let below = document.below(fields);
        // Groups first: the statement's order and grouping are by place.
        for grouping in [true, false] {
            for (key, fields) in &below {
                asked.part(document, key, fields, grouping);
            }
        }
        asked.items.sort_by_key(|(key, _)| below.get_index_of(key));
        if asked.columns.iter().all(|(part, _)| *part == Part::GroupBy) && asked.columns.is_empty() {
            return Err(Fault::BadInput("No aggregate fields found.".into()));
        }
        Ok(asked)
    }

    fn part(&mut self, document: Document<'_>, key: &Name, fields: &[&Positioned<Asked>], grouping: bool) {
        let Some(name) = fields.first().map(|field| field.node.name.node.as_str()) else { return };
        let part = Part::ALL.into_iter().find(|part| part.name() == name);
        if (part == Some(Part::GroupBy)) != grouping {
            return;
        }
        let Some(part) = part else { return self.items.push((key.clone(), Item::TypeName)) };
        let mut inner = Vec::new();
        for (key, fields) in document.below(fields) {
            let field = fields.first().and_then(|field| self.entity.field(&field.node.name.node));
            inner.push((key.clone(), field.map(|field| self.column(part, field))));
        }
        self.items.push((key.clone(), Item::Part(part, inner)));
    }

    fn column(&mut self, part: Part, field: &'static Field) -> usize {
        let known = self.columns.iter().position(|(of, it)| *of == part && std::ptr::eq(*it, field));
        known.unwrap_or_else(|| {
            self.columns.push((part, field));
            self.columns.len() - 1
        })
    }

    /// Of the whole list, as far as it is within reach.
    pub(super) async fn of_all(&self, tx: &mut PgConnection, reach: &Reach) -> Result<Value> {
        let mut sql = QueryBuilder::new("select ");
        self.push_columns(&mut sql);
        self.push_from(reach, &mut sql);
        self.push_groups(None, &mut sql)?;
        let rows = sql.build().persistent(false).fetch_all(tx).await?;
        Ok(Value::List(rows.iter().map(|row| self.group(row, 0)).collect::<Result<_>>()?))
    }

    /// Of each row's own list, by the value that links them.
    pub(super) async fn of_each(
        &self,
        tx: &mut PgConnection,
        reach: &Reach,
        relation: &Relation,
        keys: &[i64],
    ) -> Result<HashMap<i64, Vec<Value>>> {
        let key = self.entity.sql(relation.theirs);
        let mut sql = QueryBuilder::new(format!("select {key}, "));
        self.push_columns(&mut sql);
        self.push_from(reach, &mut sql);
        sql.push(format_args!(" and {key} = any(")).push_bind(keys.to_vec()).push(")");
        self.push_groups(Some(&key), &mut sql)?;
        let mut found: HashMap<i64, Vec<Value>> = HashMap::new();
        for row in sql.build().persistent(false).fetch_all(tx).await? {
            let groups = found.entry(row.try_get(0)?).or_default();
            if i64::try_from(groups.len()).is_ok_and(|many| many < MAX_ROWS) {
                groups.push(self.group(&row, 1)?);
            }
        }
        Ok(found)
    }

    fn push_columns(&self, sql: &mut QueryBuilder<Postgres>) {
        for (place, (part, field)) in self.columns.iter().enumerate() {
            sql.push(if place == 0 { "" } else { ", " });
            part.push(field.kind, &self.entity.sql(field.column), sql);
        }
    }

    fn push_from(&self, reach: &Reach, sql: &mut QueryBuilder<Postgres>) {
        sql.push(format_args!(" from {} {} where ", self.entity.table, self.entity.alias));
        push_reach(self.entity, reach, sql);
    }

    /// The condition, and everything after it.
    fn push_groups(&self, key: Option<&str>, sql: &mut QueryBuilder<Postgres>) -> Result<()> {
        sql.push(" and ");
        self.filter.push(sql)?;
        let groups = self.columns.iter().filter(|(part, _)| *part == Part::GroupBy);
        let groups: Vec<String> = groups.map(|(_, field)| self.entity.sql(field.column)).collect();
        let all: Vec<&str> = key.into_iter().chain(groups.iter().map(String::as_str)).collect();
        if !all.is_empty() {
            let all = all.join(", ");
            sql.push(format_args!(" group by {all} order by {all}"));
        }
        if key.is_none() {
            sql.push(" limit ").push_bind(MAX_ROWS);
        }
        Ok(())
    }

    fn group(&self, row: &PgRow, first: usize) -> Result<Value> {
        let mut object = IndexMap::with_capacity(self.items.len());
        for (key, item) in &self.items {
            let value = match item {
                Item::TypeName => Value::from(format!("{}AggregateResponse", self.prefix)),
                Item::Part(part, fields) => self.part_of(row, first, *part, fields)?,
            };
            object.insert(key.clone(), value);
        }
        Ok(Value::Object(object))
    }

    fn part_of(
        &self,
        row: &PgRow,
        first: usize,
        part: Part,
        fields: &[(Name, Option<usize>)],
    ) -> Result<Value> {
        let mut object = IndexMap::with_capacity(fields.len());
        for (key, place) in fields {
            let value = match place.and_then(|place| Some((place, self.columns.get(place)?))) {
                Some((place, (part, field))) => part.value(field.kind, row, first + place)?,
                None => part.type_name(&self.prefix).into(),
            };
            object.insert(key.clone(), value);
        }
        Ok(Value::Object(object))
    }
}
