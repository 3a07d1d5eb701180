//! Who changed what: for administrators all of it, for others what concerns their sites and organizations.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::error::{Fault, Result};
use super::scalar::{Float, JsonValue, Time};
use super::{MAX_ROWS, app, parse_id, reach};
use crate::auth::Deed;
use crate::db::audit_log::{self, Row, Wanted};

/// Entries in an answer, unless said otherwise.
const PAGE: i32 = 50;

/// Which entries; what is left out does not matter.
#[derive(InputObject, Default)]
pub(super) struct AuditLogFilter {
    /// create, update, delete, or the name of what was done.
    action: Option<String>,
    /// What sort of thing: Site, Connector, Command …
    entity: Option<String>,
    /// Which one.
    row_id: Option<ID>,
    /// `User.id` of who did it.
    actor_id: Option<ID>,
    site_id: Option<ID>,
    organization_id: Option<ID>,
    /// Not before.
    from: Option<Time>,
    /// Before.
    to: Option<Time>,
}

/// A change, and who made it.
#[derive(SimpleObject)]
pub(super) struct AuditEntry {
    /// Later entries have higher numbers.
    id: ID,
    at: Time,
    /// `User.id`; null: the server itself.
    actor_id: Option<ID>,
    /// What he is called now.
    actor_name: Option<String>,
    /// The answer of the request had it as `x-request-id`.
    request_id: Option<String>,
    action: String,
    entity: String,
    /// Null: many rows, see `count`.
    row_id: Option<ID>,
    site_id: Option<ID>,
    organization_id: Option<ID>,
    /// The row before the change.
    before: Option<JsonValue>,
    /// The row after it, or what was asked for.
    after: Option<JsonValue>,
    count: Float,
}

impl From<Row> for AuditEntry {
    fn from(row: Row) -> Self {
        let id = |id: Option<i64>| id.map(ID::from);
        Self {
            id: row.id.into(),
            at: Time(row.at),
            actor_id: id(row.actor),
            actor_name: row.actor_name,
            request_id: row.request_id,
            action: row.action,
            entity: row.entity,
            row_id: row.row_id.map(ID),
            site_id: id(row.site_id),
            organization_id: id(row.organization_id),
            before: row.before.map(|it| JsonValue(it.0)),
            after: row.after.map(|it| JsonValue(it.0)),
            count: row.count.into(),
        }
    }
}

#[derive(Default)]
pub(super) struct AuditQuery;

#[Object]
impl AuditQuery {
    /// Changes by people, newest first. The next page: `before` is the last entry's id.
    #[graphql(complexity = "5 + 2 * child_complexity")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditLogFilter>,
        before: Option<ID>,
        #[graphql(default_with = "PAGE", desc = "At most 200.")] limit: i32,
    ) -> Result<Vec<AuditEntry>> {
        let (viewer, reach) = reach(ctx, Deed::SeeAudit).await?;
        let limit = i64::from(limit);
        if !(1..=MAX_ROWS).contains(&limit) {
            return Err(Fault::BadInput(format!(
                "limit must be 1 to {MAX_ROWS}: ask for the next page with before."
            )));
        }
        let wanted = filter.unwrap_or_default().wanted(before)?;
        let rows = audit_log::read(&app(ctx).db, &viewer, &reach, &wanted, limit).await?;
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }
}

impl AuditLogFilter {
    fn wanted(self, before: Option<ID>) -> Result<Wanted> {
        let number = |id: Option<ID>, field: &str| id.map(|id| parse_id(&id, field)).transpose();
        Ok(Wanted {
            action: self.action,
            entity: self.entity,
            row_id: self.row_id.map(|id| id.0),
            actor: number(self.actor_id, "actorId")?,
            site_id: number(self.site_id, "siteId")?,
            organization_id: number(self.organization_id, "organizationId")?,
            from: self.from.map(|it| it.0),
            to: self.to.map(|it| it.0),
            before: number(before, "before")?,
        })
    }
}
