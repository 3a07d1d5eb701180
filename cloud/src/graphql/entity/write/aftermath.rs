//! What follows from changed rows: columns that others repeat, tariffs of prices, gateways' documents, hints, the log.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use sqlx::PgConnection;

use super::{Change, Writing, rows};
use crate::db::{audit, viewer};
use crate::documents;
use crate::graphql::entity::table::{Entity, Tenancy};
use crate::graphql::error::Result;
use crate::graphql::saving;
use crate::live::{self, Hint};

/// What of a connector its tariff depends on.
const PRICED_BY: [&str; 3] = ["price", "priceUnit", "siteId"];

impl Writing<'_> {
    /// Steps back to the server's own rights, and makes the rest of the database agree with the changes.
    pub(super) async fn follow(&mut self) -> Result<()> {
        viewer::as_ourselves(&mut self.tx).await?;
        self.read_again().await?;
        let mut hint = Hint::default();
        for change in &self.changes {
            hint.merge(change.hint());
        }
        if !hint.sites.is_empty() {
            repeat_columns(&mut self.tx, &hint.sites).await?;
            for change in self.changes.iter().filter(|change| change.is_priced_anew()) {
                price(&mut self.tx, change.id).await?;
            }
            for site in &hint.sites {
                documents::refresh(&mut self.tx, *site).await?;
            }
            self.read_again().await?;
        }
        live::notify(&mut self.tx, &hint).await?;
        Ok(())
    }

    /// The changed rows as they are now.
    async fn read_again(&mut self) -> Result<()> {
        let mut ids: BTreeMap<&str, (&'static Entity, Vec<i64>)> = BTreeMap::new();
        for change in &self.changes {
            ids.entry(change.entity.name).or_insert_with(|| (change.entity, vec![])).1.push(change.id);
        }
        for (entity, ids) in ids.into_values() {
            let now = rows::records(&mut self.tx, entity, &ids).await?;
            for change in self.changes.iter_mut().filter(|change| change.entity.name == entity.name) {
                change.after = now.get(&change.id).cloned();
            }
        }
        Ok(())
    }

    /// Writes the log, and ends.
    pub(super) async fn commit(mut self, many: bool) -> Result<()> {
        viewer::as_ourselves(&mut self.tx).await?;
        for change in &self.changes {
            audit::write(&mut self.tx, &change.entry(self.viewer.id)).await?;
        }
        if many {
            for summary in summaries(self.viewer.id, &self.changes) {
                audit::write(&mut self.tx, &summary).await?;
            }
        }
        self.tx.commit().await?;
        Ok(())
    }
}

/// How many rows of whom were changed at once: nobody hears of a number that counts what he does not see.
fn summaries(actor: i64, changes: &[Change]) -> Vec<audit::Entry<'static>> {
    let mut counts: BTreeMap<Tenant, i64> = BTreeMap::new();
    for change in changes {
        let (owner, organization) = change.tenant();
        // Organizations and people are counted together: they are nobody's but their own.
        let at_site = matches!(change.entity.tenancy, Tenancy::Site | Tenancy::AtSite);
        let tenant = if at_site { (owner, organization) } else { (None, None) };
        *counts.entry(tenant).or_default() += 1;
    }
    let Some(first) = changes.first() else { return Vec::new() };
    let summary = |((owner, organization), count)| audit::Entry {
        actor: Some(actor),
        action: if first.after.is_some() { "updateMany" } else { "deleteMany" },
        entity: first.entity.name,
        organization_id: organization,
        after: Some(json!({"ownerId": owner, "organizationId": organization})),
        count: Some(count),
        ..audit::Entry::default()
    };
    counts.into_iter().map(summary).collect()
}

/// Owner and organization.
type Tenant = (Option<i64>, Option<i64>);

impl Change {
    /// The row as it is, or was.
    fn row(&self) -> &Json {
        self.after.as_ref().or(self.before.as_ref()).unwrap_or(&Json::Null)
    }

    /// Whose it is.
    fn tenant(&self) -> Tenant {
        let row = self.row();
        match self.entity.tenancy {
            Tenancy::Site | Tenancy::AtSite => (row["ownerId"].as_i64(), row["organizationId"].as_i64()),
            Tenancy::Organization => (row["ownerId"].as_i64(), Some(self.id)),
            Tenancy::User => (Some(self.id), None),
        }
    }

    fn site(&self, row: &Json) -> Option<i64> {
        match self.entity.tenancy {
            Tenancy::Site => Some(self.id),
            Tenancy::AtSite => row["siteId"].as_i64(),
            Tenancy::Organization | Tenancy::User => None,
        }
    }

    /// What others have to look at again.
    fn hint(&self) -> Hint {
        let rows = [&self.before, &self.after];
        let sites: BTreeSet<i64> = rows.into_iter().flatten().filter_map(|row| self.site(row)).collect();
        let is_connector = self.after.is_some() && self.entity.field("chargePointId").is_some();
        let connectors = if is_connector { vec![self.id] } else { Vec::new() };
        Hint { sites: sites.into_iter().collect(), connectors, ..Hint::default() }
    }

    fn is_priced_anew(&self) -> bool {
        let Some(after) = &self.after else { return false };
        let differs = |name: &str| self.before.as_ref().is_none_or(|before| before[name] != after[name]);
        self.entity.field("priceUnit").is_some() && PRICED_BY.into_iter().any(differs)
    }

    /// For the log.
    pub(super) fn entry(&self, actor: i64) -> audit::Entry<'_> {
        let action = match (&self.before, &self.after) {
            (None, _) => "create",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "delete",
        };
        audit::Entry {
            actor: Some(actor),
            action,
            entity: self.entity.name,
            row_id: Some(self.id.to_string()),
            site_id: self.site(self.row()),
            organization_id: self.tenant().1,
            before: self.before.clone(),
            after: self.after.clone(),
            ..audit::Entry::default()
        }
    }
}

/// Charge points and connectors repeat their site's owner, connectors their charge point's site and identity.
async fn repeat_columns(tx: &mut PgConnection, sites: &[i64]) -> sqlx::Result<()> {
    const REPEATED: [&str; 3] = [
        "update charge_points cp set owner_id = s.owner_id from sites s
         where s.id = cp.site_id and s.id = any($1) and cp.owner_id is distinct from s.owner_id",
        "update connectors c set site_id = cp.site_id, charge_point_hardware_id = cp.charge_point_hardware_id,
                updated_at = now()
         from charge_points cp where cp.id = c.charge_point_id and cp.site_id = any($1)
           and (c.site_id, c.charge_point_hardware_id) is distinct from (cp.site_id, cp.charge_point_hardware_id)",
        "update connectors c set owner_id = s.owner_id from sites s
         where s.id = c.site_id and s.id = any($1) and c.owner_id is distinct from s.owner_id",
    ];
    for sql in REPEATED {
        sqlx::query(sql).bind(sites).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A connector's price as a tariff, where it is not in its site's currency.
async fn price(tx: &mut PgConnection, connector: i64) -> sqlx::Result<()> {
    let row: Option<(Option<Decimal>, Option<String>, String)> = sqlx::query_as(
        "select c.price, c.price_unit, s.currency::text from connectors c join sites s on s.id = c.site_id where c.id = $1",
    )
    .bind(connector)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((price, unit, currency)) = row else { return Ok(()) };
    let tariff = saving::foreign_tariff(tx, &currency, unit.as_deref(), price.unwrap_or_default()).await?;
    sqlx::query("update connectors set tariff_id = $2 where id = $1 and tariff_id is distinct from $2")
        .bind(connector)
        .bind(tariff)
        .execute(tx)
        .await?;
    Ok(())
}
