//! A person as the answer of an operation that is written by hand.

use std::borrow::Cow;

use async_graphql::parser::types::Field as Asked;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

use super::plan::{Document, Shape, failed};
use super::read::{Answered, Reading};
use super::tables::USER;
use super::types;
use crate::App;
use crate::auth::Caller;
use crate::db;
use crate::graphql::error::{Fault, Result};

/// Somebody by his id, as far as the asking one sees him.
pub(in crate::graphql) struct Person(pub(in crate::graphql) i64);

impl OutputType for Person {
    fn type_name() -> Cow<'static, str> {
        USER.name.into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        types::register(registry);
        Self::qualified_type_name()
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Asked>) -> ServerResult<Value> {
        match self.load(ctx).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(missing)) => Err(missing.error(&field.node.response_key().node)),
            Err(fault) => Err(ctx.set_error_path(failed(fault, field.pos))),
        }
    }
}

impl Person {
    async fn load(&self, ctx: &ContextSelectionSet<'_>) -> Result<Answered> {
        let viewer = ctx.data_unchecked::<Caller>().viewer().await?.ok_or(Fault::Unauthorized)?;
        let reach = viewer.reach(USER.see);
        let document = Document::new(ctx.query_env);
        let shape = Shape::named(document, &USER, USER.name.to_owned(), [&ctx.item.node])?;
        let mut tx = db::viewer::begin(&ctx.data_unchecked::<App>().db, &viewer).await?;
        let found = Reading::new(&mut tx, &reach).one(&shape, self.0).await?;
        found.ok_or_else(|| Fault::no_such(USER.name, self.0))
    }
}
