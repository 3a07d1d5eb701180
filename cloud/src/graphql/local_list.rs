//! Stations' own lists of tokens: kept in step by the gateways, seen here. See `shared::model::local_list`.

use async_graphql::{Context, ID, Object, SimpleObject};
use serde_json::json;

use super::error::{Fault, Result};
use super::scalar::Time;
use super::{app, parse_id, reach};
use crate::auth::Deed;
use crate::db::audit::{self, Entry};
use crate::db::local_list::{self, Told};

/// How the list stands that a station keeps of those who may charge.
#[derive(SimpleObject)]
pub(super) struct LocalList {
    /// `ChargePoint.id`.
    charge_point_id: ID,
    /// The station's identity.
    station: Option<String>,
    /// Current, Unsupported (the station keeps none, or has it turned off), Refused, or Off (the site wants none).
    state: String,
    /// The version that the station holds; 0 when none is known.
    version: i32,
    /// How many tokens are in it.
    entries: i32,
    /// How many more the site has than the station can hold.
    left_out: i32,
    /// More, for a person.
    detail: String,
    /// Since when.
    at: Time,
}

impl From<Told> for LocalList {
    fn from(told: Told) -> Self {
        LocalList {
            charge_point_id: told.charge_point_id.into(),
            station: told.station,
            state: told.state,
            version: told.version,
            entries: told.entries,
            left_out: told.left_out,
            detail: told.detail,
            at: Time(told.at),
        }
    }
}

#[derive(Default)]
pub(super) struct LocalListQuery;

#[Object]
impl LocalListQuery {
    /// The lists of tokens that a site's stations keep, as far as they told of them.
    async fn local_lists(&self, ctx: &Context<'_>, site_id: ID) -> Result<Vec<LocalList>> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        let lists = local_list::at(&app(ctx).db, parse_id(&site_id, "siteId")?, &reach).await?;
        Ok(lists.into_iter().map(LocalList::from).collect())
    }
}

#[derive(Default)]
pub(super) struct LocalListMutation;

#[Object]
impl LocalListMutation {
    /// Has a site's stations keep its lists of tokens, or has them emptied. Answers whether they do from now on. While they
    /// do, drivers whom the site knows may charge even when the gateway itself is gone.
    async fn keep_local_lists(&self, ctx: &Context<'_>, site_id: ID, on: bool) -> Result<bool> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let site = parse_id(&site_id, "siteId")?;
        let mut tx = app(ctx).db.begin().await?;
        let before = local_list::switch(&mut tx, site, &reach, on).await?;
        let before = before.ok_or_else(|| Fault::no_such("Site", site))?;
        let entry = Entry {
            actor: Some(viewer.id),
            action: "keepLocalLists",
            entity: "Site",
            row_id: Some(site.to_string()),
            site_id: Some(site),
            before: Some(json!({ "local_lists": before })),
            after: Some(json!({ "local_lists": on })),
            ..Entry::default()
        };
        audit::write(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(on)
    }
}
