//! What stations report of themselves: not in the log of people's changes, so it is seen by looking at the rows again when
//! something changed at their site.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgPool, QueryBuilder};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::auth::{Reach, Viewer};
use crate::db;
use crate::graphql::entity::reach::push_reach;
use crate::graphql::entity::table::{Entity, Tenancy};
use crate::graphql::error::Result;
use crate::live::SitesChanged;

/// By how much a gateway's clock may be behind.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// Statuses of the rows that one subscriber reaches.
pub(super) struct Stations {
    entity: &'static Entity,
    changes: Receiver<Arc<SitesChanged>>,
    known: HashMap<i64, Option<String>>,
    sites: HashSet<i64>,
}

/// Which rows are looked at.
#[derive(Clone, Copy)]
enum Look<'a> {
    All,
    At(&'a [i64]),
    ReportedAfter(DateTime<Utc>),
}

impl Stations {
    /// None for entities of which stations say nothing.
    pub(super) fn of(entity: &'static Entity, changes: Receiver<Arc<SitesChanged>>) -> Option<Self> {
        let reported = entity.tenancy == Tenancy::AtSite;
        reported.then(|| Self { entity, changes, known: HashMap::new(), sites: HashSet::new() })
    }

    /// Remembers how things are. What was reported after some moment is told of.
    pub(super) async fn begin(
        &mut self,
        db: &PgPool,
        viewer: &Viewer,
        after: Option<DateTime<Utc>>,
    ) -> Result<Vec<i64>> {
        self.look(db, viewer, Look::All).await?;
        let Some(after) = after else { return Ok(Vec::new()) };
        Ok(self
            .rows(db, viewer, Look::ReportedAfter(after - SKEW))
            .await?
            .into_iter()
            .map(|row| row.0)
            .collect())
    }

    /// Waits for changes at sites that matter; the sites, or none: look at all of them. `None`: nothing will change again.
    pub(super) async fn changed(&mut self) -> Option<Vec<i64>> {
        loop {
            match self.changes.recv().await {
                Ok(change) if change.start_over => return Some(Vec::new()),
                Ok(change) => {
                    let sites: Vec<i64> = change
                        .sites
                        .iter()
                        .map(|site| site.id)
                        .filter(|id| self.sites.contains(id))
                        .collect();
                    if !sites.is_empty() {
                        return Some(sites);
                    }
                }
                Err(RecvError::Lagged(_)) => return Some(Vec::new()),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The rows whose status is another than it was.
    pub(super) async fn differing(
        &mut self,
        db: &PgPool,
        viewer: &Viewer,
        sites: &[i64],
    ) -> Result<Vec<i64>> {
        self.look(db, viewer, if sites.is_empty() { Look::All } else { Look::At(sites) }).await
    }

    /// A person changed a row: that is told of by the log.
    pub(super) fn note(&mut self, row: &serde_json::Value) {
        let status = row[self.status()].as_str().map(Into::into);
        if let Some(id) = row["id"].as_i64() {
            self.known.insert(id, status);
        }
        self.sites.extend(row["siteId"].as_i64());
    }

    /// Has a row the status that the log says?
    pub(super) fn is_as_in(&self, id: i64, row: &serde_json::Value) -> bool {
        let known = self.known.get(&id).and_then(Option::as_deref);
        row["id"].as_i64() == Some(id) && row[self.status()].as_str() == known
    }

    fn status(&self) -> &'static str {
        if self.is_connector() { "statusName" } else { "status" }
    }

    /// The status, and when the station said so.
    fn columns(&self) -> (&'static str, &'static str) {
        if self.is_connector() { ("status_name", "status_at") } else { ("status", "presence_at") }
    }

    fn is_connector(&self) -> bool {
        self.entity.field("statusName").is_some()
    }

    async fn look(&mut self, db: &PgPool, viewer: &Viewer, look: Look<'_>) -> Result<Vec<i64>> {
        let mut differing = Vec::new();
        for (id, site, status) in self.rows(db, viewer, look).await? {
            self.sites.insert(site);
            match self.known.insert(id, status.clone()) {
                Some(known) if known != status => differing.push(id),
                Some(_) | None => {}
            }
        }
        Ok(differing)
    }

    async fn rows(
        &self,
        db: &PgPool,
        viewer: &Viewer,
        look: Look<'_>,
    ) -> Result<Vec<(i64, i64, Option<String>)>> {
        let (entity, reach): (_, Reach) = (self.entity, viewer.reach(self.entity.see));
        let (status, _) = self.columns();
        let alias = entity.alias;
        let mut sql = QueryBuilder::new(format!(
            "select {alias}.id, {alias}.site_id, {alias}.{status} from {} {alias} where ",
            entity.table
        ));
        push_reach(entity, &reach, &mut sql);
        match look {
            Look::All => {}
            Look::At(sites) => {
                sql.push(format_args!(" and {alias}.site_id = any(")).push_bind(sites.to_vec()).push(")");
            }
            Look::ReportedAfter(time) => {
                let (_, reported_at) = self.columns();
                sql.push(format_args!(" and {alias}.{reported_at} > ")).push_bind(time);
            }
        }
        sql.push(format_args!(" order by {alias}.id"));
        let mut tx = db::viewer::begin(db, viewer).await?;
        Ok(sql.build_query_as().fetch_all(&mut *tx).await?)
    }
}
