//! Groups of cards: a fleet's, a family's. Any card of a group stops what another one of it started.

use async_graphql::{Context, ID, Object, SimpleObject};
use serde_json::json;

use super::super::error::{Fault, Result};
use super::super::{MAX_ROWS, app, parse_id, reach};
use super::{Desk, checked_name, optional_id};
use crate::auth::Deed;
use crate::db::audit::Entry;
use crate::db::card as rows;
use crate::db::viewer;

/// Groups of one owner.
const MOST_GROUPS: usize = 200;

/// Cards that may stop one another's sessions.
#[derive(SimpleObject)]
pub(in super::super) struct CardGroup {
    id: ID,
    name: String,
    /// Whose it is; null: a person's.
    organization_id: Option<ID>,
    /// How many cards it has.
    cards: i64,
    /// Where its cards were let in, besides its owner's sites.
    site_ids: Vec<ID>,
}

impl From<rows::Group> for CardGroup {
    fn from(row: rows::Group) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            organization_id: row.organization_id.map(ID::from),
            cards: row.cards,
            site_ids: row.site_ids.into_iter().map(ID::from).collect(),
        }
    }
}

#[derive(Default)]
pub(in super::super) struct GroupQuery;

#[Object]
impl GroupQuery {
    /// The groups of cards that one may change, the first 200.
    async fn card_groups(&self, ctx: &Context<'_>) -> Result<Vec<CardGroup>> {
        let (viewer, reach) = reach(ctx, Deed::ManageCards).await?;
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        Ok(rows::groups(&mut tx, &reach, MAX_ROWS).await?.into_iter().map(CardGroup::from).collect())
    }
}

#[derive(Default)]
pub(in super::super) struct GroupMutation;

#[Object]
impl GroupMutation {
    /// Adds a group of cards: an organization's, or one's own.
    async fn create_card_group(
        &self,
        ctx: &Context<'_>,
        organization_id: Option<ID>,
        name: String,
    ) -> Result<CardGroup> {
        let name = checked_name(&name)?;
        let mut desk = Desk::open(ctx).await?;
        let organization = optional_id(organization_id.as_ref(), "organizationId")?;
        match organization {
            Some(id) if !desk.reach.everything && !desk.reach.organizations.contains(&id) => {
                return Err(Fault::no_such("Organization", id));
            }
            None if desk.reach.user.is_none() => {
                return Err(Fault::BadInput(
                    "Give an organizationId: you have no groups of your own.".into(),
                ));
            }
            Some(_) | None => {}
        }
        let all = rows::groups(&mut desk.tx, &desk.reach, MAX_ROWS).await?;
        let of_the_same = |group: &&rows::Group| {
            group.organization_id == organization
                && (organization.is_some() || group.owner_id == Some(desk.viewer.id))
        };
        if all.iter().filter(of_the_same).count() >= MOST_GROUPS {
            return Err(Fault::BadInput(format!("There are {MOST_GROUPS} groups already. Delete one.")));
        }
        let id =
            rows::insert_group(&mut desk.tx, name, organization, desk.viewer.id).await.map_err(missing)?;
        let group = desk.group(id).await?;
        desk.close(about("create", None, Some(&group))).await?;
        Ok(group.into())
    }

    /// Removes a group, with the cards that are nobody's but the group's.
    async fn delete_card_group(&self, ctx: &Context<'_>, id: ID) -> Result<CardGroup> {
        let mut desk = Desk::open(ctx).await?;
        let group = desk.group(parse_id(&id, "id")?).await?;
        rows::delete_group(&mut desk.tx, group.id).await?;
        desk.close(about("delete", Some(&group), None)).await?;
        Ok(group.into())
    }

    /// Lets a group's cards charge at a site that is not its owner's, or no more.
    async fn let_card_group_in(
        &self,
        ctx: &Context<'_>,
        id: ID,
        site_id: ID,
        #[graphql(desc = "True when left out.")] allowed: Option<bool>,
    ) -> Result<CardGroup> {
        let (_, operating) = reach(ctx, Deed::Operate).await?;
        let mut desk = Desk::open(ctx).await?;
        let before = desk.group(parse_id(&id, "id")?).await?;
        let site = parse_id(&site_id, "siteId")?;
        if !rows::site_within(&mut desk.tx, site, &operating).await? {
            return Err(Fault::no_such("Site", site));
        }
        rows::let_in(&mut desk.tx, before.id, site, allowed.unwrap_or(true)).await?;
        let after = desk.group(before.id).await?;
        let entry = Entry { site_id: Some(site), ..about("update", Some(&before), Some(&after)) };
        desk.close(entry).await?;
        Ok(after.into())
    }
}

fn about<'a>(action: &'a str, before: Option<&rows::Group>, after: Option<&rows::Group>) -> Entry<'a> {
    let shown = |group: &rows::Group| {
        json!({"name": group.name, "organizationId": group.organization_id, "ownerId": group.owner_id,
               "cards": group.cards, "siteIds": group.site_ids})
    };
    let group = after.or(before);
    Entry {
        action,
        entity: "CardGroup",
        row_id: group.map(|group| group.id.to_string()),
        organization_id: group.and_then(|group| group.organization_id),
        before: before.map(shown),
        after: after.map(shown),
        ..Entry::default()
    }
}

/// An administrator named an organization that is not there.
fn missing(error: sqlx::Error) -> Fault {
    let gone = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation);
    if gone { Fault::NotFound("There is no such organization.".into()) } else { error.into() }
}
