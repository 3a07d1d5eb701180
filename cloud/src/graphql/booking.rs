//! Booking a connector from an app. The answer is what the site said, or why it could not be asked; see [`crate::booking`].

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use shared::id::CommandId;
use tokio::time::Instant;

use super::command::PATIENCE;
use super::error::{Fault, Result};
use super::filter::Paging;
use super::scalar::{Float, Time};
use super::transaction::token_of;
use super::{app, parse_id, reach, row_id, viewer};
use crate::App;
use crate::auth::Deed;
use crate::booking::{self, Begun, Wish};
use crate::command;
use crate::db::reservation::{self, Listed, Whose};

#[derive(InputObject)]
#[graphql(name = "BookingInputDto")]
pub(super) struct BookingInput {
    /// `Connector.id`.
    id: Option<f64>,
}

#[derive(SimpleObject, Default)]
pub(super) struct BookingResponse {
    /// Reserved, Available (after a cancellation) or Failed.
    status: Option<String>,
    /// Why it failed, or what else to know.
    reason: Option<String>,
    /// Until when the connector is kept.
    expires_at: Option<Time>,
    /// The booking.
    reservation_id: Option<ID>,
    /// Who keeps others away: station, gateway, or cloud when nobody at the site does.
    held_by: Option<String>,
}

/// A connector kept for a driver, now or once.
pub(super) struct Reservation(Listed);

#[Object]
impl Reservation {
    async fn id(&self) -> ID {
        self.0.it.id.into()
    }
    /// `Connector.id`.
    async fn connector_id(&self) -> ID {
        self.0.it.connector_id.into()
    }
    /// `Site.id`.
    async fn site_id(&self) -> ID {
        self.0.site_id.into()
    }
    async fn site_name(&self) -> Option<&str> {
        self.0.site_name.as_deref()
    }
    async fn site_address(&self) -> Option<&str> {
        self.0.site_address.as_deref()
    }
    async fn charge_point_hardware_id(&self) -> Option<&str> {
        self.0.station.as_deref()
    }
    /// The connector's number on its charge point.
    async fn connector_number(&self) -> Option<Float> {
        self.0.number.map(|number| i64::from(number).into())
    }
    /// Whose it is.
    async fn user_id(&self) -> ID {
        self.0.it.user_id.into()
    }
    /// pending, reserved, used, cancelled, expired, dropped (the connector failed meanwhile) or failed.
    async fn status(&self) -> &str {
        &self.0.it.status
    }
    /// Made only while somebody makes up his mind.
    async fn soft(&self) -> bool {
        self.0.it.soft
    }
    /// Who keeps others away: station, gateway, or cloud when nobody at the site does.
    async fn held_by(&self) -> Option<&str> {
        self.0.it.held_by.as_deref()
    }
    /// Why it failed.
    async fn reason(&self) -> Option<&str> {
        self.0.it.reason.as_deref()
    }
    /// The session that it became: `ChargingHistory.sessionId`.
    async fn session_id(&self) -> Option<ID> {
        self.0.it.session_id.map(|id| id.to_string().into())
    }
    async fn created_at(&self) -> Time {
        Time(self.0.it.created_at)
    }
    async fn expires_at(&self) -> Time {
        Time(self.0.it.expires_at)
    }
    async fn ended_at(&self) -> Option<Time> {
        self.0.it.ended_at.map(Time)
    }
}

#[derive(Default)]
pub(super) struct BookingQuery;

#[Object]
impl BookingQuery {
    /// One's own bookings, the newest first.
    async fn my_reservations(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Only those that have not ended.")] live: bool,
        paging: Option<Paging>,
    ) -> Result<Vec<Reservation>> {
        let viewer = viewer(ctx).await?;
        let page = Paging::rows(paging.as_ref())?;
        let rows = reservation::page(&app(ctx).db, &viewer, Whose::Own, live, page).await?;
        Ok(rows.into_iter().map(Reservation).collect())
    }

    /// The bookings at a site that one operates, the newest first.
    async fn reservations(
        &self,
        ctx: &Context<'_>,
        site_id: ID,
        #[graphql(default = true, desc = "Only those that have not ended.")] live: bool,
        paging: Option<Paging>,
    ) -> Result<Vec<Reservation>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let whose = Whose::At(parse_id(&site_id, "siteId")?, &reach);
        let page = Paging::rows(paging.as_ref())?;
        let rows = reservation::page(&app(ctx).db, &viewer, whose, live, page).await?;
        Ok(rows.into_iter().map(Reservation).collect())
    }
}

#[derive(Default)]
pub(super) struct BookingMutation;

#[Object]
impl BookingMutation {
    /// Has a public connector, or one of one's own, kept for the asking one while he comes.
    async fn book_connector(&self, ctx: &Context<'_>, input: BookingInput) -> Result<BookingResponse> {
        book(ctx, &input, false).await
    }

    /// The same for a shorter while, as long as he makes up his mind. `bookConnector` makes it a firm one.
    async fn soft_book_connector(&self, ctx: &Context<'_>, input: BookingInput) -> Result<BookingResponse> {
        book(ctx, &input, true).await
    }

    /// Ends one's own booking, or any at a site that one operates.
    async fn cancel_book_connector(&self, ctx: &Context<'_>, input: BookingInput) -> Result<BookingResponse> {
        let (viewer, _) = reach(ctx, Deed::Charge).await?;
        let (app, connector) = (app(ctx), input.connector()?);
        let operates = viewer.reach(Deed::Operate);
        let cancelled = booking::cancel(&app.db, connector, viewer.id, &operates).await?;
        let Some((id, told)) = cancelled else {
            return Ok(BookingResponse::failed("There is no booking of yours at this connector."));
        };
        let confirmed = match told {
            Some(command) => end_of(app, command).await?,
            None => true,
        };
        let reason =
            (!confirmed).then(|| "The station did not confirm it; it lets go by itself in time.".into());
        let status = Some("Available".into());
        Ok(BookingResponse { status, reason, reservation_id: Some(id.into()), ..BookingResponse::default() })
    }
}

async fn book(ctx: &Context<'_>, input: &BookingInput, soft: bool) -> Result<BookingResponse> {
    let (viewer, reach) = reach(ctx, Deed::Charge).await?;
    let (app, connector) = (app(ctx), input.connector()?);
    let token = token_of(app, viewer.id).await?;
    let wish = Wish { connector, user: viewer.id, token, soft };
    let id = match booking::begin(&app.db, &wish, &reach, &app.config.booking).await? {
        Begun::Refused(refusal) => return Ok(BookingResponse::failed(refusal.to_string())),
        Begun::Done(id) => id,
        Begun::Asked(id, command) => {
            end_of(app, command).await?;
            id
        }
    };
    let row = reservation::find(&app.db, id).await?;
    Ok(row.map_or_else(|| BookingResponse::failed("There is no such connector."), BookingResponse::of))
}

/// Waits for a command's end: did the site agree?
async fn end_of(app: &App, command: CommandId) -> Result<bool> {
    let result = command::wait(&app.db, &app.live, command, Instant::now() + PATIENCE).await?;
    Ok(result.is_some_and(|result| result.outcome == shared::model::Outcome::Accepted))
}

impl BookingInput {
    fn connector(&self) -> Result<i64> {
        row_id(self.id.ok_or_else(|| Fault::BadInput("id is needed: the connector's.".into()))?, "id")
    }
}

impl BookingResponse {
    fn failed(reason: impl Into<String>) -> Self {
        Self { status: Some("Failed".into()), reason: Some(reason.into()), ..Self::default() }
    }

    fn of(row: reservation::Reservation) -> Self {
        let kept = row.is_live() && row.status == "reserved";
        if !kept {
            let open = "The site has not answered yet. Look at your bookings, or try again.";
            let reason = row.reason.unwrap_or_else(|| open.into());
            return Self { reservation_id: Some(row.id.into()), ..Self::failed(reason) };
        }
        let alone = row.held_by.as_deref() == Some("cloud");
        let nobody =
            || "The site has no gateway: apps show it as reserved, the station turns nobody away.".into();
        Self {
            status: Some("Reserved".into()),
            reason: row.reason.or_else(|| alone.then(nobody)),
            expires_at: Some(Time(row.expires_at)),
            reservation_id: Some(row.id.into()),
            held_by: row.held_by,
        }
    }
}
