//! Starting and stopping a charge from an app. The answer is what the station said, or why it could not be asked.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use shared::id::{GatewayId, SessionId, StationId};
use shared::model::command::{CommandBody, CommandResult, Outcome};
use shared::model::token::IdToken;

use super::command::{Addressee, Terms, evse, give};
use super::error::{Fault, Result};
use super::{app, reach, row_id};
use crate::App;
use crate::auth::{Deed, random_text};
use crate::db::card::{self, NewCard};
use crate::db::reservation::{self, Reservation};
use crate::db::station;

#[derive(InputObject)]
#[graphql(name = "TransactionByUserInputDTO")]
pub(super) struct TransactionByUserInput {
    /// `Connector.id`.
    id: Option<f64>,
}

#[derive(SimpleObject)]
pub(super) struct TransactionByUserResponse {
    /// Accepted, Rejected, NotSupported, Failed, TimedOut, Offline, Expired, Unknown, or Pending when even the end is open.
    status: Option<String>,
    /// Why it was not accepted, where more is known.
    reason: Option<String>,
}

#[derive(Default)]
pub(super) struct TransactionMutation;

#[Object]
impl TransactionMutation {
    /// Starts a charge for the asking one, at any public connector or one of his own.
    async fn start_transaction_by_user(
        &self,
        ctx: &Context<'_>,
        input: TransactionByUserInput,
    ) -> Result<TransactionByUserResponse> {
        let (viewer, reach) = reach(ctx, Deed::Charge).await?;
        let (app, id) = (app(ctx), input.connector()?);
        let found = station::connector(&app.db, id, &reach, true).await?;
        let target = found.ok_or_else(|| Fault::no_such("Connector", id))?;
        if let Some(other) = reservation::live_at(&app.db, id).await?.filter(|it| it.user_id != viewer.id) {
            return Ok(TransactionByUserResponse::reserved(&other));
        }
        let Some(to) = Addressee::of(&target) else { return Ok(said(Outcome::StationOffline)) };
        let token = IdToken::new(token_of(app, viewer.id).await?);
        let body = CommandBody::RemoteStart { evse: evse(&target), token };
        let (_, result) = give(app, to, body, viewer.id, Terms::default()).await?;
        Ok(TransactionByUserResponse::of(result))
    }

    /// Stops the charge at a connector: one's own, or one at one's own site.
    async fn stop_transaction_by_user(
        &self,
        ctx: &Context<'_>,
        input: TransactionByUserInput,
    ) -> Result<TransactionByUserResponse> {
        let (viewer, reach) = reach(ctx, Deed::Charge).await?;
        let (app, id) = (app(ctx), input.connector()?);
        let found = station::running_at(&app.db, id, &reach).await?;
        let (session, gateway, name) = found.ok_or_else(|| {
            Fault::NotFound(format!("There is no running session of yours at ConnectorEntity with id: {id}"))
        })?;
        let station = StationId::new(name).map_err(|error| Fault::Internal(error.into()))?;
        let to = Addressee { gateway: GatewayId(gateway), station };
        let body = CommandBody::RemoteStop { session: SessionId(session) };
        let (_, result) = give(app, to, body, viewer.id, Terms::default()).await?;
        Ok(TransactionByUserResponse::of(result))
    }
}

impl TransactionByUserInput {
    fn connector(&self) -> Result<i64> {
        row_id(self.id.ok_or_else(|| Fault::BadInput("id is needed: the connector's.".into()))?, "id")
    }
}

impl TransactionByUserResponse {
    fn of(result: Option<CommandResult>) -> Self {
        match result {
            Some(result) if result.outcome == Outcome::Accepted => said(result.outcome),
            Some(result) => {
                let reason = Some(result.detail).filter(|detail| !detail.is_empty());
                Self { reason, ..said(result.outcome) }
            }
            None => Self { status: Some("Pending".into()), reason: None },
        }
    }

    fn reserved(other: &Reservation) -> Self {
        let until = other.expires_at.format("%H:%M:%S UTC");
        let reason =
            format!("The connector is reserved for somebody else until {until}. Choose another one.");
        Self { reason: Some(reason), ..said(Outcome::Rejected) }
    }
}

fn said(outcome: Outcome) -> TransactionByUserResponse {
    let word = if outcome == Outcome::StationOffline { "Offline" } else { outcome.name() };
    TransactionByUserResponse { status: Some(word.into()), reason: None }
}

/// What the asking one charges with from his app: made at his first charge. The order to start grants it, whatever the site
/// knows by then.
pub(super) async fn token_of(app: &App, user: i64) -> Result<String> {
    if let Some(token) = card::app_token(&app.db, user).await? {
        return Ok(token);
    }
    // 16 letters and digits in all: some firmware garbles longer ones (OCPP 1.6 has room for 20).
    let token = format!("APP{}", random_text(8));
    let new = NewCard { token: &token, kind: "app", user_id: Some(user), ..NewCard::default() };
    card::insert(&mut *app.db.acquire().await?, &new).await?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_what_was_said() {
        let answer = |outcome| said(outcome).status.unwrap();
        assert_eq!(answer(Outcome::Accepted), "Accepted");
        assert_eq!(answer(Outcome::Rejected), "Rejected");
        assert_eq!(answer(Outcome::StationOffline), "Offline");
        assert_eq!(TransactionByUserResponse::of(None).status.unwrap(), "Pending");
    }

    #[test]
    fn an_app_token_fits_into_an_id_tag() {
        assert_eq!(format!("APP{}", random_text(8)).len(), 16);
    }
}
