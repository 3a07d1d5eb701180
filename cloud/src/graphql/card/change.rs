//! Cards added, changed, barred and removed.

use async_graphql::{Context, ID, Object};

use super::super::error::{Fault, Result};
use super::super::reach;
use super::super::scalar::Time;
use super::{Card, Desk, IdTokenView, Wanted, about, checked_name, optional_id};
use crate::auth::Deed;
use crate::db::card as rows;

#[derive(Default)]
pub(in super::super) struct CardMutation;

#[Object]
impl CardMutation {
    /// Lets a person charge with a token: oneself, or anybody for administrators. Giving the same again changes nothing.
    async fn add_id_token(
        &self,
        ctx: &Context<'_>,
        user_id: Option<ID>,
        token: String,
    ) -> Result<IdTokenView> {
        let (viewer, reach) = reach(ctx, Deed::ManageUsers).await?;
        let for_whom = optional_id(user_id.as_ref(), "userId")?.unwrap_or(viewer.id);
        if !reach.includes(Some(for_whom), None) {
            return Err(Fault::no_such("User", for_whom));
        }
        let mut desk = Desk::open(ctx).await?;
        let user = desk.holder(Some(for_whom), None).await?;
        let wanted = Wanted { token: &token, name: None, user, group: None, expires_at: None };
        let (card, is_new) = desk.add(&wanted).await?;
        let view = IdTokenView {
            id: card.id.into(),
            token: card.token.clone(),
            user_id: Some(for_whom.into()),
            status: card.status.clone(),
        };
        if is_new {
            desk.close(about("create", None, Some(&card))).await?;
        }
        Ok(view)
    }

    /// Adds a card: one's own; with a group and without a person, the group's. The same once more changes nothing. Number as on
    /// the card, in upper or lower case, with or without `:` between its bytes.
    async fn add_card(
        &self,
        ctx: &Context<'_>,
        token: String,
        name: String,
        user_id: Option<ID>,
        group_id: Option<ID>,
        expires_at: Option<Time>,
    ) -> Result<Card> {
        let name = checked_name(&name)?;
        let (user, group) =
            (optional_id(user_id.as_ref(), "userId")?, optional_id(group_id.as_ref(), "groupId")?);
        let mut desk = Desk::open(ctx).await?;
        if let Some(id) = group {
            desk.group(id).await?;
        }
        let user = desk.holder(user, group).await?;
        let expires_at = expires_at.map(|time| time.0);
        let (card, is_new) =
            desk.add(&Wanted { token: &token, name: Some(name), user, group, expires_at }).await?;
        if is_new {
            desk.close(about("create", None, Some(&card))).await?;
        }
        Ok(card.into())
    }

    /// Changes what is given; what is left out, or null, is kept. `neverExpires` takes its end away, `leaveGroup` its group.
    #[expect(clippy::too_many_arguments, reason = "they are the field's")]
    async fn update_card(
        &self,
        ctx: &Context<'_>,
        id: ID,
        name: Option<String>,
        expires_at: Option<Time>,
        group_id: Option<ID>,
        never_expires: Option<bool>,
        leave_group: Option<bool>,
    ) -> Result<Card> {
        let (never_expires, leave_group) = (never_expires == Some(true), leave_group == Some(true));
        if (expires_at.is_some() && never_expires) || (group_id.is_some() && leave_group) {
            return Err(Fault::BadInput(
                "Give an end or neverExpires, a group or leaveGroup, not both.".into(),
            ));
        }
        let mut desk = Desk::open(ctx).await?;
        let before = desk.card(&id).await?;
        let mut after = before.clone();
        if let Some(name) = &name {
            after.name = Some(checked_name(name)?.to_owned());
        }
        if expires_at.is_some() || never_expires {
            after.expires_at = expires_at.map(|time| time.0);
        }
        if group_id.is_some() || leave_group {
            after.group_id = optional_id(group_id.as_ref(), "groupId")?;
            after.organization_id = None;
        }
        match after.group_id {
            Some(group) if after.group_id != before.group_id => {
                after.organization_id = desk.group(group).await?.organization_id;
            }
            None if after.user_id.is_none() => {
                return Err(Fault::BadInput(
                    "The card is nobody's but its group's. Delete it, or give another groupId.".into(),
                ));
            }
            Some(_) | None => {}
        }
        rows::update(&mut desk.tx, &after).await?;
        desk.close(about("update", Some(&before), Some(&after))).await?;
        Ok(after.into())
    }

    /// Bars a card: stations refuse it from now on. A session that runs goes on.
    async fn block_card(&self, ctx: &Context<'_>, id: ID) -> Result<Card> {
        bar(ctx, &id, true).await
    }

    /// Lets a barred card charge again. What somebody above its holder has barred, only such a one lets go.
    async fn unblock_card(&self, ctx: &Context<'_>, id: ID) -> Result<Card> {
        bar(ctx, &id, false).await
    }

    /// Removes a card. Sessions that were charged with it stay.
    async fn delete_card(&self, ctx: &Context<'_>, id: ID) -> Result<Card> {
        let mut desk = Desk::open(ctx).await?;
        let card = desk.card(&id).await?;
        desk.may_free(&card)?;
        rows::delete(&mut desk.tx, card.id).await?;
        desk.close(about("delete", Some(&card), None)).await?;
        Ok(card.into())
    }
}

impl Desk {
    /// A thief is not helped by removing and adding what was taken from him.
    fn may_free(&self, card: &rows::Card) -> Result<()> {
        let above = self.reach.everything || self.reach.includes(None, card.organization_id);
        if card.status != "blocked" || card.blocked_by == Some(self.viewer.id) || above {
            return Ok(());
        }
        Err(Fault::Forbidden("Somebody above you has barred this card. Ask the operator.".into()))
    }
}

async fn bar(ctx: &Context<'_>, id: &ID, barred: bool) -> Result<Card> {
    let mut desk = Desk::open(ctx).await?;
    let before = desk.card(id).await?;
    if (before.status == "blocked") == barred {
        return Ok(before.into());
    }
    desk.may_free(&before)?;
    let by = barred.then_some(desk.viewer.id);
    rows::bar(&mut desk.tx, before.id, by).await?;
    let status = if barred { "blocked" } else { "accepted" }.to_owned();
    let after = rows::Card { status, blocked_by: by, ..before.clone() };
    let action = if barred { "block" } else { "unblock" };
    desk.close(about(action, Some(&before), Some(&after))).await?;
    Ok(after.into())
}
