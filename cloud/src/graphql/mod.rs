//! The API. Its names and oddities are those of the first apps and stay in this folder.
//!
//! One file per noun holds a `…Query`, `…Mutation` or `…Subscription` part; the roots below are merged from them.
//! `schema.graphql` beside the crate's manifest is the whole result. Further parts need not be derived: a part may implement
//! `ObjectType` by hand over a table of entities, which is how generated CRUD joins in.
//!
//! Lists without paging are capped (`MAX_ROWS`).

mod admission;
mod alarm;
mod api_key;
mod audit;
mod bill;
mod booking;
mod bulk;
mod card;
mod charging;
mod coerce;
mod command;
mod entity;
mod error;
mod fanout;
mod file;
mod filter;
mod finding;
mod firmware;
mod history;
mod life;
mod live;
mod local_list;
mod map;
mod member;
mod onboarding;
mod progress;
mod quirk;
mod request;
mod rows;
mod saving;
mod scalar;
mod security;
mod sign_in;
mod status;
mod transaction;
mod user;

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Context, MergedObject, MergedSubscription, Schema};
use futures_util::stream::{self, BoxStream, StreamExt as _};

pub use request::{Incoming, Reply};

use crate::App;
use crate::auth::{Caller, Deed, Reach, Viewer};
use crate::config::Config;
use crate::db::audit as audit_log;
use crate::rate::Rates;
use coerce::Inputs;
use error::{Fault, Result};
use fanout::Fanout;
use request::Documents;

/// Rows of a list that was asked for without paging, and the largest page.
pub(crate) const MAX_ROWS: i64 = 200;

const QUERY_TIME: Duration = Duration::from_secs(10);
/// Longer than the longest wait for a station's answer.
const MUTATION_TIME: Duration = Duration::from_secs(30);

/// What can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    map::MapQuery,
    entity::EntityQuery,
    entity::CursorQuery,
    history::HistoryQuery,
    onboarding::OnboardingQuery,
    command::CommandQuery,
    firmware::FirmwareQuery,
    file::FileQuery,
    member::MemberQuery,
    api_key::ApiKeyQuery,
    audit::AuditQuery,
    card::CardQuery,
    card::GroupQuery,
    card::UnknownCardQuery,
    booking::BookingQuery,
    local_list::LocalListQuery,
    life::AdmissionQuery,
    life::SettingsQuery,
    quirk::QuirkQuery,
    finding::FindingQuery,
    alarm::AlarmQuery,
    security::SecurityQuery,
    bulk::BulkQuery,
);

/// What can be done.
#[derive(MergedObject, Default)]
pub struct Mutation(
    entity::EntityMutation,
    entity::OrganizationMutation,
    user::UserMutation,
    sign_in::SignInMutation,
    card::CardMutation,
    card::GroupMutation,
    card::UnknownCardMutation,
    saving::SavingMutation,
    transaction::TransactionMutation,
    onboarding::OnboardingMutation,
    alarm::AlarmMutation,
    command::CommandMutation,
    charging::ChargingMutation,
    quirk::QuirkMutation,
    firmware::FirmwareMutation,
    file::FileMutation,
    booking::BookingMutation,
    local_list::LocalListMutation,
    life::AdmissionMutation,
    life::SettingsMutation,
    life::FramesMutation,
    security::SecurityMutation,
    bulk::BulkMutation,
    member::MemberMutation,
    api_key::ApiKeyMutation,
);

/// What can be watched.
#[derive(MergedSubscription, Default)]
pub struct Subscription(
    map::MapSubscription,
    progress::ProgressSubscription,
    status::StatusSubscription,
    card::UnknownCardSubscription,
    file::FileSubscription,
    security::SecuritySubscription,
    entity::EntitySubscription,
    bulk::BulkSubscription,
);

type Executor = Schema<Query, Mutation, Subscription>;

/// The executor and what stands around it; cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    schema: Executor,
    inputs: Inputs,
    fanout: Fanout,
    documents: Documents,
    rates: Rates,
    config: Arc<Config>,
}

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// An answer.
    Next(Arc<str>),
    /// It never began: the list of errors, as JSON.
    Refused(Arc<str>),
}

impl Api {
    /// Builds the schema once for all requests.
    ///
    /// # Errors
    /// When the registered documents cannot be read.
    pub fn new(app: App) -> anyhow::Result<Self> {
        let config = Arc::clone(&app.config);
        let schema = builder().data(app).data(map::Rooms::default()).data(entity::Log::default()).finish();
        Ok(Self(Arc::new(Inner {
            inputs: Inputs::of(&schema.sdl()),
            schema,
            fanout: Fanout::default(),
            documents: Documents::load(config.api.documents.as_deref())?,
            rates: Rates::new(&config.api),
            config,
        })))
    }

    /// Answers a query or a mutation. With `only_queries`, mutations are refused (HTTP GET).
    pub async fn execute(&self, incoming: Incoming, caller: Caller, only_queries: bool) -> Reply {
        let prepared = match self.0.admit(incoming, &caller).await {
            Ok(prepared) => prepared,
            Err(refused) => return refused.reply(),
        };
        if only_queries && prepared.kind != OperationType::Query {
            return request::refuse(405, "BAD_REQUEST", "GET requests only support query operations.");
        }
        let time = if prepared.kind == OperationType::Query { QUERY_TIME } else { MUTATION_TIME };
        let request_id = caller.request_id().cloned();
        let work = self.0.schema.execute(prepared.request.data(caller));
        match tokio::time::timeout(time, audit_log::on_behalf_of(request_id.clone(), work)).await {
            Ok(response) => request::finish(response, request_id.as_ref()),
            Err(_) => request::refuse(
                503,
                "SERVICE_UNAVAILABLE",
                "The answer took too long. Ask for less, or try again.",
            ),
        }
    }

    /// Runs any operation as a stream of answers.
    pub fn subscribe(&self, incoming: Incoming, caller: Caller) -> BoxStream<'static, Event> {
        let inner = Arc::clone(&self.0);
        stream::once(async move { inner.begin(incoming, caller).await }).flatten().boxed()
    }
}

impl Inner {
    async fn begin(&self, incoming: Incoming, caller: Caller) -> BoxStream<'static, Event> {
        let prepared = match self.admit(incoming, &caller).await {
            Ok(prepared) => prepared,
            Err(refused) => return stream::iter([Event::of(refused.reply())]).boxed(),
        };
        let public =
            prepared.kind == OperationType::Subscription && prepared.roots.iter().all(map::is_same_for_all);
        let (schema, request_id) = (self.schema.clone(), caller.request_id().cloned());
        if prepared.kind != OperationType::Subscription {
            let work = async move { schema.execute(prepared.request.data(caller)).await };
            let response = audit_log::on_behalf_of(request_id.clone(), work);
            return stream::once(
                async move { Event::of(request::finish(response.await, request_id.as_ref())) },
            )
            .boxed();
        }
        let answers = move |request: async_graphql::Request| {
            let answers = schema.execute_stream(request);
            answers.map(move |response| Event::of(request::finish(response, request_id.as_ref())))
        };
        if public && prepared.roots.len() == 1 {
            return self.fanout.join(prepared.key, move || answers(prepared.request.data(caller)).boxed());
        }
        answers(prepared.request.data(caller)).boxed()
    }
}

impl Event {
    fn of(reply: Reply) -> Self {
        if reply.refused { Event::Refused(reply.body.into()) } else { Event::Next(reply.body.into()) }
    }
}

/// The errors of an operation that was one too many.
pub fn too_many(message: &str) -> String {
    request::refuse(429, "TOO_MANY_REQUESTS", message).body
}

/// The schema's text, as `schema.graphql` holds it.
pub fn sdl() -> String {
    builder().finish().sdl()
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .limit_depth(request::MAX_DEPTH)
        .limit_complexity(request::MAX_COMPLEXITY)
        .limit_recursive_depth(32)
        .limit_directives(10)
        .disable_suggestions()
}

fn app<'a>(ctx: &Context<'a>) -> &'a App {
    ctx.data_unchecked::<App>()
}

/// Who asks; a fault when nobody does.
async fn viewer(ctx: &Context<'_>) -> Result<Viewer> {
    ctx.data_unchecked::<Caller>().viewer().await?.ok_or(Fault::Unauthorized)
}

/// How far a deed of the asking one reaches. A fault when the deed is not for him at all.
async fn reach(ctx: &Context<'_>, deed: Deed) -> Result<(Viewer, Reach)> {
    let viewer = viewer(ctx).await?;
    let reach = viewer.reach(deed);
    if reach.is_nothing() { Err(Fault::role()) } else { Ok((viewer, reach)) }
}

/// A row id out of the API's number.
fn row_id(number: f64, field: &str) -> Result<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within an integer's range, checked")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Ok(number as i64)
    } else {
        Err(Fault::BadInput(format!("{field} must be a whole number.")))
    }
}

/// A row id out of an `ID`.
fn parse_id(id: &async_graphql::ID, field: &str) -> Result<i64> {
    id.parse().map_err(|_| Fault::BadInput(format!("{field} must be a number.")))
}
