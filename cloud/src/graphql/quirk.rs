//! How to get along with a station: settings of one station, and what its gateway suggests.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use serde_json::json;
use shared::model::IdToken;
use shared::model::quirks::{
    self as model, EnergyScale as Scale, ScheduleStart as Start, SteadyKind as Steady, Suggestion,
};
use sqlx::PgConnection;

use super::charging::Unit;
use super::error::{Fault, Result};
use super::scalar::Time;
use super::{MAX_ROWS, app, parse_id, reach};
use crate::auth::Deed;
use crate::db::audit::{self, Entry};
use crate::db::{quirk as rows, viewer};
use crate::documents;

/// What a register counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Scale", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum EnergyScale {
    /// What its unit says.
    AsTold,
    /// Kilowatt-hours that are labelled as watt-hours.
    KilowattHours,
    /// Watt-hours that are labelled as kilowatt-hours.
    WattHours,
}

/// What a station is told of a schedule's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Start", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum ScheduleStart {
    /// What the profile says.
    AsGiven,
    /// The moment of asking.
    Now,
    /// None.
    Omit,
}

/// The only kind of schedule that a station follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Steady", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum SteadyKind {
    /// From a point in time.
    Absolute,
    /// From the beginning of the session.
    Relative,
}

/// What is peculiar about a station. What is left out is by the book.
#[derive(Debug, SimpleObject, InputObject)]
#[graphql(input_name = "StationQuirksInput")]
pub(super) struct StationQuirks {
    /// It offers no subprotocol and means OCPP 1.6.
    #[graphql(default)]
    assume_subprotocol: bool,
    /// Its upgrade request lacks headers or spells them oddly.
    #[graphql(default)]
    tolerate_upgrade: bool,
    /// It is not pinged.
    #[graphql(default)]
    no_ping: bool,
    /// It is answered no sooner than so many milliseconds after its call.
    #[graphql(default)]
    answer_delay_ms: i32,
    /// How long it may take to answer, instead of the gateway's own patience.
    answer_seconds: Option<i32>,
    /// Its clock shows so many minutes more than UTC, whatever zone it claims or leaves out.
    clock_offset_minutes: Option<i32>,
    /// What its registers count.
    #[graphql(default_with = "EnergyScale::AsTold")]
    energy_scale: EnergyScale,
    /// A tag that it sends for whoever plugs in, and whose tag that is.
    local_tag: Option<LocalTag>,
    /// It is never asked to boot.
    #[graphql(default)]
    never_trigger_boot: bool,
    /// So many settings are asked for at once.
    configuration_keys: Option<i32>,
    /// How it wants charging profiles.
    charging: Option<ChargingQuirks>,
}

/// A tag that stands for another one.
#[derive(Debug, SimpleObject, InputObject)]
#[graphql(input_name = "LocalTagInput")]
pub(super) struct LocalTag {
    /// What the station sends.
    shown: String,
    /// Whose charge it is.
    token: String,
}

/// How a station wants charging profiles.
#[derive(Debug, SimpleObject, InputObject)]
#[graphql(input_name = "ChargingQuirksInput")]
pub(super) struct ChargingQuirks {
    /// The highest level that it takes.
    max_stack_level: Option<i32>,
    /// What it is told of a schedule's start.
    #[graphql(default_with = "ScheduleStart::AsGiven")]
    start: ScheduleStart,
    /// The only kind of schedule that it follows.
    kind: Option<SteadyKind>,
    /// The only unit that it takes.
    unit: Option<Unit>,
    /// How many phases amperes are counted on when limits are converted; three when left out.
    phases: Option<i32>,
    /// Limits are rounded down to steps of so many tenths of an ampere.
    step_tenths: Option<i32>,
}

/// A peculiarity that a gateway believes to have seen at a station.
#[derive(SimpleObject)]
pub(super) struct QuirkSuggestion {
    id: ID,
    charge_point_id: ID,
    /// The station's identity.
    station: String,
    /// The setting that it is about.
    setting: String,
    /// What was seen.
    evidence: String,
    suggested_at: Time,
    /// For `localTag`: the tag that the station sends for everybody. Whose it is has to be said when it is accepted.
    shown_tag: Option<String>,
    /// The station's settings once it is accepted.
    settings: StationQuirks,
}

impl From<model::StationQuirks> for StationQuirks {
    fn from(it: model::StationQuirks) -> Self {
        let charging = it.charging;
        let local_tag =
            it.local_tag.map(|tag| LocalTag { shown: tag.shown, token: tag.token.as_str().to_owned() });
        Self {
            assume_subprotocol: it.assume_subprotocol,
            tolerate_upgrade: it.tolerate_upgrade,
            no_ping: it.no_ping,
            answer_delay_ms: it.answer_delay_ms.into(),
            answer_seconds: it.answer_seconds.map(i32::from),
            clock_offset_minutes: it.clock_offset_minutes.map(i32::from),
            energy_scale: it.energy_scale.into(),
            local_tag,
            never_trigger_boot: it.never_trigger_boot,
            configuration_keys: it.configuration_keys.map(i32::from),
            charging: (charging != model::ChargingQuirks::default()).then(|| charging.into()),
        }
    }
}

impl From<model::ChargingQuirks> for ChargingQuirks {
    fn from(it: model::ChargingQuirks) -> Self {
        Self {
            max_stack_level: it.max_stack_level.map(i32::from),
            start: it.start.into(),
            kind: it.kind.map(SteadyKind::from),
            unit: it.unit.map(Unit::from),
            phases: it.phases.map(i32::from),
            step_tenths: it.step_tenths.and_then(|step| i32::try_from(step).ok()),
        }
    }
}

impl StationQuirks {
    fn read(self) -> Result<model::StationQuirks> {
        let local_tag = match self.local_tag {
            Some(LocalTag { shown, token }) => Some(model::LocalTag { shown, token: typed(&token)? }),
            None => None,
        };
        let quirks = model::StationQuirks {
            assume_subprotocol: self.assume_subprotocol,
            tolerate_upgrade: self.tolerate_upgrade,
            no_ping: self.no_ping,
            answer_delay_ms: number(self.answer_delay_ms, "answerDelayMs")?,
            answer_seconds: optional(self.answer_seconds, "answerSeconds")?,
            clock_offset_minutes: optional(self.clock_offset_minutes, "clockOffsetMinutes")?,
            energy_scale: self.energy_scale.into(),
            local_tag,
            never_trigger_boot: self.never_trigger_boot,
            configuration_keys: optional(self.configuration_keys, "configurationKeys")?,
            charging: self.charging.map(ChargingQuirks::read).transpose()?.unwrap_or_default(),
        };
        checked(quirks)
    }
}

impl ChargingQuirks {
    fn read(self) -> Result<model::ChargingQuirks> {
        Ok(model::ChargingQuirks {
            max_stack_level: optional(self.max_stack_level, "maxStackLevel")?,
            start: self.start.into(),
            kind: self.kind.map(Steady::from),
            unit: self.unit.map(Into::into),
            phases: optional(self.phases, "phases")?,
            step_tenths: optional(self.step_tenths, "stepTenths")?,
        })
    }
}

impl From<rows::Suggested> for QuirkSuggestion {
    fn from(row: rows::Suggested) -> Self {
        let suggestion = row.suggestion.0;
        let quirks = row.quirks.map(|quirks| quirks.0).unwrap_or_default();
        let shown_tag =
            if let Suggestion::LocalTag { shown } = &suggestion { Some(shown.clone()) } else { None };
        Self {
            id: row.id.into(),
            charge_point_id: row.charge_point_id.into(),
            station: row.station,
            setting: suggestion.name().into(),
            evidence: row.evidence,
            suggested_at: Time(row.suggested_at),
            shown_tag,
            settings: suggestion.applied_to(quirks, None).into(),
        }
    }
}

#[derive(Default)]
pub(super) struct QuirkQuery;

#[Object]
impl QuirkQuery {
    /// What is peculiar about a station.
    async fn station_quirks(&self, ctx: &Context<'_>, charge_point_id: ID) -> Result<StationQuirks> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&charge_point_id, "chargePointId")?;
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let found = rows::of(&mut tx, &reach, id).await?;
        Ok(found.ok_or_else(|| Fault::no_such("ChargePoint", id))?.1.into())
    }

    /// The peculiarities that gateways believe to have seen at a site's stations and that nobody has decided on, the newest
    /// first.
    async fn quirk_suggestions(&self, ctx: &Context<'_>, site_id: ID) -> Result<Vec<QuirkSuggestion>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&site_id, "siteId")?;
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let open = rows::open(&mut tx, &reach, id, MAX_ROWS).await?;
        Ok(open.into_iter().map(QuirkSuggestion::from).collect())
    }
}

#[derive(Default)]
pub(super) struct QuirkMutation;

#[Object]
impl QuirkMutation {
    /// Says what is peculiar about a station; replaces what was said before. Its gateway obeys at once.
    async fn set_station_quirks(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        quirks: StationQuirks,
    ) -> Result<StationQuirks> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&charge_point_id, "chargePointId")?;
        let quirks = quirks.read()?;
        let mut tx = app(ctx).db.begin().await?;
        let found = rows::of(&mut tx, &reach, id).await?;
        let (site, before) = found.ok_or_else(|| Fault::no_such("ChargePoint", id))?;
        change(&mut tx, site, id, &quirks).await?;
        audit::write(&mut tx, &entry(viewer.id, "setStationQuirks", site, id, &before, &quirks)).await?;
        tx.commit().await?;
        Ok(quirks.into())
    }

    /// Sets what a gateway suggests. For `localTag`, `token` says whose charges those are.
    async fn accept_quirk_suggestion(
        &self,
        ctx: &Context<'_>,
        suggestion_id: ID,
        token: Option<String>,
    ) -> Result<StationQuirks> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&suggestion_id, "suggestionId")?;
        let token = token.as_deref().map(typed).transpose()?;
        let mut tx = app(ctx).db.begin().await?;
        let found = rows::lock(&mut tx, &reach, id).await?;
        let row = found.ok_or_else(|| Fault::no_such("QuirkSuggestion", id))?;
        let suggestion = row.suggestion.0;
        if matches!(suggestion, Suggestion::LocalTag { .. }) && token.is_none() {
            return Err(Fault::BadInput("Say with token whose charges at this station are.".into()));
        }
        let before = row.quirks.map(|quirks| quirks.0).unwrap_or_default();
        let quirks = checked(suggestion.applied_to(before.clone(), token))?;
        change(&mut tx, row.site_id, row.charge_point_id, &quirks).await?;
        rows::decide(&mut tx, id, "accepted", viewer.id).await?;
        let (site, charge_point) = (row.site_id, row.charge_point_id);
        let entry = entry(viewer.id, "acceptQuirkSuggestion", site, charge_point, &before, &quirks);
        audit::write(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(quirks.into())
    }

    /// Leaves a station as it is. The same is not suggested again.
    async fn dismiss_quirk_suggestion(&self, ctx: &Context<'_>, suggestion_id: ID) -> Result<bool> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&suggestion_id, "suggestionId")?;
        let mut tx = app(ctx).db.begin().await?;
        let found = rows::lock(&mut tx, &reach, id).await?;
        let row = found.ok_or_else(|| Fault::no_such("QuirkSuggestion", id))?;
        rows::decide(&mut tx, id, "dismissed", viewer.id).await?;
        let done = Entry {
            actor: Some(viewer.id),
            action: "dismissQuirkSuggestion",
            entity: "ChargePoint",
            row_id: Some(row.charge_point_id.to_string()),
            site_id: Some(row.site_id),
            after: Some(json!({ "dismissed": row.suggestion.0.name() })),
            ..Entry::default()
        };
        audit::write(&mut tx, &done).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn change(
    tx: &mut PgConnection,
    site: i64,
    charge_point: i64,
    quirks: &model::StationQuirks,
) -> Result<()> {
    rows::set(tx, charge_point, quirks).await?;
    documents::refresh(tx, site).await?;
    Ok(())
}

fn entry<'a>(
    actor: i64,
    action: &'a str,
    site: i64,
    charge_point: i64,
    before: &model::StationQuirks,
    after: &model::StationQuirks,
) -> Entry<'a> {
    Entry {
        actor: Some(actor),
        action,
        entity: "ChargePoint",
        row_id: Some(charge_point.to_string()),
        site_id: Some(site),
        before: serde_json::to_value(before).ok(),
        after: serde_json::to_value(after).ok(),
        ..Entry::default()
    }
}

fn checked(quirks: model::StationQuirks) -> Result<model::StationQuirks> {
    quirks.check().map_err(|bad| Fault::BadInput(format!("{bad}.")))?;
    Ok(quirks)
}

fn typed(token: &str) -> Result<IdToken> {
    IdToken::typed(token).map_err(|error| Fault::BadInput(error.to_string()))
}

fn number<T: TryFrom<i32>>(number: i32, field: &str) -> Result<T> {
    T::try_from(number).map_err(|_| Fault::BadInput(format!("{field} is out of range.")))
}

fn optional<T: TryFrom<i32>>(value: Option<i32>, field: &str) -> Result<Option<T>> {
    value.map(|value| number(value, field)).transpose()
}
