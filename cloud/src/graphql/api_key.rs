//! Keys with which programs of an organization sign in: made, listed and revoked by its owners.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde_json::json;
use sqlx::PgConnection;

use super::error::{Fault, Result};
use super::filter::Paging;
use super::member::{MemberRole, begin, named};
use super::scalar::Time;
use super::sign_in::person;
use super::{app, parse_id};
use crate::auth::{self, Deed, Viewer, api_key as secret};
use crate::db::{api_key, audit};

/// Keys of one organization that work at the same time.
const MOST: i64 = 50;
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 1..=100;

/// A key of a program. It never shows again what it is entered as.
#[derive(SimpleObject)]
pub(super) struct ApiKey {
    id: ID,
    organization_id: ID,
    /// Whom it acts as: the actor in the audit log.
    user_id: ID,
    name: Option<String>,
    role: Option<MemberRole>,
    created_at: Time,
    expires_at: Option<Time>,
    /// To the minute.
    last_used_at: Option<Time>,
    revoked_at: Option<Time>,
}

/// A key just made.
#[derive(SimpleObject)]
pub(super) struct CreatedApiKey {
    /// For the header `Authorization: Bearer …`. Shown this once.
    key: String,
    api_key: ApiKey,
}

#[derive(InputObject)]
pub(super) struct CreateApiKeyInput {
    organization_id: ID,
    /// What it is for.
    name: String,
    /// What a program that has it may do in the organization; members and keys it never changes.
    role: MemberRole,
    /// When it ends by itself; never, when left out.
    expires_at: Option<Time>,
}

#[derive(Default)]
pub(super) struct ApiKeyQuery;

#[Object]
impl ApiKeyQuery {
    /// The keys of an organization, the newest first; for its owners.
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        organization_id: ID,
        paging: Option<Paging>,
    ) -> Result<Vec<ApiKey>> {
        let viewer = person(ctx).await?;
        let id = parse_id(&organization_id, "organizationId")?;
        let (limit, offset) = Paging::rows(paging.as_ref())?;
        begin(ctx, &viewer, id).await?.rollback().await?;
        let keys = api_key::list(&app(ctx).db, id, limit, offset).await?;
        Ok(keys.into_iter().map(ApiKey::from).collect())
    }
}

#[derive(Default)]
pub(super) struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Makes a key for a program. It is shown once: enter it there at once.
    async fn create_api_key(&self, ctx: &Context<'_>, input: CreateApiKeyInput) -> Result<CreatedApiKey> {
        let viewer = person(ctx).await?;
        let organization = parse_id(&input.organization_id, "organizationId")?;
        let name = input.name.trim();
        if !NAME_LENGTH.contains(&name.chars().count()) {
            return Err(Fault::BadInput("Say what the key is for: a name of 1 to 100 characters.".into()));
        }
        if input.expires_at.as_ref().is_some_and(|end| end.0 <= crate::clock::utc()) {
            return Err(Fault::BadInput("expiresAt has passed: give a time to come, or none.".into()));
        }
        let mut tx = begin(ctx, &viewer, organization).await?;
        if api_key::count(&mut tx, organization).await? >= MOST {
            return Err(Fault::BadInput(format!(
                "An organization has at most {MOST} keys: revoke one that is not used."
            )));
        }
        let (secret, digest) = secret::new_secret();
        let new = api_key::NewApiKey {
            organization_id: organization,
            name,
            role: auth::MemberRole::from(input.role).name(),
            digest: &digest,
            created_by: viewer.id,
            expires_at: input.expires_at.map(|end| end.0),
        };
        let id = api_key::insert(&mut tx, &new).await?;
        let made = found(&mut tx, id).await?;
        log(&mut tx, &viewer, "create", &made).await?;
        tx.commit().await?;
        Ok(CreatedApiKey { key: secret::written(id, &secret), api_key: made.into() })
    }

    /// Ends a key at once.
    async fn revoke_api_key(&self, ctx: &Context<'_>, id: ID) -> Result<ApiKey> {
        let viewer = person(ctx).await?;
        let id = parse_id(&id, "id")?;
        let organization = found(&mut *app(ctx).db.acquire().await?, id).await?.organization_id;
        if !viewer.reach(Deed::ChangeOrganizations).includes(None, Some(organization)) {
            return Err(Fault::no_such("ApiKey", id));
        }
        let mut tx = begin(ctx, &viewer, organization).await?;
        api_key::revoke(&mut tx, id).await?;
        let revoked = found(&mut tx, id).await?;
        log(&mut tx, &viewer, "delete", &revoked).await?;
        tx.commit().await?;
        Ok(revoked.into())
    }
}

async fn found(tx: &mut PgConnection, id: i64) -> Result<api_key::ApiKey> {
    api_key::find(tx, id).await?.ok_or_else(|| Fault::no_such("ApiKey", id))
}

async fn log(tx: &mut PgConnection, viewer: &Viewer, action: &str, it: &api_key::ApiKey) -> Result<()> {
    let row = json!({"id": it.id, "userId": it.user_id, "name": it.name, "role": it.role, "expiresAt": it.expires_at});
    let entry = audit::Entry {
        actor: Some(viewer.id),
        action,
        entity: "ApiKey",
        row_id: Some(it.id.to_string()),
        organization_id: Some(it.organization_id),
        before: (action == "delete").then(|| row.clone()),
        after: (action == "create").then_some(row),
        ..audit::Entry::default()
    };
    audit::write(tx, &entry).await?;
    Ok(())
}

impl From<api_key::ApiKey> for ApiKey {
    fn from(it: api_key::ApiKey) -> Self {
        Self {
            id: it.id.into(),
            organization_id: it.organization_id.into(),
            user_id: it.user_id.into(),
            name: it.name,
            role: named(&it.role),
            created_at: Time(it.created_at),
            expires_at: it.expires_at.map(Time),
            last_used_at: it.last_used_at.map(Time),
            revoked_at: it.revoked_at.map(Time),
        }
    }
}
