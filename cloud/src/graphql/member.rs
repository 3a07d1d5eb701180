//! The people of an organization. Owners and administrators change them; programs with keys never do.
//!
//! An organization learns nothing of a person by adding his address: it sees the name and the address that it wrote itself.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, Transaction};

use super::error::{Fault, Result};
use super::filter::Paging;
use super::scalar::Time;
use super::sign_in::{contact, person, told};
use super::user::given;
use super::{app, parse_id, reach};
use crate::auth::{self, Caller, Deed, Viewer};
use crate::db::{self, audit, member};

const ENTITY: &str = "OrganizationMember";
const LONGEST_NAME: usize = 200;

/// What somebody is in an organization.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "auth::MemberRole")]
pub(super) enum MemberRole {
    /// Everything, members and keys included.
    Owner,
    /// Keeps the stations running.
    Operator,
    /// Puts gateways and stations into service.
    Installer,
    /// Looks, touches nothing.
    Viewer,
}

/// Somebody in an organization.
#[derive(SimpleObject)]
pub(super) struct OrganizationMember {
    organization_id: ID,
    user_id: ID,
    role: Option<MemberRole>,
    /// What the organization calls him.
    name: Option<String>,
    /// The address or number that he was added by.
    contact: Option<String>,
    since: Option<Time>,
}

/// One's own place in an organization.
#[derive(SimpleObject)]
pub(super) struct Membership {
    organization_id: ID,
    organization_name: Option<String>,
    role: Option<MemberRole>,
}

/// Somebody to be added, by phone or email.
#[derive(InputObject)]
pub(super) struct AddMemberInput {
    organization_id: ID,
    phone: Option<String>,
    email: Option<String>,
    /// What the organization calls him.
    name: Option<String>,
    role: MemberRole,
}

#[derive(Default)]
pub(super) struct MemberQuery;

#[Object]
impl MemberQuery {
    /// The organizations that one is in, and as what.
    async fn memberships(&self, ctx: &Context<'_>) -> Result<Vec<Membership>> {
        let viewer = super::viewer(ctx).await?;
        Ok(member::of_user(&app(ctx).db, viewer.id).await?.into_iter().map(Membership::from).collect())
    }

    /// The people of an organization that one is in.
    async fn organization_members(
        &self,
        ctx: &Context<'_>,
        organization_id: ID,
        paging: Option<Paging>,
    ) -> Result<Vec<OrganizationMember>> {
        let (_, reach) = reach(ctx, Deed::SeeOrganizations).await?;
        let id = parse_id(&organization_id, "organizationId")?;
        if !reach.includes(None, Some(id)) {
            return Err(Fault::no_such("Organization", id));
        }
        let (limit, offset) = Paging::rows(paging.as_ref())?;
        let members = member::list(&app(ctx).db, id, limit, offset).await?;
        Ok(members.into_iter().map(OrganizationMember::from).collect())
    }
}

#[derive(Default)]
pub(super) struct MemberMutation;

#[Object]
impl MemberMutation {
    /// Adds somebody to an organization by phone or email. Who has no account yet gets one, and signs in with a code.
    async fn add_organization_member(
        &self,
        ctx: &Context<'_>,
        input: AddMemberInput,
    ) -> Result<OrganizationMember> {
        let viewer = person(ctx).await?;
        let id = parse_id(&input.organization_id, "organizationId")?;
        let contact = contact(input.phone.as_deref(), input.email.as_deref())?;
        let name = given(input.name.as_deref()).map(str::to_owned);
        if name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return Err(Fault::BadInput(format!("A name has at most {LONGEST_NAME} characters.")));
        }
        let caller = ctx.data_unchecked::<Caller>();
        caller.auth().admit_invitation(viewer.id, caller.address()).await.map_err(told)?;
        let mut tx = begin(ctx, &viewer, id).await?;
        let user = auth::find_or_create(&mut tx, &contact, Some(viewer.id)).await.map_err(told)?.id;
        let new = member::Member {
            organization_id: id,
            user_id: user,
            role: auth::MemberRole::from(input.role).name().into(),
            name,
            contact: Some(contact.as_str().into()),
            since: Some(crate::clock::utc()),
        };
        if !member::add(&mut tx, &new).await? {
            return Err(Fault::BadInput("This person is in the organization already.".into()));
        }
        log(&mut tx, &viewer, "create", &new, None, Some(&new.role)).await?;
        tx.commit().await?;
        Ok(new.into())
    }

    /// Gives a member another role. The last owner stays one.
    async fn change_organization_member(
        &self,
        ctx: &Context<'_>,
        organization_id: ID,
        user_id: ID,
        role: MemberRole,
    ) -> Result<OrganizationMember> {
        let viewer = person(ctx).await?;
        let (id, user) = (parse_id(&organization_id, "organizationId")?, parse_id(&user_id, "userId")?);
        let role = auth::MemberRole::from(role).name();
        let mut tx = begin(ctx, &viewer, id).await?;
        let found = member::find(&mut tx, id, user).await?.ok_or_else(|| Fault::no_such(ENTITY, user))?;
        let heir = if role == "owner" { None } else { heir(&mut tx, &found).await? };
        member::set_role(&mut tx, &found, role, heir).await?;
        log(&mut tx, &viewer, "update", &found, Some(&found.role), Some(role)).await?;
        tx.commit().await?;
        Ok(member::Member { role: role.into(), ..found }.into())
    }

    /// Takes somebody out of an organization. The last owner stays.
    async fn remove_organization_member(
        &self,
        ctx: &Context<'_>,
        organization_id: ID,
        user_id: ID,
    ) -> Result<bool> {
        let viewer = person(ctx).await?;
        let (id, user) = (parse_id(&organization_id, "organizationId")?, parse_id(&user_id, "userId")?);
        let tx = begin(ctx, &viewer, id).await?;
        remove(tx, &viewer, id, user).await
    }

    /// Leaves an organization. Its last owner makes somebody else an owner first, or deletes it.
    async fn leave_organization(&self, ctx: &Context<'_>, organization_id: ID) -> Result<bool> {
        let viewer = person(ctx).await?;
        let id = parse_id(&organization_id, "organizationId")?;
        let mut tx = app(ctx).db.begin().await?;
        if !viewer.memberships.iter().any(|(mine, _)| *mine == id) || !member::lock(&mut tx, id).await? {
            return Err(Fault::no_such("Organization", id));
        }
        remove(tx, &viewer, id, viewer.id).await
    }
}

/// A transaction of somebody who may change the organization's members and keys, with our own rights; others change none of
/// it meanwhile.
pub(super) async fn begin(
    ctx: &Context<'_>,
    viewer: &Viewer,
    organization: i64,
) -> Result<Transaction<'static, Postgres>> {
    if !viewer.reach(Deed::ChangeOrganizations).includes(None, Some(organization)) {
        return Err(Fault::no_such("Organization", organization));
    }
    let mut tx = db::viewer::begin(&app(ctx).db, viewer).await?;
    if !member::lock(&mut tx, organization).await? {
        return Err(Fault::no_such("Organization", organization));
    }
    db::viewer::as_ourselves(&mut tx).await?;
    Ok(tx)
}

async fn remove(
    mut tx: Transaction<'static, Postgres>,
    viewer: &Viewer,
    organization: i64,
    user: i64,
) -> Result<bool> {
    let found = member::find(&mut tx, organization, user).await?;
    let found = found.ok_or_else(|| Fault::no_such(ENTITY, user))?;
    let heir = heir(&mut tx, &found).await?;
    member::remove(&mut tx, &found, heir).await?;
    log(&mut tx, viewer, "delete", &found, Some(&found.role), None).await?;
    tx.commit().await?;
    Ok(true)
}

/// Who owns the organization after somebody stops to; none when he did not.
async fn heir(tx: &mut PgConnection, it: &member::Member) -> Result<Option<i64>> {
    if it.role != "owner" {
        return Ok(None);
    }
    match member::other_owner(tx, it.organization_id, it.user_id).await? {
        Some(heir) => Ok(Some(heir)),
        None => Err(Fault::BadInput("This is the last owner: make somebody else an owner first.".into())),
    }
}

async fn log(
    tx: &mut PgConnection,
    viewer: &Viewer,
    action: &str,
    it: &member::Member,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<()> {
    let row = |role: &str| -> Value {
        json!({"organizationId": it.organization_id, "userId": it.user_id, "role": role, "contact": it.contact})
    };
    let entry = audit::Entry {
        actor: Some(viewer.id),
        action,
        entity: ENTITY,
        row_id: Some(it.user_id.to_string()),
        organization_id: Some(it.organization_id),
        before: before.map(row),
        after: after.map(row),
        ..audit::Entry::default()
    };
    audit::write(tx, &entry).await?;
    Ok(())
}

impl From<member::Member> for OrganizationMember {
    fn from(it: member::Member) -> Self {
        Self {
            organization_id: it.organization_id.into(),
            user_id: it.user_id.into(),
            role: named(&it.role),
            name: it.name,
            contact: it.contact,
            since: it.since.map(Time),
        }
    }
}

impl From<member::Membership> for Membership {
    fn from(it: member::Membership) -> Self {
        let organization_id = it.organization_id.into();
        Self { organization_id, organization_name: it.organization_name, role: named(&it.role) }
    }
}

/// The database knows no other names; one that a newer replica knows is none.
pub(super) fn named(role: &str) -> Option<MemberRole> {
    role.parse::<auth::MemberRole>().ok().map(MemberRole::from)
}
