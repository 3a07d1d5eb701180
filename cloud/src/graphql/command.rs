//! Orders to stations. Each answers with the command and how it went; it never claims more than the station said.

use std::time::Duration;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use serde_json::json;
use shared::id::{CommandId, EvseNo, GatewayId, StationId};
use shared::model::command::{CommandBody, CommandResult, TriggeredMessage};
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::{Fault, Result};
use super::filter::Paging;
use super::scalar::{JsonValue, Time};
use super::{app, parse_id, reach};
use crate::App;
use crate::auth::Deed;
use crate::command::{self, NewCommand};
use crate::db::audit::{self, Entry};
use crate::db::station::{self, CommandFilter, CommandRow, Target};

/// For how long an order is worth doing: who pressed a button is still there.
const LIFE: Duration = Duration::from_secs(20);
/// The longest: a month.
const LONGEST_LIFE: i32 = 30 * 86_400;
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
    /// Who gave it: `User.id`; null when an installer at the gateway or the server itself did.
    issued_by: Option<ID>,
    /// When it is void.
    expires_at: Time,
    /// cloud, or installer when it was given at the gateway itself.
    origin: String,
    /// The outcome came after the order had been closed as Expired.
    late: bool,
    finished_at: Option<Time>,
}

/// On what terms an order is given.
#[derive(InputObject, Clone, Copy)]
pub(super) struct OrderTerms {
    /// Seconds for which it is worth doing; after them it is never carried out. At most 30 days. 20 when left out; an hour
    /// for orders that go in steps: `rotatePassword`, `renewCertificate`, `raiseSecurityProfile`.
    expires_in: Option<i32>,
    /// When the station is not connected: keep the order until it is, instead of ending with StationOffline.
    #[graphql(default)]
    wait_for_station: bool,
    /// Seconds to wait for the outcome before answering, at most 25; then the state is pending or sent, and
    /// `command` tells of the end.
    #[graphql(default = 25)]
    answer_within: i32,
}

/// The same, read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) life: Duration,
    pub(super) waits: bool,
    patience: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Terms { life: LIFE, waits: false, patience: PATIENCE }
    }
}

impl Terms {
    pub(super) fn read(given: Option<OrderTerms>) -> Result<Self> {
        Self::or(given, LIFE)
    }

    /// The same, with so long a life unless something else is said.
    pub(super) fn or(given: Option<OrderTerms>, life: Duration) -> Result<Self> {
        let Some(given) = given else { return Ok(Terms { life, ..Terms::default() }) };
        let seconds = |value: i32, range: std::ops::RangeInclusive<i32>, name: &str| {
            let seconds = u64::try_from(value).ok().filter(|_| range.contains(&value));
            let bad =
                || Fault::BadInput(format!("{name} must be {} to {} seconds.", range.start(), range.end()));
            seconds.map(Duration::from_secs).ok_or_else(bad)
        };
        Ok(Terms {
            life: match given.expires_in {
                Some(given) => seconds(given, 1..=LONGEST_LIFE, "expiresIn")?,
                None => life,
            },
            waits: given.wait_for_station,
            patience: seconds(given.answer_within, 0..=25, "answerWithin")?,
        })
    }
}

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(rename_items = "lowercase")]
pub(super) enum CommandState {
    /// Not yet sent to the gateway.
    Pending,
    /// Sent.
    Sent,
    /// Over.
    Finished,
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
            issued_by: row.issued_by.map(ID::from),
            expires_at: Time(row.expires_at),
            origin: row.origin,
            late: row.late,
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
    /// How its upload of a log goes, where it knows the security extension.
    LogStatus,
    /// How its signed update goes, where it knows the security extension.
    SignedFirmwareStatus,
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

    /// Commands to stations that one operates, the newest first: to all of them, a site's or one.
    async fn commands(
        &self,
        ctx: &Context<'_>,
        site_id: Option<ID>,
        charge_point_id: Option<ID>,
        state: Option<CommandState>,
        paging: Option<Paging>,
    ) -> Result<Vec<CommandView>> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        let id = |id: Option<ID>, name| id.map(|id| parse_id(&id, name)).transpose();
        let filter = CommandFilter {
            site: id(site_id, "siteId")?,
            charge_point: id(charge_point_id, "chargePointId")?,
            state: state.map(|state| match state {
                CommandState::Pending => "pending",
                CommandState::Sent => "sent",
                CommandState::Finished => "finished",
            }),
        };
        let page = Paging::rows(paging.as_ref())?;
        let rows = station::commands(&app(ctx).db, &filter, page, &reach).await?;
        Ok(rows.into_iter().map(CommandView::from).collect())
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
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::Reset { hard }, terms).await
    }

    /// Lets go of the plug at a connector (`Connector.id`).
    async fn unlock_connector(
        &self,
        ctx: &Context<'_>,
        connector_id: ID,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let (at, evse) = connector(ctx, &connector_id).await?;
        order(ctx, at, CommandBody::Unlock { evse }, terms).await
    }

    /// Takes a station, or one connector of it (`Connector.id`), into or out of service.
    async fn change_availability(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        connector_id: Option<ID>,
        operative: bool,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let (at, evse) = charge_point_or_connector(ctx, &charge_point_id, connector_id.as_ref()).await?;
        order(ctx, at, CommandBody::SetAvailability { evse, operative }, terms).await
    }

    /// Reads settings of a station, all when no keys are given. `result` has them.
    async fn get_configuration(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        #[graphql(default)] keys: Vec<String>,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let body = get_configuration_body(keys)?;
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, body, terms).await
    }

    /// Changes a setting of a station; not its password (`rotatePassword`) nor its profile (`raiseSecurityProfile`).
    async fn change_configuration(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        key: String,
        value: String,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let body = change_configuration_body(key, value)?;
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, body, terms).await
    }

    /// Makes a station forget the tokens it remembers.
    async fn clear_cache(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::ClearCache, terms).await
    }

    /// Asks a station for a message now, for one connector of it (`Connector.id`) or all.
    async fn trigger_message(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        message: MessageName,
        connector_id: Option<ID>,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let (at, evse) = charge_point_or_connector(ctx, &charge_point_id, connector_id.as_ref()).await?;
        order(ctx, at, CommandBody::Trigger { message: message.into(), evse }, terms).await
    }

    /// Passes a vendor's message on to a station.
    async fn data_transfer(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        vendor_id: String,
        message_id: Option<String>,
        data: Option<String>,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let body = data_transfer_body(vendor_id, message_id, data)?;
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, body, terms).await
    }

    /// Asks a station for the version of the list of tokens that it keeps. `result` has it.
    async fn get_local_list_version(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::GetLocalListVersion, terms).await
    }

    /// Sends a station the whole list of tokens that it shall keep. The site keeps it in step by itself; this is for a
    /// station that lost it without saying so.
    async fn send_local_list(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::SendLocalList, terms).await
    }
}

pub(super) fn get_configuration_body(keys: Vec<String>) -> Result<CommandBody> {
    if keys.len() > 100 || keys.iter().any(|key| !(1..=50).contains(&key.chars().count())) {
        return Err(Fault::BadInput("At most 100 keys, each of 1 to 50 characters.".into()));
    }
    Ok(CommandBody::GetConfiguration { keys })
}

pub(super) fn change_configuration_body(key: String, value: String) -> Result<CommandBody> {
    if !(1..=50).contains(&key.chars().count()) || value.chars().count() > 500 {
        return Err(Fault::BadInput("A key has 1 to 50 characters, a value at most 500.".into()));
    }
    super::security::writable(&key)?;
    Ok(CommandBody::ChangeConfiguration { key, value })
}

pub(super) fn data_transfer_body(
    vendor: String,
    message: Option<String>,
    data: Option<String>,
) -> Result<CommandBody> {
    let long = |text: &Option<String>, most: usize| text.as_ref().is_some_and(|it| it.chars().count() > most);
    if !(1..=255).contains(&vendor.chars().count()) || long(&message, 50) || long(&data, 16_384) {
        let limits = "vendorId has 1 to 255 characters, messageId at most 50, data at most 16384.";
        return Err(Fault::BadInput(limits.into()));
    }
    Ok(CommandBody::DataTransfer { vendor, message, data })
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
    terms: Terms,
) -> Result<(CommandId, Option<CommandResult>)> {
    let new = NewCommand {
        gateway: to.gateway,
        station: to.station,
        body,
        issued_by: Some(by),
        ttl: terms.life,
        waits: terms.waits,
    };
    let mut tx = app.db.begin().await?;
    let entry = entry(&mut tx, &new).await?;
    let id = command::issue_in(&mut tx, new).await?;
    audit::write(&mut tx, &Entry { row_id: Some(id.to_string()), actor: Some(by), ..entry }).await?;
    tx.commit().await?;
    let result = command::wait(&app.db, &app.live, id, Instant::now() + terms.patience).await?;
    Ok((id, result))
}

/// What the log says of an order.
pub(super) async fn entry(tx: &mut PgConnection, new: &NewCommand) -> Result<Entry<'static>> {
    let site = sqlx::query_scalar("select site_id from gateways where id = $1");
    let site: Option<i64> = site.bind(new.gateway.0).fetch_optional(tx).await?;
    Ok(Entry {
        action: new.body.kind(),
        entity: "Command",
        site_id: site,
        after: Some(json!({"station": new.station, "order": command::described(&new.body)})),
        ..Entry::default()
    })
}

pub(super) async fn order(
    ctx: &Context<'_>,
    target: Target,
    body: CommandBody,
    terms: Option<OrderTerms>,
) -> Result<CommandView> {
    order_on(ctx, target, body, Terms::read(terms)?).await
}

pub(super) async fn order_on(
    ctx: &Context<'_>,
    target: Target,
    body: CommandBody,
    terms: Terms,
) -> Result<CommandView> {
    let (viewer, _) = reach(ctx, Deed::Operate).await?;
    let to = Addressee::of(&target).ok_or_else(|| Fault::BadInput(NO_GATEWAY.into()))?;
    let (id, _) = give(app(ctx), to, body, viewer.id, terms).await?;
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
