//! What was odd about stations' words, for whoever keeps them running.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::error::{Fault, Result};
use super::scalar::Time;
use super::{MAX_ROWS, app, parse_id, reach};
use crate::auth::Deed;
use crate::db::finding::{self as rows, Wanted};
use crate::db::viewer;

/// A kind of oddity in a station's messages. Nothing was refused for it.
#[derive(SimpleObject)]
pub(super) struct Finding {
    id: ID,
    charge_point_id: ID,
    /// The station's identity.
    station: String,
    /// The message; empty: what came was none.
    action: String,
    /// The field of it.
    field: String,
    /// What kind, such as `Missing`, `NotATime` or `RegisterReset`.
    oddity: String,
    /// Something that a bill needs is missing, unreadable or implausible.
    hard: bool,
    /// How often, as last told: a gateway tells of the 1st, the 10th, the 100th and so on.
    count: i64,
    first_at: Time,
    last_at: Time,
    /// The last one in words.
    detail: String,
    /// The first message that had it, word for word: text of a stranger. Without secrets, and cut.
    example: String,
    /// The session that the last one is about.
    session_id: Option<ID>,
}

impl From<rows::Finding> for Finding {
    fn from(row: rows::Finding) -> Self {
        Self {
            id: row.id.into(),
            charge_point_id: row.charge_point_id.into(),
            station: row.station,
            action: row.action,
            field: row.field,
            oddity: row.oddity,
            hard: row.hard,
            count: row.count,
            first_at: Time(row.first_at),
            last_at: Time(row.last_at),
            detail: row.detail,
            example: row.example,
            session_id: row.session_id.map(ID::from),
        }
    }
}

#[derive(Default)]
pub(super) struct FindingQuery;

#[Object]
impl FindingQuery {
    /// What was odd about the words of a site's stations, or of one station; the newest 200 first. With `hard`, only what
    /// matters to bills, or only what does not.
    async fn findings(
        &self,
        ctx: &Context<'_>,
        site_id: Option<ID>,
        charge_point_id: Option<ID>,
        hard: Option<bool>,
    ) -> Result<Vec<Finding>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let site = site_id.map(|id| parse_id(&id, "siteId")).transpose()?;
        let charge_point = charge_point_id.map(|id| parse_id(&id, "chargePointId")).transpose()?;
        if site.is_none() && charge_point.is_none() {
            return Err(Fault::BadInput("Say of which site or which charge point.".into()));
        }
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let found = rows::list(&mut tx, &reach, Wanted { site, charge_point, hard }, MAX_ROWS).await?;
        Ok(found.into_iter().map(Finding::from).collect())
    }
}
