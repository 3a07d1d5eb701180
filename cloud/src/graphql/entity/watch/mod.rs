//! The generated subscriptions: what people change, out of the log of changes, and what stations report.
//!
//! The log is numbered in the order of the commits, so a number is a cursor: each answer tells its own in
//! `extensions.cursor`, and who comes back with it as `after` is told first of everything that the log holds behind it.
//! `changeCursor` is where the log ends now, for those who have not heard anything yet. What stations report has no number:
//! to one who comes back, rows that changed since then are told as they are.
//!
//! Who may hear of an entry is looked up anew for every entry, by the row as it is after the change (before it, when it is
//! deleted). A filter is part of the statement that puts the answer together: the row out of the log, as a row of its
//! table's columns, with the lists below as they are now. So a filter means here what it means in a list, and costs nothing
//! more.

mod log;
mod stations;
mod watcher;

use std::pin::Pin;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Field as Asked;
use async_graphql::{Context, ID, Name, Object, PathSegment, Positioned, Response, ServerError, Value};
use futures_util::stream::{self, Stream, StreamExt as _};

use super::operation::Event;
use super::plan::failed;
use super::table::Entity;
use crate::db::audit;
use crate::graphql::error::Result;
use crate::graphql::{app, viewer};
pub(in crate::graphql) use log::Log;
use watcher::{Told, Watcher};

/// The stream behind a field of the subscription root.
pub(super) fn subscribe<'a>(
    ctx: &'a Context<'_>,
    entity: &'static Entity,
    event: Event,
) -> Pin<Box<dyn Stream<Item = Response> + Send + 'a>> {
    let field = ctx.item;
    let key = field.node.response_key().node.clone();
    let told = stream::once(Watcher::begin(ctx, entity, event)).flat_map(|watch| match watch {
        Ok(watch) => stream::unfold(Some(watch), next).boxed(),
        Err(fault) => stream::iter([Err(fault)]).boxed(),
    });
    told.map(move |told| response(&key, field, told)).boxed()
}

/// What happens next; after a fault, nothing.
async fn next<'a>(watch: Option<Watcher<'a>>) -> Option<(Result<Told>, Option<Watcher<'a>>)> {
    let mut watch = watch?;
    match watch.next().await {
        Ok(Some(told)) => Some((Ok(told), Some(watch))),
        Ok(None) => None,
        Err(fault) => Some((Err(fault), None)),
    }
}

fn response(key: &Name, field: &Positioned<Asked>, told: Result<Told>) -> Response {
    let alone = |error: ServerError| Response::from_errors(vec![error]);
    match told {
        Ok(Told { answer: Ok(value), cursor }) => {
            let response = Response::new(Value::Object(IndexMap::from([(key.clone(), value)])));
            match cursor {
                Some(cursor) => response.extension("cursor", Value::from(cursor.to_string())),
                None => response,
            }
        }
        Ok(Told { answer: Err(missing), .. }) => alone(missing.error(key)),
        Err(fault) => {
            let path = vec![PathSegment::Field(key.to_string())];
            alone(failed(fault, field.pos).with_path(path))
        }
    }
}

/// Where the log ends.
#[derive(Default)]
pub(in crate::graphql) struct CursorQuery;

#[Object]
impl CursorQuery {
    /// The cursor of now: as `after` of a subscription, everything that changes from now on is told, however late it begins.
    async fn change_cursor(&self, ctx: &Context<'_>) -> Result<ID> {
        viewer(ctx).await?;
        Ok(audit::newest(&app(ctx).db).await?.into())
    }
}
