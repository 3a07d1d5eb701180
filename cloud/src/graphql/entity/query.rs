//! The reading operations.

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Field as Asked;
use async_graphql::{Context, ID, Name, Positioned, Value};

use super::aggregate::Aggregate;
use super::operation::Read;
use super::plan::{Document, List, Shape};
use super::read::{Answered, Reading};
use super::table::Entity;
use crate::auth::Reach;
use crate::db;
use crate::graphql::error::{Fault, Result};
use crate::graphql::{app, parse_id, reach, viewer};

pub(super) async fn read(ctx: &Context<'_>, entity: &'static Entity, read: Read) -> Result<Answered> {
    let (viewer, reach) = reach(ctx, entity.see).await?;
    let (document, field) = (Document::new(ctx.query_env), ctx.item);
    let begin = || db::viewer::begin(&app(ctx).db, &viewer);
    match read {
        Read::One => {
            let shape = Shape::read(document, entity, &[field])?;
            let id: Option<ID> = document.parsed(field, "id")?;
            let id = parse_id(&id.unwrap_or_default(), "id")?;
            let found = Reading::new(&mut *begin().await?, &reach).one(&shape, id).await?;
            Ok(nullable(ctx, found))
        }
        Read::Many => {
            let list = List::read(document, entity, &[field])?;
            Reading::new(&mut *begin().await?, &reach).list(&list).await
        }
        Read::Page => {
            let page = Page::read(document, entity, field)?;
            page.load(Reading::new(&mut *begin().await?, &reach)).await
        }
        Read::Aggregate => {
            let aggregate = Aggregate::read(document, entity, entity.name.to_owned(), &[field])?;
            Ok(Ok(aggregate.of_all(&mut *begin().await?, &reach).await?))
        }
    }
}

/// Who is asking.
pub(super) async fn me(ctx: &Context<'_>, entity: &'static Entity) -> Result<Answered> {
    let viewer = viewer(ctx).await?;
    let shape = Shape::read(Document::new(ctx.query_env), entity, &[ctx.item])?;
    let oneself = Reach { user: Some(viewer.id), ..Reach::default() };
    let mut tx = db::viewer::begin(&app(ctx).db, &viewer).await?;
    Reading::new(&mut tx, &oneself).one(&shape, viewer.id).await?.ok_or(Fault::Unauthorized)
}

/// Where null is allowed, what a row lacks is told beside it.
fn nullable(ctx: &Context<'_>, found: Option<Answered>) -> Answered {
    match found {
        Some(Ok(value)) => Ok(value),
        Some(Err(missing)) => {
            ctx.add_error(missing.error(&ctx.item.node.response_key().node));
            Ok(Value::Null)
        }
        None => Ok(Value::Null),
    }
}

/// A list with its length.
struct Page {
    type_name: String,
    keys: Vec<(Name, Part)>,
    list: List,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    TypeName,
    TotalCount,
    HasNextPage,
    Nodes,
}

impl Page {
    fn read(document: Document<'_>, entity: &'static Entity, field: &Positioned<Asked>) -> Result<Self> {
        let mut keys = Vec::new();
        let mut nodes = Vec::new();
        for (key, fields) in document.below(&[field]) {
            let part = match fields.first().map(|it| it.node.name.node.as_str()) {
                Some("totalCount") => Part::TotalCount,
                Some("hasNextPage") => Part::HasNextPage,
                Some("nodes") => Part::Nodes,
                _ => Part::TypeName,
            };
            if part == Part::Nodes {
                nodes.extend(fields);
            }
            keys.push((key.clone(), part));
        }
        let list = List::with(document, Shape::read(document, entity, &nodes)?, field)?;
        Ok(Self { type_name: format!("{}Page", entity.name), keys, list })
    }

    async fn load(&self, mut reading: Reading<'_>) -> Result<Answered> {
        let total = reading.count(&self.list).await?;
        let nodes = match reading.list(&self.list).await? {
            Ok(nodes) => nodes,
            Err(missing) => return Ok(Err(missing.within_field("nodes"))),
        };
        let mut page = IndexMap::with_capacity(self.keys.len());
        for (key, part) in &self.keys {
            let value = match part {
                Part::TypeName => self.type_name.as_str().into(),
                Part::TotalCount => total.into(),
                Part::HasNextPage => (self.list.offset + self.list.limit < total).into(),
                Part::Nodes => nodes.clone(),
            };
            page.insert(key.clone(), value);
        }
        Ok(Ok(Value::Object(page)))
    }
}
