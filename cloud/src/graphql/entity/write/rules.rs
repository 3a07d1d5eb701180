//! What may be written into whose rows: every id that a row refers to must itself be within reach, and a connector is where
//! its charge point is.

use serde_json::Value as Json;
use sqlx::{PgConnection, QueryBuilder};

use super::cells::{Cell, Cells};
use crate::auth::{Deed, Reach, Role, Viewer};
use crate::db::site;
use crate::graphql::entity::reach::push_reach;
use crate::graphql::entity::table::{Entity, Tenancy};
use crate::graphql::entity::tables::{CHARGE_POINT, SITE, USER};
use crate::graphql::error::{Fault, Result};

/// Checks a row to be, and fills in what follows from its parents.
pub(super) async fn create(
    tx: &mut PgConnection,
    entity: &'static Entity,
    viewer: &Viewer,
    reach: &Reach,
    cells: &mut Cells,
) -> Result<()> {
    match entity.tenancy {
        Tenancy::Site => {
            let organization = cells.reference("organizationId").flatten();
            organization_within(tx, organization, reach).await?;
            within(reach, Some(viewer.id), organization)
        }
        Tenancy::AtSite => {
            let site = cells.reference("siteId").flatten();
            parent(tx, &SITE, site, reach).await?;
            let Some(charge_point) = cells.reference("chargePointId") else { return Ok(()) };
            let at = parent(tx, &CHARGE_POINT, charge_point, reach).await?;
            same_site(site, at, charge_point)?;
            if cells.get("connectorId").is_none() {
                let number = next_number(tx, charge_point).await?;
                cells.set(entity, "connectorId", Cell::Small(number));
            }
            Ok(())
        }
        Tenancy::Organization => Ok(()),
        Tenancy::User => person(viewer, cells),
    }
}

/// Whose a new row is, in SQL.
pub(super) fn owner(entity: &Entity, viewer: &Viewer, cells: &Cells) -> Option<String> {
    match entity.tenancy {
        Tenancy::Site | Tenancy::Organization => Some(viewer.id.to_string()),
        Tenancy::AtSite => {
            let site = cells.reference("siteId").flatten()?;
            Some(format!("(select owner_id from sites where id = {site})"))
        }
        Tenancy::User => None,
    }
}

/// Checks what is to be written into a row, and adds what follows from it.
pub(super) async fn update(
    tx: &mut PgConnection,
    entity: &'static Entity,
    viewer: &Viewer,
    reach: &Reach,
    before: &Json,
    cells: &mut Cells,
) -> Result<()> {
    match entity.tenancy {
        Tenancy::Site => site(tx, viewer, reach, before, cells).await,
        Tenancy::AtSite if entity.field("chargePointId").is_some() => {
            connector(tx, entity, reach, before, cells).await
        }
        Tenancy::AtSite => match cells.reference("siteId") {
            Some(site) => parent(tx, &SITE, site, reach).await.map(drop),
            None => Ok(()),
        },
        Tenancy::Organization | Tenancy::User => Ok(()),
    }
}

async fn site(
    tx: &mut PgConnection,
    viewer: &Viewer,
    reach: &Reach,
    before: &Json,
    cells: &mut Cells,
) -> Result<()> {
    let (mut owner, mut organization) = (before["ownerId"].as_i64(), before["organizationId"].as_i64());
    if let Some(wanted) = cells.reference("ownerId") {
        if wanted == owner {
            cells.remove("ownerId");
        } else if viewer.role != Role::Administrator {
            return Err(Fault::Forbidden(
                "ownerId is not yours to write: only an administrator gives a site to another owner.".into(),
            ));
        } else {
            if let Some(id) = wanted {
                exists(tx, &USER, id, &viewer.reach(Deed::ManageUsers)).await?;
            }
            owner = wanted;
        }
    }
    if let Some(wanted) = cells.reference("organizationId").filter(|wanted| *wanted != organization) {
        organization_within(tx, wanted, reach).await?;
        organization = wanted;
    }
    within(reach, owner, organization)
}

async fn connector(
    tx: &mut PgConnection,
    entity: &'static Entity,
    reach: &Reach,
    before: &Json,
    cells: &mut Cells,
) -> Result<()> {
    let now_at = before["siteId"].as_i64();
    let site = cells.reference("siteId");
    if let Some(site) = site.filter(|site| *site != now_at) {
        parent(tx, &SITE, site, reach).await?;
    }
    match cells.reference("chargePointId") {
        Some(Some(charge_point)) => {
            let at = parent(tx, &CHARGE_POINT, Some(charge_point), reach).await?;
            if let Some(site) = site {
                same_site(site, at, Some(charge_point))?;
            }
            cells.set(entity, "siteId", Cell::Whole(at));
        }
        // It leaves its charge point behind.
        None if site.is_some_and(|site| site != now_at) => cells.set(entity, "chargePointId", Cell::Null),
        Some(None) | None => {}
    }
    Ok(())
}

/// A row that another is to stand at, and the site where that is.
async fn parent(tx: &mut PgConnection, of: &'static Entity, id: Option<i64>, reach: &Reach) -> Result<i64> {
    let id = id.ok_or_else(|| Fault::BadInput(format!("{}Id is needed.", of.one)))?;
    exists(tx, of, id, reach).await
}

async fn exists(tx: &mut PgConnection, of: &'static Entity, id: i64, reach: &Reach) -> Result<i64> {
    let column = if of.tenancy == Tenancy::AtSite { "site_id" } else { "id" };
    let mut sql =
        QueryBuilder::new(format!("select {} from {} {} where ", of.sql(column), of.table, of.alias));
    push_reach(of, reach, &mut sql);
    sql.push(format_args!(" and {} = ", of.sql("id"))).push_bind(id);
    let found: Option<i64> = sql.build_query_scalar().fetch_optional(tx).await?;
    found.ok_or_else(|| Fault::no_such(of.name, id))
}

async fn organization_within(tx: &mut PgConnection, id: Option<i64>, reach: &Reach) -> Result<()> {
    match id {
        Some(id) if !site::organization_within(tx, id, reach).await? => {
            Err(Fault::no_such("Organization", id))
        }
        _ => Ok(()),
    }
}

/// A site must stay with whoever changes it.
fn within(reach: &Reach, owner: Option<i64>, organization: Option<i64>) -> Result<()> {
    if reach.includes(owner, organization) {
        return Ok(());
    }
    Err(Fault::Forbidden(
        "The site would not be yours: give the organizationId of one of your organizations.".into(),
    ))
}

fn same_site(site: Option<i64>, at: i64, charge_point: Option<i64>) -> Result<()> {
    if site == Some(at) {
        return Ok(());
    }
    let id = charge_point.unwrap_or_default();
    Err(Fault::BadInput(format!("Charge point {id} is at site {at}: give that as siteId, or leave it out.")))
}

/// The next free number on a charge point.
async fn next_number(tx: &mut PgConnection, charge_point: Option<i64>) -> Result<i32> {
    Ok(sqlx::query_scalar(
        "select coalesce(max(connector_id), 0) + 1 from connectors where charge_point_id = $1",
    )
    .bind(charge_point)
    .fetch_one(tx)
    .await?)
}

/// People are made by administrators, and can sign in with something.
fn person(viewer: &Viewer, cells: &Cells) -> Result<()> {
    if viewer.role != Role::Administrator {
        return Err(Fault::role());
    }
    if ["username", "phone", "email"].iter().all(|name| matches!(cells.get(name), None | Some(Cell::Null))) {
        return Err(Fault::BadInput("Give at least one of username, phone and email.".into()));
    }
    Ok(())
}
