//! One order to many stations, and how far it is. See [`crate::bulk`].

mod operation;

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject, Subscription};
use serde_json::json;

use self::operation::BulkOperation;
use super::command::{OrderTerms, Terms};
use super::error::{Fault, Result};
use super::filter::Paging;
use super::live::{self, Live};
use super::scalar::Time;
use super::{MAX_ROWS, app, parse_id, reach};
use crate::auth::{Deed, Reach, Viewer};
use crate::command::described;
use crate::db::audit::{self, Entry};
use crate::db::bulk::{self as rows, NewOrder, RowShown, Scope, Shown};
use crate::live::{Hint, notify};

/// Stations of one order at most.
const MOST_STATIONS: i64 = 10_000;

/// To which stations what shall be done.
#[derive(InputObject)]
pub(super) struct BulkOrderInput {
    /// To all stations of this site …
    site_id: Option<ID>,
    /// … or of all sites of this organization …
    organization_id: Option<ID>,
    /// … or to these (`ChargePoint.id`).
    charge_point_ids: Option<Vec<ID>>,
    operation: BulkOperation,
    /// To how many stations of one gateway at once, at most 100.
    #[graphql(default = 5)]
    at_once: i32,
    /// For each station by itself, from the moment in which it is its turn. `answerWithin` means nothing here.
    terms: Option<OrderTerms>,
}

/// One order to many stations, and how far it is.
#[derive(SimpleObject, Clone, PartialEq)]
#[graphql(complex)]
pub(super) struct BulkOrder {
    id: ID,
    kind: String,
    site_id: Option<ID>,
    organization_id: Option<ID>,
    at_once: i32,
    /// running, paused, cancelled or finished.
    state: String,
    /// `User.id`.
    created_by: Option<ID>,
    created_at: Time,
    finished_at: Option<Time>,
    /// Stations.
    total: i64,
    /// Stations whose turn has not come.
    waiting: i64,
    /// Stations that have not answered yet.
    under_way: i64,
    /// How it ended at how many of the others.
    outcomes: Vec<BulkCount>,
    #[graphql(skip)]
    number: i64,
}

/// How often an order ended so.
#[derive(SimpleObject, Clone, PartialEq)]
pub(super) struct BulkCount {
    /// As `CommandView.outcome`, or Unreachable (no gateway) or Cancelled (its turn never came).
    outcome: String,
    count: i64,
}

/// A station of an order.
#[derive(SimpleObject)]
pub(super) struct BulkStation {
    /// `ChargePoint.id`.
    charge_point_id: ID,
    /// The station's identity.
    station: Option<String>,
    /// The command, once its turn came: `command` tells more.
    command_id: Option<ID>,
    /// null while it has not ended.
    outcome: Option<String>,
    /// For a person.
    detail: Option<String>,
    ended_at: Option<Time>,
}

#[ComplexObject]
impl BulkOrder {
    /// Station by station: all, or those where it ended so.
    async fn stations(
        &self,
        ctx: &Context<'_>,
        outcome: Option<String>,
        paging: Option<Paging>,
    ) -> Result<Vec<BulkStation>> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        let page = Paging::rows(paging.as_ref())?;
        let rows = rows::stations(&app(ctx).db, (self.number, outcome.as_deref()), page, &reach).await?;
        Ok(rows.into_iter().map(BulkStation::from).collect())
    }
}

#[derive(Default)]
pub(super) struct BulkQuery;

#[Object]
impl BulkQuery {
    /// An order to many stations; null when none of them is one's own.
    async fn bulk_order(&self, ctx: &Context<'_>, id: ID) -> Result<Option<BulkOrder>> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        read(ctx, parse_id(&id, "id")?, &reach).await
    }

    /// Orders to many stations, the newest first; those to stations of a site, if one is given.
    async fn bulk_orders(
        &self,
        ctx: &Context<'_>,
        site_id: Option<ID>,
        paging: Option<Paging>,
    ) -> Result<Vec<BulkOrder>> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        let site = site_id.map(|id| parse_id(&id, "siteId")).transpose()?;
        let db = &app(ctx).db;
        let mut orders = Vec::new();
        for shown in rows::page(db, (None, site), Paging::rows(paging.as_ref())?, &reach).await? {
            let counts = rows::counts(db, shown.id, &reach).await?;
            orders.push(BulkOrder::of(shown, counts));
        }
        Ok(orders)
    }
}

#[derive(Default)]
pub(super) struct BulkMutation;

#[Object]
impl BulkMutation {
    /// Gives many stations the same order, some at a time. Answers at once; `bulkOrderChanged` tells how it goes.
    async fn bulk_order(&self, ctx: &Context<'_>, input: BulkOrderInput) -> Result<BulkOrder> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let scope = scope(input.site_id, input.organization_id, input.charge_point_ids)?;
        if !(1..=100).contains(&input.at_once) {
            return Err(Fault::BadInput("atOnce must be 1 to 100.".into()));
        }
        let (body, terms) = (input.operation.body()?, Terms::read(input.terms)?);
        let new = NewOrder {
            body,
            at_once: input.at_once,
            life_seconds: terms.life.as_secs_f64(),
            waits: terms.waits,
            created_by: viewer.id,
        };
        let mut tx = app(ctx).db.begin().await?;
        let (id, count) = rows::insert(&mut tx, &new, &scope, &reach).await?;
        if count == 0 {
            return Err(scope.nothing());
        }
        if count > MOST_STATIONS {
            return Err(Fault::BadInput(format!("At most {MOST_STATIONS} stations at a time.")));
        }
        let (site_id, organization_id) = match scope {
            Scope::Site(id) => (Some(id), None),
            Scope::Organization(id) => (None, Some(id)),
            Scope::ChargePoints(_) => (None, None),
        };
        let entry = Entry {
            actor: Some(viewer.id),
            action: "bulkOrder",
            entity: "BulkOrder",
            row_id: Some(id.to_string()),
            site_id,
            organization_id,
            after: Some(json!({ "order": described(&new.body), "atOnce": new.at_once })),
            count: Some(count),
            ..Entry::default()
        };
        audit::write(&mut tx, &entry).await?;
        tx.commit().await?;
        read(ctx, id, &reach).await?.ok_or_else(|| Fault::no_such("BulkOrder", id))
    }

    /// Puts it to no further stations for now. Those that were asked already answer.
    async fn pause_bulk_order(&self, ctx: &Context<'_>, id: ID) -> Result<BulkOrder> {
        steer(ctx, &id, "pauseBulkOrder", (&["running"], "paused")).await
    }

    /// Goes on with it.
    async fn resume_bulk_order(&self, ctx: &Context<'_>, id: ID) -> Result<BulkOrder> {
        steer(ctx, &id, "resumeBulkOrder", (&["paused"], "running")).await
    }

    /// Puts it to no further stations any more. Those that were asked already answer.
    async fn cancel_bulk_order(&self, ctx: &Context<'_>, id: ID) -> Result<BulkOrder> {
        steer(ctx, &id, "cancelBulkOrder", (&["running", "paused"], "cancelled")).await
    }
}

#[derive(Default)]
pub(super) struct BulkSubscription;

#[Subscription]
impl BulkSubscription {
    /// An order to many stations as it is, then whenever it is further.
    async fn bulk_order_changed(&self, ctx: &Context<'_>, id: ID) -> Result<Live<BulkOrder>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&id, "id")?;
        let app = app(ctx).clone();
        if rows::page(&app.db, (Some(id), None), (1, 0), &reach).await?.is_empty() {
            return Err(Fault::no_such("BulkOrder", id));
        }
        let states = live::states(
            app.live.bulks(),
            move |changed: &i64| *changed == id,
            move || {
                let (db, reach) = (app.db.clone(), reach.clone());
                async move {
                    let found = rows::page(&db, (Some(id), None), (1, 0), &reach).await?.pop();
                    let shown = found.ok_or_else(|| Fault::no_such("BulkOrder", id))?;
                    let counts = rows::counts(&db, id, &reach).await?;
                    Ok(BulkOrder::of(shown, counts))
                }
            },
        );
        Ok(live::while_signed_in(&viewer, live::distinct(states)))
    }
}

fn scope(site: Option<ID>, organization: Option<ID>, points: Option<Vec<ID>>) -> Result<Scope> {
    match (site, organization, points) {
        (Some(site), None, None) => Ok(Scope::Site(parse_id(&site, "siteId")?)),
        (None, Some(id), None) => Ok(Scope::Organization(parse_id(&id, "organizationId")?)),
        (None, None, Some(points)) => {
            let points: Result<Vec<i64>> = points.iter().map(|id| parse_id(id, "chargePointIds")).collect();
            Ok(Scope::ChargePoints(points?))
        }
        (_, _, _) => Err(Fault::BadInput("Give one of siteId, organizationId and chargePointIds.".into())),
    }
}

impl Scope {
    /// Nothing of it is within reach, or there is none.
    fn nothing(&self) -> Fault {
        match self {
            Scope::Site(id) => Fault::no_such("Site", id),
            Scope::Organization(id) => Fault::no_such("Organization", id),
            Scope::ChargePoints(ids) => {
                Fault::no_such("ChargePoint", ids.first().copied().unwrap_or_default())
            }
        }
    }
}

async fn read(ctx: &Context<'_>, id: i64, reach: &Reach) -> Result<Option<BulkOrder>> {
    let db = &app(ctx).db;
    let Some(shown) = rows::page(db, (Some(id), None), (MAX_ROWS, 0), reach).await?.pop() else {
        return Ok(None);
    };
    Ok(Some(BulkOrder::of(shown, rows::counts(db, id, reach).await?)))
}

async fn steer(
    ctx: &Context<'_>,
    id: &ID,
    action: &'static str,
    (from, to): (&[&str], &str),
) -> Result<BulkOrder> {
    let (viewer, reach): (Viewer, Reach) = reach(ctx, Deed::Operate).await?;
    let id = parse_id(id, "id")?;
    let mut tx = app(ctx).db.begin().await?;
    match rows::steer(&mut tx, id, (from, to), (viewer.id, &reach)).await? {
        None => return Err(Fault::no_such("BulkOrder", id)),
        Some(false) => {
            return Err(Fault::BadInput(format!("Only an order that is {} can be.", from.join(" or "))));
        }
        Some(true) => {}
    }
    notify(&mut tx, &Hint { bulks: vec![id], ..Hint::default() }).await?;
    let entry = Entry {
        actor: Some(viewer.id),
        action,
        entity: "BulkOrder",
        row_id: Some(id.to_string()),
        ..Entry::default()
    };
    audit::write(&mut tx, &entry).await?;
    tx.commit().await?;
    read(ctx, id, &reach).await?.ok_or_else(|| Fault::no_such("BulkOrder", id))
}

impl BulkOrder {
    fn of(shown: Shown, counts: Vec<(String, i64)>) -> Self {
        BulkOrder {
            id: shown.id.into(),
            kind: shown.kind,
            site_id: shown.site_id.map(ID::from),
            organization_id: shown.organization_id.map(ID::from),
            at_once: shown.at_once,
            state: shown.state,
            created_by: shown.created_by.map(ID::from),
            created_at: Time(shown.created_at),
            finished_at: shown.finished_at.map(Time),
            total: shown.total,
            waiting: shown.waiting,
            under_way: shown.under_way,
            outcomes: counts.into_iter().map(|(outcome, count)| BulkCount { outcome, count }).collect(),
            number: shown.id,
        }
    }
}

impl From<RowShown> for BulkStation {
    fn from(row: RowShown) -> Self {
        BulkStation {
            charge_point_id: row.charge_point_id.into(),
            station: row.station,
            command_id: row.command.map(|id| id.to_string().into()),
            outcome: row.outcome,
            detail: row.detail,
            ended_at: row.ended_at.map(Time),
        }
    }
}
