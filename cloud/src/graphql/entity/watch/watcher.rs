//! One subscription: what it waits for, what it hears, and what of that it may tell.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::Field as Asked;
use async_graphql::{Context, ID, Name, Positioned, Value};
use serde_json::Value as Json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::log::{self, Log};
use super::stations::Stations;
use crate::App;
use crate::auth::{Caller, Viewer};
use crate::db;
use crate::db::audit::{self, Logged};
use crate::graphql::entity::filter;
use crate::graphql::entity::operation::{Event, Many};
use crate::graphql::entity::plan::{Document, Shape};
use crate::graphql::entity::read::{Answered, Reading};
use crate::graphql::entity::table::{Entity, Tenancy};
use crate::graphql::error::{Fault, Result};
use crate::graphql::filter::Where;
use crate::graphql::{app, parse_id};

/// A change that nobody told of is found after so long, and what somebody was given is known of him.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// One subscription.
pub(super) struct Watcher<'a> {
    app: &'a App,
    log: &'a Log,
    caller: &'a Caller,
    /// Who watches, as of then: a first sieve, so that an entry costs only those something whom it may concern.
    viewer: (Viewer, Instant),
    entity: &'static Entity,
    event: Event,
    /// What is asked of a row; of a number of rows, its fields.
    shape: Option<Shape>,
    counts: Vec<(Name, bool)>,
    filter: Where,
    changes: Receiver<i64>,
    stations: Option<Stations>,
    /// Everything up to here is in the queue, or was.
    read: i64,
    /// There is more, up to here at least.
    behind: Option<i64>,
    queue: VecDeque<Happened>,
    ends_at: Instant,
}

enum Happened {
    Logged(Arc<Logged>),
    /// A row of ours is not as it was, and no person did it.
    Reported(i64),
}

impl Happened {
    /// What the log says of a row: as it was made, or as it was last.
    fn row(&self) -> Option<&Json> {
        match self {
            Happened::Logged(entry) => entry.after.as_ref().or(entry.before.as_ref()).map(|row| &row.0),
            Happened::Reported(_) => None,
        }
    }
}

/// Something to tell.
pub(super) struct Told {
    pub(super) answer: Answered,
    pub(super) cursor: Option<i64>,
}

impl<'a> Watcher<'a> {
    pub(super) async fn begin(ctx: &'a Context<'_>, entity: &'static Entity, event: Event) -> Result<Self> {
        let (viewer, _) = crate::graphql::reach(ctx, entity.see).await?;
        let (document, field, app) = (Document::new(ctx.query_env), ctx.item, app(ctx));
        let after: Option<ID> = document.parsed(field, "after")?;
        let after = after.map(|id| parse_id(&id, "after")).transpose()?;
        let counts = document.below(&[field]).into_iter().map(|(key, fields)| {
            (key.clone(), fields.first().is_some_and(|field| field.node.name.node != "__typename"))
        });
        let left = u64::try_from(viewer.expires_at - crate::clock::now().0 / 1000).unwrap_or_default();
        let mut watch = Watcher {
            app,
            log: ctx.data_unchecked::<Log>(),
            caller: ctx.data_unchecked::<Caller>(),
            viewer: (viewer.clone(), Instant::now()),
            entity,
            event,
            shape: shape(document, entity, event, field)?,
            counts: counts.collect(),
            filter: filter_of(document, entity, field)?,
            // Before the first look, so that nothing falls between the two.
            changes: app.live.changes(),
            stations: (event == Event::UpdatedOne).then(|| Stations::of(entity, app.live.sites())).flatten(),
            read: 0,
            behind: None,
            queue: VecDeque::new(),
            ends_at: Instant::now() + Duration::from_secs(left),
        };
        let newest = audit::newest(&app.db).await?;
        watch.read = after.unwrap_or(newest);
        watch.behind = (watch.read < newest).then_some(newest);
        watch.begin_stations(&viewer, after).await?;
        Ok(watch)
    }

    async fn begin_stations(&mut self, viewer: &Viewer, after: Option<i64>) -> Result<()> {
        let Some(stations) = &mut self.stations else { return Ok(()) };
        let since = match after {
            Some(after) => audit::time_of(&self.app.db, after).await?,
            None => None,
        };
        let reported = stations.begin(&self.app.db, viewer, since).await?;
        self.queue.extend(reported.into_iter().map(Happened::Reported));
        Ok(())
    }

    /// The next thing to tell; none when nothing will come any more.
    pub(super) async fn next(&mut self) -> Result<Option<Told>> {
        loop {
            while let Some(happened) = self.queue.pop_front() {
                let told = match happened {
                    Happened::Logged(entry) => self.logged(&entry).await?,
                    Happened::Reported(id) => self.reported(id).await?,
                };
                if told.is_some() {
                    return Ok(told);
                }
            }
            if !self.wait().await? {
                return Ok(None);
            }
        }
    }

    /// Waits until something happened; false when nothing will any more.
    async fn wait(&mut self) -> Result<bool> {
        if let Some(newest) = self.behind.take() {
            return self.catch_up(Some(newest)).await;
        }
        tokio::select! {
            // What the log tells is not told again as something that a station did.
            biased;
            () = tokio::time::sleep_until(self.ends_at) => Err(Fault::Unauthorized),
            change = self.changes.recv() => match change {
                Ok(id) if id <= self.read => Ok(true),
                Ok(id) => self.catch_up(Some(id)).await,
                Err(RecvError::Lagged(_)) => self.catch_up(Some(i64::MAX)).await,
                Err(RecvError::Closed) => Ok(false),
            },
            sites = changed(&mut self.stations) => match sites {
                Some(sites) => self.look_at(&sites).await,
                None => Ok(false),
            },
            () = tokio::time::sleep(LOOK_EVERY) => self.catch_up(None).await,
        }
    }

    async fn catch_up(&mut self, told: Option<i64>) -> Result<bool> {
        let entries = self.log.since(&self.app.db, self.read, told).await?;
        self.read = entries.last().map_or(self.read, |entry| entry.id);
        self.behind = (entries.len() >= log::AT_ONCE).then_some(self.read + 1);
        self.queue
            .extend(entries.into_iter().filter(|it| it.entity == self.entity.name).map(Happened::Logged));
        Ok(true)
    }

    async fn look_at(&mut self, sites: &[i64]) -> Result<bool> {
        let viewer = self.viewer().await?;
        let Some(stations) = &mut self.stations else { return Ok(true) };
        let differing = stations.differing(&self.app.db, &viewer, sites).await?;
        if differing.is_empty() {
            return Ok(true);
        }
        // If it was a person, the log has it by now.
        self.catch_up(Some(i64::MAX)).await?;
        let Some(stations) = &self.stations else { return Ok(true) };
        let by_a_person = |id: &i64| {
            let logged = self.queue.iter().filter_map(Happened::row);
            logged.into_iter().any(|row| stations.is_as_in(*id, row))
        };
        let reported: Vec<i64> = differing.into_iter().filter(|id| !by_a_person(id)).collect();
        self.queue.extend(reported.into_iter().map(Happened::Reported));
        Ok(true)
    }

    /// Who watches, as of now.
    async fn viewer(&mut self) -> Result<Viewer> {
        let viewer = self.caller.viewer_now().await?.ok_or(Fault::Unauthorized)?;
        self.viewer = (viewer.clone(), Instant::now());
        Ok(viewer)
    }

    /// Whether an entry is for him, by what was known of him lately; if so, who he is now.
    async fn concerned(&mut self, entry: &Logged, row: &Json) -> Result<Option<Viewer>> {
        if self.viewer.1.elapsed() > LOOK_EVERY {
            self.viewer().await?;
        }
        if !concerns(self.entity, self.event, &self.viewer.0, entry, row) {
            return Ok(None);
        }
        let viewer = self.viewer().await?;
        Ok(concerns(self.entity, self.event, &viewer, entry, row).then_some(viewer))
    }

    async fn logged(&mut self, entry: &Logged) -> Result<Option<Told>> {
        let row = entry.after.as_ref().or(entry.before.as_ref()).map(|row| &row.0);
        let Some(row) = row.filter(|_| entry.action == action(self.event)) else { return Ok(None) };
        let Some(viewer) = self.concerned(entry, row).await? else { return Ok(None) };
        if let Some(stations) = &mut self.stations {
            stations.note(row);
        }
        let cursor = Some(entry.id);
        let Some(shape) = &self.shape else {
            return Ok(Some(Told { answer: Ok(self.count(entry.count)), cursor }));
        };
        let reach = viewer.reach(self.entity.see);
        let mut tx = db::viewer::begin(&self.app.db, &viewer).await?;
        let answer = Reading::new(&mut tx, &reach).logged(shape, row, &self.filter).await?;
        Ok(answer.map(|answer| Told { answer, cursor }))
    }

    async fn reported(&mut self, id: i64) -> Result<Option<Told>> {
        let viewer = self.viewer().await?;
        let Some(shape) = &self.shape else { return Ok(None) };
        let reach = viewer.reach(self.entity.see);
        let mut tx = db::viewer::begin(&self.app.db, &viewer).await?;
        let answer = Reading::new(&mut tx, &reach).passing(shape, id, &self.filter).await?;
        Ok(answer.map(|answer| Told { answer, cursor: None }))
    }

    fn count(&self, count: i64) -> Value {
        let (type_name, _) = many(self.event);
        let object = self.counts.iter().map(|(key, is_count)| {
            (key.clone(), if *is_count { Value::from(count) } else { Value::from(type_name) })
        });
        Value::Object(object.collect())
    }
}

/// Does somebody reach the row of an entry?
fn concerns(entity: &Entity, event: Event, viewer: &Viewer, entry: &Logged, row: &Json) -> bool {
    let reach = viewer.reach(entity.see);
    let (owner, organization) = (row["ownerId"].as_i64(), row["organizationId"].as_i64());
    let id = row["id"].as_i64();
    match entity.tenancy {
        _ if matches!(event, Event::Many(_)) && entry.actor == Some(viewer.id) => true,
        Tenancy::Site | Tenancy::AtSite => reach.includes(owner, organization),
        Tenancy::Organization => reach.includes(owner, id),
        Tenancy::User => reach.includes(id, None),
    }
}

/// Never, for entities of which stations say nothing.
async fn changed(stations: &mut Option<Stations>) -> Option<Vec<i64>> {
    match stations {
        Some(stations) => stations.changed().await,
        None => std::future::pending().await,
    }
}

fn shape(
    document: Document<'_>,
    entity: &'static Entity,
    event: Event,
    field: &Positioned<Asked>,
) -> Result<Option<Shape>> {
    let type_name = match event {
        Event::Many(_) => return Ok(None),
        Event::Created | Event::UpdatedOne => entity.name.to_owned(),
        Event::DeletedOne => format!("{}DeleteResponse", entity.name),
    };
    Shape::named(document, entity, type_name, [&field.node.selection_set.node]).map(Some)
}

fn filter_of(document: Document<'_>, entity: &'static Entity, field: &Positioned<Asked>) -> Result<Where> {
    match document.argument(field, "input")? {
        Some(Value::Object(mut input)) => filter::read(entity, input.swap_remove("filter")),
        _ => Ok(Where::default()),
    }
}

/// What the log calls it.
fn action(event: Event) -> &'static str {
    match event {
        Event::Created => "create",
        Event::UpdatedOne => "update",
        Event::DeletedOne => "delete",
        Event::Many(_) => many(event).1,
    }
}

fn many(event: Event) -> (&'static str, &'static str) {
    match event {
        Event::Many(Many::Deleted) => ("DeleteManyResponse", "deleteMany"),
        Event::Many(Many::Updated) | Event::Created | Event::UpdatedOne | Event::DeletedOne => {
            ("UpdateManyResponse", "updateMany")
        }
    }
}
