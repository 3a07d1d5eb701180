//! Deleting an organization as the first apps do it: with a reason when it is not there, and another when it is not theirs.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::tables::ORGANIZATION;
use super::write::Writing;
use crate::graphql::error::{Fault, Result};
use crate::graphql::scalar::Float;
use crate::graphql::{app, reach, row_id};

#[derive(InputObject)]
pub(in crate::graphql) struct CustomDeleteOrganizationInput {
    organization_id: Option<f64>,
}

#[derive(SimpleObject)]
pub(in crate::graphql) struct CustomDeleteOrganizationResponse {
    deleted_count: Option<Float>,
}

#[derive(Default)]
pub(in crate::graphql) struct OrganizationMutation;

#[Object]
impl OrganizationMutation {
    /// Deletes an organization. Its sites stay with their owners.
    async fn delete_organization(
        &self,
        ctx: &Context<'_>,
        input: CustomDeleteOrganizationInput,
    ) -> Result<CustomDeleteOrganizationResponse> {
        let (viewer, reach) = reach(ctx, ORGANIZATION.change).await?;
        let missing = || Fault::NotFound("organizationId not exist!".into());
        let id = row_id(input.organization_id.ok_or_else(missing)?, "organizationId")?;
        let mut writing = Writing::begin(&app(ctx).db, &viewer).await?;
        match writing.delete_one(&ORGANIZATION, &reach, id).await {
            Ok(()) => writing.finish().await?,
            // Apps know these words of an organization of somebody else; one that does not exist must look the same.
            Err(Fault::NotFound(_)) => return Err(Fault::Denied("You not owned this organization!".into())),
            Err(fault) => return Err(fault),
        }
        Ok(CustomDeleteOrganizationResponse { deleted_count: Some(1.into()) })
    }
}
