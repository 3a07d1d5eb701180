//! What an operation asks for, read once from its document: which columns, which lists below, which sums.
//!
//! Nothing is loaded here. A plan is checked as a whole before the first statement runs, and every level of lists in it costs
//! one statement, however many rows are above it.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field as Asked, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{InputType, Name, Pos, Positioned, ServerError, Value};

use super::aggregate::Aggregate;
use super::filter;
use super::table::{Entity, Field, Relation};
use crate::graphql::error::{Fault, Result};
use crate::graphql::filter::{Direction, Nulls, Paging, Where, check_terms};

/// An object of an entity, as asked for.
pub(super) struct Shape {
    pub(super) entity: &'static Entity,
    /// What it calls itself: the same row is of another type when it is deleted.
    pub(super) type_name: String,
    pub(super) items: Vec<(Name, Item)>,
    /// Columns that a row needs, in the order of the statement.
    pub(super) columns: Vec<&'static Field>,
    /// Columns by which lists below find their rows.
    pub(super) links: Vec<&'static str>,
}

/// One key of the answer.
pub(super) enum Item {
    TypeName,
    /// A column by its place, and where it is asked for.
    Column(usize, Pos),
    /// Rows that belong to this one; by the link at this place.
    List(&'static Relation, usize, List),
    /// What such rows add up to.
    Aggregate(&'static Relation, usize, Aggregate),
}

/// A list as asked for.
pub(super) struct List {
    pub(super) shape: Shape,
    pub(super) filter: Where,
    pub(super) order: Vec<Term>,
    pub(super) limit: i64,
    pub(super) offset: i64,
}

/// A term of an order.
pub(super) struct Term {
    pub(super) expression: String,
    pub(super) direction: Direction,
    pub(super) nulls: Option<Nulls>,
}

/// The document around an operation.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    env: &'a async_graphql::QueryEnv,
}

/// Fields that are one in the answer: the first tells its name and arguments, all of them what is asked below.
pub(super) type Merged<'a> = Vec<&'a Positioned<Asked>>;

impl<'a> Document<'a> {
    pub(super) fn new(env: &'a async_graphql::QueryEnv) -> Self {
        Self { fragments: &env.fragments, env }
    }

    /// The fields of a selection by their keys. All our types are objects, so every fragment that is valid applies.
    pub(super) fn fields(
        self,
        sets: impl IntoIterator<Item = &'a SelectionSet>,
    ) -> IndexMap<&'a Name, Merged<'a>> {
        let mut found = IndexMap::new();
        sets.into_iter().for_each(|set| self.collect(set, &mut found));
        found
    }

    fn collect(self, set: &'a SelectionSet, into: &mut IndexMap<&'a Name, Merged<'a>>) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    into.entry(&field.node.response_key().node).or_default().push(field);
                }
                Selection::InlineFragment(inner) => self.collect(&inner.node.selection_set.node, into),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        self.collect(&fragment.node.selection_set.node, into);
                    }
                }
            }
        }
    }

    /// The fields below merged ones.
    pub(super) fn below(self, fields: &[&'a Positioned<Asked>]) -> IndexMap<&'a Name, Merged<'a>> {
        self.fields(fields.iter().map(|field| &field.node.selection_set.node))
    }

    /// An argument with its variables put in; none when it is left out or null.
    pub(super) fn argument(self, field: &Positioned<Asked>, name: &str) -> Result<Option<Value>> {
        let Some(value) = field.node.get_argument(name) else { return Ok(None) };
        let definitions = &self.env.operation.node.variable_definitions;
        let variable = |name: Name| {
            let definition = definitions.iter().find(|it| it.node.name.node == name);
            let given = self.env.variables.get(&name);
            given.or_else(|| definition?.node.default_value()).cloned().ok_or(name)
        };
        match value.node.clone().into_const_with(variable) {
            Ok(Value::Null) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(name) => Err(Fault::BadInput(format!("Variable ${name} has no value."))),
        }
    }

    /// The same, as a type.
    pub(super) fn parsed<T: InputType>(self, field: &Positioned<Asked>, name: &str) -> Result<Option<T>> {
        self.argument(field, name)?.map(|value| parsed(value, name)).transpose()
    }
}

/// A value as a type; it was checked against the schema before.
pub(super) fn parsed<T: InputType>(value: Value, name: &str) -> Result<T> {
    T::parse(Some(value)).map_err(|error| {
        let text = error.into_server_error(Pos::default()).message;
        Fault::BadInput(format!("{name} is wrong: {text}"))
    })
}

impl Shape {
    /// An object of an entity below these fields.
    pub(super) fn read(
        document: Document<'_>,
        entity: &'static Entity,
        fields: &[&Positioned<Asked>],
    ) -> Result<Self> {
        Self::named(
            document,
            entity,
            entity.name.to_owned(),
            fields.iter().map(|it| &it.node.selection_set.node),
        )
    }

    /// The same under another type's name.
    pub(super) fn named<'a>(
        document: Document<'a>,
        entity: &'static Entity,
        type_name: String,
        sets: impl IntoIterator<Item = &'a SelectionSet>,
    ) -> Result<Self> {
        let mut shape = Shape { entity, type_name, items: vec![], columns: vec![], links: vec![] };
        for (key, fields) in document.fields(sets) {
            let item = shape.item(document, &fields)?;
            shape.items.extend(item.map(|item| (key.clone(), item)));
        }
        Ok(shape)
    }

    /// No other fields reach this: the executor has validated them.
    fn item(&mut self, document: Document<'_>, fields: &[&Positioned<Asked>]) -> Result<Option<Item>> {
        let Some(first) = fields.first() else { return Ok(None) };
        let name = first.node.name.node.as_str();
        if name == "__typename" {
            return Ok(Some(Item::TypeName));
        }
        if let Some(field) = self.entity.field(name) {
            return Ok(Some(Item::Column(
                place(&mut self.columns, field, |a, b| std::ptr::eq(*a, *b)),
                first.pos,
            )));
        }
        if let Some(relation) = self.entity.relation(name) {
            let link = place(&mut self.links, relation.own, PartialEq::eq);
            return Ok(Some(Item::List(relation, link, List::read(document, relation.target, fields)?)));
        }
        let Some(relation) = name.strip_suffix("Aggregate").and_then(|name| self.entity.relation(name))
        else {
            return Ok(None);
        };
        let link = place(&mut self.links, relation.own, PartialEq::eq);
        let prefix = format!("{}{}", self.entity.name, relation.target.plural);
        let aggregate = Aggregate::read(document, relation.target, prefix, fields)?;
        Ok(Some(Item::Aggregate(relation, link, aggregate)))
    }
}

impl List {
    /// A list with its arguments.
    pub(super) fn read(
        document: Document<'_>,
        entity: &'static Entity,
        fields: &[&Positioned<Asked>],
    ) -> Result<Self> {
        let shape = Shape::read(document, entity, fields)?;
        match fields.first() {
            Some(field) => Self::with(document, shape, field),
            None => Ok(Self::whole(shape)),
        }
    }

    /// A shape, as many of it as a field's arguments say.
    pub(super) fn with(document: Document<'_>, shape: Shape, field: &Positioned<Asked>) -> Result<Self> {
        let entity = shape.entity;
        let paging: Option<Paging> = document.parsed(field, "paging")?;
        let (limit, offset) = Paging::rows(paging.as_ref())?;
        Ok(List {
            shape,
            filter: filter::read(entity, document.argument(field, "filter")?)?,
            order: order(entity, document.argument(field, "sorting")?)?,
            limit,
            offset,
        })
    }

    /// All of it, as far as lists go.
    pub(super) fn whole(shape: Shape) -> Self {
        List {
            shape,
            filter: Where::default(),
            order: Vec::new(),
            limit: crate::graphql::MAX_ROWS,
            offset: 0,
        }
    }
}

fn order(entity: &'static Entity, sorting: Option<Value>) -> Result<Vec<Term>> {
    let terms = match sorting {
        None => return Ok(Vec::new()),
        Some(Value::List(terms)) => terms,
        Some(one) => vec![one],
    };
    check_terms(terms.len())?;
    terms.into_iter().map(|term| term_of(entity, term)).collect()
}

fn term_of(entity: &'static Entity, term: Value) -> Result<Term> {
    let Value::Object(mut term) = term else { return Err(Fault::BadInput("sorting is wrong.".into())) };
    let name = match term.swap_remove("field") {
        Some(Value::Enum(name)) => name.to_string(),
        Some(Value::String(name)) => name,
        _ => String::new(),
    };
    let field = entity.filterable().find(|field| field.name == name);
    let field = field.ok_or_else(|| Fault::BadInput(format!("One cannot sort by {name:?}.")))?;
    Ok(Term {
        expression: entity.sql(field.column),
        direction: parsed(term.swap_remove("direction").unwrap_or_default(), "direction")?,
        nulls: parsed(term.swap_remove("nulls").unwrap_or_default(), "nulls")?,
    })
}

fn place<T>(list: &mut Vec<T>, item: T, same: impl Fn(&T, &T) -> bool) -> usize {
    list.iter().position(|known| same(known, &item)).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// A fault as the executor's error, at the place of a field.
pub(super) fn failed(fault: Fault, at: Pos) -> ServerError {
    async_graphql::Error::from(fault).into_server_error(at)
}
