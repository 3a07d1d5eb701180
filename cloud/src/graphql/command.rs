//! Orders to stations. Each answers with the command and how it went; it never claims more than the station said.

use std::time::Duration;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use serde_json::json;
use shared::id::{CommandId, EvseNo, GatewayId, StationId};
use shared::model::command::{CommandBody, CommandResult, TriggeredMessage};
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::{Fault, Result};
use super::scalar::{JsonValue, Time};
use super::{app, parse_id, reach};
use crate::App;
use crate::auth::Deed;
use crate::command::{self, NewCommand};
use crate::db::audit::{self, Entry};
use crate::db::station::{self, CommandRow, Target};

/// For how long an order is worth doing: who pressed a button is still there.
const LIFE: Duration = Duration::from_secs(20);
/// A little longer, so that the expiry is seen.
pub(super) const PATIENCE: Duration = Duration::from_secs(25);

/// A command and how it went.
#[derive(SimpleObject)]
pub(super) struct CommandView {
    id: ID,
    kind: String,
    station: String,
    /// pending, sent or finished.
    state: String,
    /// Accepted, Rejected, Scheduled, NotSupported, Failed, TimedOut, StationOffline, Expired or Unknown; for bookings also
    /// BySite, Occupied, Faulted and Unavailable; null before the end.
    outcome: Option<String>,
    /// For a person: the station's own word, or what went wrong.
    detail: Option<String>,
    /// What was read, for commands that read.
    result: Option<JsonValue>,
    issued_at: Time,
    finished_at: Option<Time>,
}

impl From<CommandRow> for CommandView {
    fn from(row: CommandRow) -> Self {
        Self {
            id: row.id.to_string().into(),
            kind: row.kind,
            station: row.station,
            state: row.state,
            outcome: row.outcome,
            detail: row.detail,
            result: row.result.map(|json| JsonValue(json.0)),
            issued_at: Time(row.issued_at),
            finished_at: row.finished_at.map(Time),
        }
    }
}

/// A message to ask a station for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "TriggeredMessage", remote = "TriggeredMessage", rename_items = "PascalCase")]
pub(super) enum MessageName {
    /// Who it is.
    BootNotification,
    /// How its upload of diagnostics goes.
    DiagnosticsStatus,
    /// How its update goes.
    FirmwareStatus,
    /// That it is there.
    Heartbeat,
    /// Its meters.
    MeterValues,
    /// What its connectors do.
    StatusNotification,
}

#[derive(Default)]
pub(super) struct CommandQuery;

#[Object]
impl CommandQuery {
    /// A command of one's own or to one's own station; null otherwise.
    async fn command(&self, ctx: &Context<'_>, id: ID) -> Result<Option<CommandView>> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
        Ok(station::command(&app(ctx).db, id, &reach).await?.map(CommandView::from))
    }
}

#[derive(Default)]
pub(super) struct CommandMutation;

#[Object]
impl CommandMutation {
    /// Restarts a station; hard: at once, without ending sessions in order.
    async fn reset_station(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        #[graphql(default)] hard: bool,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::Reset { hard }).await
    }

    /// Lets go of the plug at a connector (`Connector.id`).
    async fn unlock_connector(&self, ctx: &Context<'_>, connector_id: ID) -> Result<CommandView> {
        let (at, evse) = connector(ctx, &connector_id).await?;
        order(ctx, at, CommandBody::Unlock { evse }).await
    }

    /// Takes a station, or one connector of it (`Connector.id`), into or out of service.
    async fn change_availability(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        connector_id: Option<ID>,
        operative: bool,
    ) -> Result<CommandView> {
        let (at, evse) = charge_point_or_connector(ctx, &charge_point_id, connector_id.as_ref()).await?;
        order(ctx, at, CommandBody::SetAvailability { evse, operative }).await
    }

    /// Reads settings of a station, all when no keys are given. `result` has them.
    async fn get_configuration(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        #[graphql(default)] keys: Vec<String>,
    ) -> Result<CommandView> {
        if keys.len() > 100 || keys.iter().any(|key| !(1..=50).contains(&key.chars().count())) {
            return Err(Fault::BadInput("At most 100 keys, each of 1 to 50 characters.".into()));
        }
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::GetConfiguration { keys }).await
    }

    /// Changes a setting of a station.
    async fn change_configuration(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        key: String,
        value: String,
    ) -> Result<CommandView> {
        if !(1..=50).contains(&key.chars().count()) || value.chars().count() > 500 {
            return Err(Fault::BadInput("A key has 1 to 50 characters, a value at most 500.".into()));
        }
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::ChangeConfiguration { key, value }).await
    }

    /// Makes a station forget the tokens it remembers.
    async fn clear_cache(&self, ctx: &Context<'_>, charge_point_id: ID) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::ClearCache).await
    }

    /// Asks a station for a message now, for one connector of it (`Connector.id`) or all.
    async fn trigger_message(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        message: MessageName,
        connector_id: Option<ID>,
    ) -> Result<CommandView> {
        let (at, evse) = charge_point_or_connector(ctx, &charge_point_id, connector_id.as_ref()).await?;
        order(ctx, at, CommandBody::Trigger { message: message.into(), evse }).await
    }

    /// Passes a vendor's message on to a station.
    async fn data_transfer(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        vendor_id: String,
        message_id: Option<String>,
        data: Option<String>,
    ) -> Result<CommandView> {
        let long =
            |text: &Option<String>, most: usize| text.as_ref().is_some_and(|it| it.chars().count() > most);
        if !(1..=255).contains(&vendor_id.chars().count()) || long(&message_id, 50) || long(&data, 16_384) {
            return Err(Fault::BadInput(
                "vendorId has 1 to 255 characters, messageId at most 50, data at most 16384.".into(),
            ));
        }
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::DataTransfer { vendor: vendor_id, message: message_id, data }).await
    }
}

/// Where an order goes.
pub(super) struct Addressee {
    pub(super) gateway: GatewayId,
    pub(super) station: StationId,
}

/// Why an order cannot even be given.
pub(super) const NO_GATEWAY: &str = "The site has no gateway yet.";

impl Addressee {
    /// A target that has all it takes.
    pub(super) fn of(target: &Target) -> Option<Self> {
        let station = StationId::new(target.station.as_deref()?).ok()?;
        Some(Self { gateway: GatewayId(target.gateway_id?), station })
    }
}

/// Gives an order and waits for its end; `None` when it has not ended by then.
pub(super) async fn give(
    app: &App,
    to: Addressee,
    body: CommandBody,
    by: i64,
) -> Result<(CommandId, Option<CommandResult>)> {
    let new = NewCommand { gateway: to.gateway, station: to.station, body, issued_by: Some(by), ttl: LIFE };
    let mut tx = app.db.begin().await?;
    let entry = entry(&mut tx, &new).await?;
    let id = command::issue_in(&mut tx, new).await?;
    audit::write(&mut tx, &Entry { row_id: Some(id.to_string()), actor: Some(by), ..entry }).await?;
    tx.commit().await?;
    let result = command::wait(&app.db, &app.live, id, Instant::now() + PATIENCE).await?;
    Ok((id, result))
}

/// What the log says of an order: all of it but passwords and the tokens that people charge with.
pub(super) async fn entry(tx: &mut PgConnection, new: &NewCommand) -> Result<Entry<'static>> {
    let site = sqlx::query_scalar("select site_id from gateways where id = $1");
    let site: Option<i64> = site.bind(new.gateway.0).fetch_optional(tx).await?;
    let mut asked = serde_json::to_value(&new.body).map_err(anyhow::Error::from)?;
    if let Some(asked) = asked.get_mut(new.body.kind()) {
        let secret = asked["key"].as_str().is_some_and(|key| key.eq_ignore_ascii_case("AuthorizationKey"));
        for name in ["token", if secret { "value" } else { "token" }] {
            if let Some(value) = asked.get_mut(name) {
                *value = "…".into();
            }
        }
    }
    Ok(Entry {
        action: new.body.kind(),
        entity: "Command",
        site_id: site,
        after: Some(json!({"station": new.station, "order": asked})),
        ..Entry::default()
    })
}

pub(super) async fn order(ctx: &Context<'_>, target: Target, body: CommandBody) -> Result<CommandView> {
    let (viewer, _) = reach(ctx, Deed::Operate).await?;
    let to = Addressee::of(&target).ok_or_else(|| Fault::BadInput(NO_GATEWAY.into()))?;
    let (id, _) = give(app(ctx), to, body, viewer.id).await?;
    let row = station::command(&app(ctx).db, id.0, &viewer.reach(Deed::Operate)).await?;
    row.map(CommandView::from).ok_or_else(|| Fault::no_such("Command", id))
}

pub(super) async fn charge_point(ctx: &Context<'_>, id: &ID) -> Result<Target> {
    let (_, reach) = reach(ctx, Deed::Operate).await?;
    let row = parse_id(id, "chargePointId")?;
    station::charge_point(&app(ctx).db, row, &reach).await?.ok_or_else(|| Fault::no_such("ChargePoint", row))
}

async fn connector(ctx: &Context<'_>, id: &ID) -> Result<(Target, EvseNo)> {
    let (_, reach) = reach(ctx, Deed::Operate).await?;
    let row = parse_id(id, "connectorId")?;
    let found = station::connector(&app(ctx).db, row, &reach, false).await?;
    let target = found.ok_or_else(|| Fault::no_such("Connector", row))?;
    let evse = evse(&target)
        .ok_or_else(|| Fault::BadInput("The connector has no number on its charge point.".into()))?;
    Ok((target, evse))
}

pub(super) async fn charge_point_or_connector(
    ctx: &Context<'_>,
    charge_point_id: &ID,
    connector_id: Option<&ID>,
) -> Result<(Target, Option<EvseNo>)> {
    let whole = charge_point(ctx, charge_point_id).await?;
    let Some(id) = connector_id else { return Ok((whole, None)) };
    let (target, evse) = connector(ctx, id).await?;
    if target.station != whole.station {
        return Err(Fault::no_such("Connector", id.as_str()));
    }
    Ok((target, Some(evse)))
}

/// The connector's number, where it has one.
pub(super) fn evse(target: &Target) -> Option<EvseNo> {
    u16::try_from(target.evse?).ok().filter(|number| *number > 0).map(EvseNo)
}
