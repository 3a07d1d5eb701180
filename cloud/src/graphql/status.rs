//! One connector's status, live. Public: it says nothing of who charges.

use async_graphql::{Context, InputObject, SimpleObject, Subscription};

use futures_util::StreamExt as _;

use super::error::{Fault, Result};
use super::live::{self, Live};
use super::{app, row_id};
use crate::db::station;
use crate::live::SitesChanged;

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
        let changes = app.live.sites();
        if station::connector_status(&app.db, id).await?.is_none() {
            return Err(Fault::no_such("Connector", id));
        }
        let now = move || {
            let db = app.db.clone();
            async move { Ok(station::connector_status(&db, id).await?) }
        };
        let of = move |change: &SitesChanged| change.connector(id).map(|it| it.status.clone());
        let shown = |status| SubscribeConnectorStatusResponse { status };
        Ok(live::latest(changes, now, of).map(move |status| status.map(shown)).boxed())
    }
}
