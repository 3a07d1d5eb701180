//! One connector's status, live. Public: it says nothing of who charges.

use async_graphql::{Context, InputObject, SimpleObject, Subscription};

use super::error::{Fault, Result};
use super::live::{self, Live};
use super::{app, row_id};
use crate::db::station;

#[derive(InputObject)]
pub(super) struct SubscribeConnectorStatusInputDto {
    /// `Connector.id`.
    connector_id: Option<f64>,
}

#[derive(SimpleObject)]
pub(super) struct SubscribeConnectorStatusResponse {
    status: Option<String>,
}

#[derive(Default)]
pub(super) struct StatusSubscription;

#[Subscription]
impl StatusSubscription {
    /// The status as it is, then each new one.
    async fn subsribe_connector_status(
        &self,
        ctx: &Context<'_>,
        input: SubscribeConnectorStatusInputDto,
    ) -> Result<Live<SubscribeConnectorStatusResponse>> {
        let id = input.connector_id.ok_or_else(|| Fault::BadInput("connectorId is needed.".into()))?;
        let id = row_id(id, "connectorId")?;
        let app = app(ctx).clone();
        let changes = app.live.connectors();
        if station::connector_change(&app.db, id).await?.is_none() {
            return Err(Fault::no_such("Connector", id));
        }
        let now = move || {
            let db = app.db.clone();
            async move { Ok(Vec::from_iter(station::connector_change(&db, id).await?)) }
        };
        let mut last = None;
        Ok(live::events(changes, now, move |change| {
            let is_new = change.id == id && last.as_ref() != Some(&change.status_name);
            is_new.then(|| {
                last = Some(change.status_name.clone());
                SubscribeConnectorStatusResponse { status: change.status_name.clone() }
            })
        }))
    }
}
