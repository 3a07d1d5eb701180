//! The generated API of the five entities: lists and single rows, sums, changes, and what is heard of changes.
//!
//! Written once and driven by a table per entity (`tables`). The schema as a whole stays typed; this part of it implements
//! the executor's traits by hand: its types are told to the registry (`types`), an operation is read from its document
//! into a plan (`plan`) and answered with one statement per level of lists (`read`, `aggregate`).
//!
//! Everything runs in a transaction in the viewer's name, so that row-level security stands behind the conditions written
//! here (`reach`). What is not one's own does not exist.

mod aggregate;
mod filter;
mod operation;
mod organization;
mod person;
mod plan;
mod query;
mod reach;
mod read;
mod table;
mod tables;
mod types;
mod value;
mod watch;
mod write;

use std::borrow::Cow;
use std::pin::Pin;

use async_graphql::parser::types::Field as Asked;
use async_graphql::registry::{MetaTypeId, Registry};
use async_graphql::resolver_utils::ContainerType;
use async_graphql::{
    Context, ContextSelectionSet, ObjectType, OutputType, Positioned, Response, ServerResult,
    SubscriptionType, Value,
};
use futures_util::Stream;

use super::error::Result;
use operation::{Operation, named};
pub(super) use organization::OrganizationMutation;
pub(super) use person::Person;
use plan::failed;
use read::Answered;
pub(super) use watch::{CursorQuery, Log};
pub(super) use write::Snapshot;

/// The reading part of the root.
#[derive(Default)]
pub(super) struct EntityQuery;

impl OutputType for EntityQuery {
    fn type_name() -> Cow<'static, str> {
        "EntityQuery".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_output_type::<Self, _>(MetaTypeId::Object, |registry| {
            types::queries(registry, &Self::type_name())
        })
    }

    /// Never asked as a whole: it is merged into the root.
    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Asked>) -> ServerResult<Value> {
        Ok(Value::Null)
    }
}

impl ContainerType for EntityQuery {
    async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        let field = ctx.item;
        let answer = match named(&field.node.name.node) {
            Some(Operation::Read(entity, read)) => query::read(ctx, entity, read).await,
            Some(Operation::Me(entity)) => query::me(ctx, entity).await,
            Some(Operation::Write(..) | Operation::Watch(..)) | None => return Ok(None),
        };
        answered(ctx, answer).map(Some)
    }
}

impl ObjectType for EntityQuery {}

/// The writing part of the root.
#[derive(Default)]
pub(super) struct EntityMutation;

impl OutputType for EntityMutation {
    fn type_name() -> Cow<'static, str> {
        "EntityMutation".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_output_type::<Self, _>(MetaTypeId::Object, |registry| {
            types::mutations(registry, &Self::type_name())
        })
    }

    /// As above.
    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Asked>) -> ServerResult<Value> {
        Ok(Value::Null)
    }
}

impl ContainerType for EntityMutation {
    async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        let Some(Operation::Write(entity, write)) = named(&ctx.item.node.name.node) else { return Ok(None) };
        answered(ctx, write::write(ctx, entity, write).await).map(Some)
    }
}

impl ObjectType for EntityMutation {}

/// The watching part of the root.
#[derive(Default)]
pub(super) struct EntitySubscription;

impl SubscriptionType for EntitySubscription {
    fn type_name() -> Cow<'static, str> {
        "EntitySubscription".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_subscription_type::<Self, _>(|registry| {
            types::subscriptions(registry, &<Self as SubscriptionType>::type_name())
        })
    }

    fn create_field_stream<'a>(
        &'a self,
        ctx: &'a Context<'_>,
    ) -> Option<Pin<Box<dyn Stream<Item = Response> + Send + 'a>>> {
        let Some(Operation::Watch(entity, event)) = named(&ctx.item.node.name.node) else { return None };
        Some(watch::subscribe(ctx, entity, event))
    }
}

/// What the executor is told: a value, or an error in the field's place.
fn answered(ctx: &Context<'_>, answer: Result<Answered>) -> ServerResult<Value> {
    let field = ctx.item;
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(missing)) => Err(missing.error(&field.node.response_key().node)),
        Err(fault) => Err(ctx.set_error_path(failed(fault, field.pos))),
    }
}
