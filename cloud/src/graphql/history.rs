//! Charging history: sessions with what they took and what was billed.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use super::bill::Bill;
use super::error::Result;
use super::filter::{
    Direction, IdComparison, Nulls, NumberComparison, Paging, TextComparison, TimeComparison, Where,
    check_terms, push_order,
};
use super::scalar::{Float, Time, millionths, thousandths};
use super::{MAX_ROWS, app, parse_id, reach, viewer};
use crate::auth::Deed;
use crate::db::history::{self, Session, Whose};

/// A charging session, running or over.
pub(super) struct ChargingHistory(Session);

#[Object(rename_fields = "camelCase")]
impl ChargingHistory {
    async fn id(&self) -> ID {
        self.0.history_id.into()
    }
    /// The station's own name for it.
    async fn transaction_id(&self) -> Option<&str> {
        self.0.tx_ref.as_deref()
    }
    async fn charge_point_hardware_id(&self) -> Option<&str> {
        Some(&self.0.station)
    }
    /// The connector's number on its charge point.
    async fn connector_id(&self) -> Option<Float> {
        Some(i64::from(self.0.evse).into())
    }
    async fn user_id(&self) -> Option<Float> {
        self.0.user_id.map(Float::from)
    }
    /// kWh.
    async fn meter_start(&self) -> Option<Float> {
        self.0.meter_start.map(thousandths)
    }
    /// kWh; 0 while it runs.
    async fn meter_stop(&self) -> Option<Float> {
        Some(thousandths(self.0.meter_stop.unwrap_or_default()))
    }
    #[graphql(name = "session_start")]
    async fn session_start(&self) -> Option<Time> {
        self.0.started_at.map(Time)
    }
    #[graphql(name = "session_end")]
    async fn session_end(&self) -> Option<Time> {
        self.0.stopped_at.map(Time)
    }
    async fn site_address(&self) -> Option<&str> {
        self.0.site_address.as_deref()
    }
    async fn connector_type(&self) -> Option<&str> {
        self.0.connector_type.as_deref()
    }
    /// kWh.
    async fn power_spend(&self) -> Option<Float> {
        self.0.energy_wh.map(thousandths)
    }
    /// What was billed; null before. `bill` has it exactly.
    async fn money_spent(&self) -> Option<Float> {
        self.0.total_micros.map(millionths)
    }
    /// The session's lasting name.
    async fn session_id(&self) -> ID {
        self.0.id.to_string().into()
    }
    /// What it took so far, or in all.
    async fn energy_wh(&self) -> Option<Float> {
        self.0.energy_wh.map(Float::from)
    }
    /// Running or Completed.
    async fn status(&self) -> &str {
        if self.0.stopped_at.is_some() { "Completed" } else { "Running" }
    }
    /// Why it ended, in the station's word.
    async fn stop_reason(&self) -> Option<&str> {
        self.0.stop_reason.as_deref()
    }
    /// What it costs, exactly; null until it is billed.
    async fn bill(&self) -> Option<Bill> {
        Bill::of(self.0.currency.as_deref()?, self.0.total_micros?, self.0.lines.as_deref()?)
    }
}

#[derive(InputObject)]
pub(super) struct ChargingHistoryInput {
    /// The newest 200 when left out.
    paging: Option<Paging>,
}

#[derive(InputObject)]
pub(super) struct ChargerChargingHistoryInput {
    charge_point_hardware_id: String,
    /// The newest 200 when left out.
    paging: Option<Paging>,
}

#[derive(SimpleObject)]
pub(super) struct ChargingHistoryResponse {
    /// Of all pages.
    count: Float,
    data: Vec<ChargingHistory>,
}

/// Which sessions; all conditions hold.
#[derive(InputObject, Default)]
pub(super) struct ChargingHistoryFilter {
    and: Option<Vec<ChargingHistoryFilter>>,
    or: Option<Vec<ChargingHistoryFilter>>,
    id: Option<IdComparison>,
    transaction_id: Option<TextComparison>,
    charge_point_hardware_id: Option<TextComparison>,
    connector_id: Option<NumberComparison>,
    user_id: Option<NumberComparison>,
    #[graphql(name = "session_start")]
    session_start: Option<TimeComparison>,
    #[graphql(name = "session_end")]
    session_end: Option<TimeComparison>,
    site_address: Option<TextComparison>,
    connector_type: Option<TextComparison>,
    power_spend: Option<NumberComparison>,
    money_spent: Option<NumberComparison>,
}

#[derive(InputObject)]
pub(super) struct ChargingHistorySort {
    field: ChargingHistorySortFields,
    direction: Direction,
    nulls: Option<Nulls>,
}

/// What sessions are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(rename_items = "camelCase")]
pub(super) enum ChargingHistorySortFields {
    /// Its number: the order in which they became known.
    Id,
    /// The station's own name for it.
    TransactionId,
    /// The charge point.
    ChargePointHardwareId,
    /// The connector's number there.
    ConnectorId,
    /// Who charged.
    UserId,
    /// When it began.
    #[graphql(name = "session_start")]
    SessionStart,
    /// When it ended.
    #[graphql(name = "session_end")]
    SessionEnd,
    /// Where.
    SiteAddress,
    /// At what.
    ConnectorType,
    /// Energy.
    PowerSpend,
    /// The bill.
    MoneySpent,
}

const KWH: &str = "se.energy_wh / 1000.0";
const PRICE: &str = "b.total_micros / 1000000.0";

impl ChargingHistorySortFields {
    fn expression(self) -> &'static str {
        match self {
            Self::Id => "se.history_id",
            Self::TransactionId => "se.tx_ref",
            Self::ChargePointHardwareId => "se.station",
            Self::ConnectorId => "se.evse",
            Self::UserId => "se.user_id",
            Self::SessionStart => "se.started_at",
            Self::SessionEnd => "se.stopped_at",
            Self::SiteAddress => "p.address",
            Self::ConnectorType => "c.connector_type_name",
            Self::PowerSpend => KWH,
            Self::MoneySpent => PRICE,
        }
    }
}

impl From<ChargingHistoryFilter> for Where {
    fn from(it: ChargingHistoryFilter) -> Self {
        use ChargingHistorySortFields as Field;
        let group = |list: Option<Vec<_>>| list.unwrap_or_default().into_iter().map(Where::from).collect();
        let mut all = Where { and: group(it.and), or: group(it.or), ..Where::default() };
        all.field(Field::Id.expression(), it.id);
        all.field(Field::TransactionId.expression(), it.transaction_id);
        all.field(Field::ChargePointHardwareId.expression(), it.charge_point_hardware_id);
        all.field(Field::ConnectorId.expression(), it.connector_id);
        all.field(Field::UserId.expression(), it.user_id);
        all.field(Field::SessionStart.expression(), it.session_start);
        all.field(Field::SessionEnd.expression(), it.session_end);
        all.field(Field::SiteAddress.expression(), it.site_address);
        all.field(Field::ConnectorType.expression(), it.connector_type);
        all.field(Field::PowerSpend.expression(), it.power_spend);
        all.field(Field::MoneySpent.expression(), it.money_spent);
        all
    }
}

#[derive(Default)]
pub(super) struct HistoryQuery;

#[Object]
impl HistoryQuery {
    /// One's own sessions, newest first.
    #[graphql(complexity = "5 + 10 * child_complexity")]
    async fn user_charging_history(
        &self,
        ctx: &Context<'_>,
        input: ChargingHistoryInput,
    ) -> Result<ChargingHistoryResponse> {
        let viewer = viewer(ctx).await?;
        let (limit, offset) = Paging::rows(input.paging.as_ref())?;
        let (count, rows) = history::page(&app(ctx).db, &viewer, limit, offset).await?;
        Ok(ChargingHistoryResponse {
            count: count.into(),
            data: rows.into_iter().map(ChargingHistory).collect(),
        })
    }

    /// Sessions at a charge point, newest first: one's own, and all of them where it is at one's own site.
    #[graphql(complexity = "5 + 10 * child_complexity")]
    async fn connector_charging_history(
        &self,
        ctx: &Context<'_>,
        input: ChargerChargingHistoryInput,
    ) -> Result<Vec<ChargingHistory>> {
        let (viewer, reach) = reach(ctx, Deed::SeeSessions).await?;
        let (limit, offset) = Paging::rows(input.paging.as_ref())?;
        let mut sql = history::select(Whose::Concerning(viewer.id, &reach));
        let station = crate::db::text(&input.charge_point_hardware_id);
        sql.push(" and lower(se.station) = lower(")
            .push_bind(station)
            .push(") order by se.history_id desc limit ");
        sql.push_bind(limit).push(" offset ").push_bind(offset);
        Ok(history::fetch(&app(ctx).db, &viewer, sql).await?.into_iter().map(ChargingHistory).collect())
    }

    /// Sessions of one's own and at one's own sites; the first 200 of the order.
    #[graphql(complexity = "5 + 10 * child_complexity")]
    async fn charging_histories(
        &self,
        ctx: &Context<'_>,
        filter: ChargingHistoryFilter,
        sorting: MaybeUndefined<Vec<ChargingHistorySort>>,
    ) -> Result<Vec<ChargingHistory>> {
        let (viewer, reach) = reach(ctx, Deed::SeeSessions).await?;
        let sorting = sorting.take().unwrap_or_default();
        check_terms(sorting.len())?;
        let mut sql = history::select(Whose::Concerning(viewer.id, &reach));
        sql.push(" and ");
        Where::from(filter).push(&mut sql)?;
        sql.push(" order by ");
        for term in sorting {
            push_order(term.field.expression(), term.direction, term.nulls, &mut sql);
            sql.push(", ");
        }
        sql.push("se.history_id limit ").push_bind(MAX_ROWS);
        Ok(history::fetch(&app(ctx).db, &viewer, sql).await?.into_iter().map(ChargingHistory).collect())
    }

    /// One session, by its number or its lasting name; null when there is none or it is none of the asking one's.
    async fn session(&self, ctx: &Context<'_>, id: ID) -> Result<Option<ChargingHistory>> {
        let (viewer, reach) = reach(ctx, Deed::SeeSessions).await?;
        let mut sql = history::select(Whose::Concerning(viewer.id, &reach));
        match id.parse::<uuid::Uuid>() {
            Ok(id) => sql.push(" and se.id = ").push_bind(id),
            Err(_) => sql.push(" and se.history_id = ").push_bind(parse_id(&id, "id")?),
        };
        Ok(history::fetch(&app(ctx).db, &viewer, sql).await?.pop().map(ChargingHistory))
    }
}
