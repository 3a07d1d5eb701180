//! What a person has to look at, in words that say what to do, and the buttons that do it.

use async_graphql::{Context, ID, Object, SimpleObject, Value};
use serde_json::json;
use shared::id::GatewayId;
use uuid::Uuid;

use super::error::{Fault, Result};
use super::onboarding::{CLAIM_LIFE, ClaimCode, at_site};
use super::scalar::{JsonValue, Time};
use super::{MAX_ROWS, app, parse_id, reach};
use crate::auth::Deed;
use crate::db::alarm::{self as rows, Raised};
use crate::db::{audit, gateway, viewer};
use crate::gateways;

/// Something that a person has to look at. The same trouble again is counted on the same alarm, and opens it again.
#[derive(SimpleObject)]
pub(super) struct Alarm {
    id: ID,
    /// What sort, as a word for programs.
    kind: String,
    /// What happened, for people.
    title: String,
    /// What to do about it.
    advice: String,
    /// The mutation that settles it, beside `acknowledgeAlarm`; null when there is nothing to decide.
    button: Option<String>,
    /// What it is about.
    subject: String,
    gateway_id: Option<ID>,
    site_id: Option<ID>,
    /// The circumstances, by kind.
    detail: JsonValue,
    /// How often.
    count: i32,
    first_at: Time,
    last_at: Time,
    acknowledged_at: Option<Time>,
    /// `User.id` of who did so.
    acknowledged_by: Option<ID>,
}

impl From<Raised> for Alarm {
    fn from(row: Raised) -> Self {
        let (title, advice, button) = words(&row.kind);
        Self {
            id: row.id.into(),
            title: title.map_or_else(|| row.kind.replace(['_', '-'], " "), str::to_owned),
            advice: advice.to_owned(),
            button: button.map(str::to_owned),
            kind: row.kind,
            subject: row.subject,
            gateway_id: row.gateway_id.map(ID::from),
            site_id: row.site_id.map(ID::from),
            detail: JsonValue(Value::from_json(row.detail.0).unwrap_or_default()),
            count: row.count,
            first_at: Time(row.first_at),
            last_at: Time(row.raised_at),
            acknowledged_at: row.acknowledged_at.map(Time),
            acknowledged_by: row.acknowledged_by.map(ID::from),
        }
    }
}

/// What happened, what to do, and the button.
fn words(kind: &str) -> (Option<&'static str>, &'static str, Option<&'static str>) {
    match kind {
        "epoch_frozen" => (
            Some("Two different histories of one gateway"),
            "A backup of it, or of the cloud, was put back, or its storage was copied. Nothing is billed twice and nothing is \
             lost: it goes on under new numbers by itself. If this alarm comes again and again, there are two boxes: renew the \
             gateway, and use the code at the right one. The other one is shut out.",
            Some("renewGateway"),
        ),
        "gateway_memory_lost" => (
            Some("A gateway came back with an empty storage"),
            "What it had not sent is lost. It has its settings again by itself. Look at its storage, or at who reset it.",
            None,
        ),
        "database_restored" => (
            Some("A gateway's storage was damaged, and restored"),
            "Sessions and bills are whole; meter samples since the last snapshot are missing. Replace its storage soon.",
            None,
        ),
        "database_went_back" => (
            Some("An old copy of a gateway's database was put back"),
            "It was brought up to date from its journal. Nothing is to be done.",
            None,
        ),
        "price_difference" => (
            Some("Gateway and cloud computed different totals"),
            "Nothing was charged twice; the bill has the cloud's. The detail has both: compare tariff and times.",
            None,
        ),
        "tariff_unknown" => (
            Some("A session ended under a tariff that is unknown"),
            "It has no bill. Look whether the tariff was deleted.",
            None,
        ),
        "stop_unmatched" => (
            Some("A charger ended a session that nobody knows"),
            "Its register and card are in the detail. Match it by hand, or acknowledge it.",
            None,
        ),
        "clock_skew" => (
            Some("A charger's clock is wrong"),
            "Its sessions have the gateway's time. Set its clock, or let it take the time from the gateway.",
            None,
        ),
        "adoption_conflict" => (
            Some("A charger was adopted that another site has"),
            "Take it out of one of the two sites.",
            None,
        ),
        "refresh-token-reused" => (
            Some("A sign-in was used twice"),
            "It was ended everywhere. If its user did not do it, have him change the password.",
            None,
        ),
        _ => (None, "The detail says what was seen. Acknowledge it when it was looked at.", None),
    }
}

#[derive(Default)]
pub(super) struct AlarmQuery;

#[Object]
impl AlarmQuery {
    /// What has to be looked at, the newest 200 first: what is open, with `open: false` what was acknowledged, with null both.
    async fn alarms(
        &self,
        ctx: &Context<'_>,
        site_id: Option<ID>,
        #[graphql(default_with = "Some(true)")] open: Option<bool>,
    ) -> Result<Vec<Alarm>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let site = site_id.map(|id| parse_id(&id, "siteId")).transpose()?;
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let found = rows::list(&mut tx, &reach, (site, open), MAX_ROWS).await?;
        Ok(found.into_iter().map(Alarm::from).collect())
    }
}

#[derive(Default)]
pub(super) struct AlarmMutation;

#[Object]
impl AlarmMutation {
    /// It was looked at. When it happens again the alarm is open again.
    async fn acknowledge_alarm(&self, ctx: &Context<'_>, id: ID) -> Result<Alarm> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&id, "id")?;
        let mut tx = app(ctx).db.begin().await?;
        let found = rows::find(&mut tx, &reach, id).await?.ok_or_else(|| Fault::no_such("Alarm", id))?;
        rows::acknowledge(&mut tx, id, viewer.id).await?;
        let entry = audit::Entry {
            actor: Some(viewer.id),
            action: "acknowledgeAlarm",
            entity: "Alarm",
            row_id: Some(id.to_string()),
            site_id: found.site_id,
            after: Some(json!({ "kind": found.kind, "subject": found.subject, "count": found.count })),
            ..audit::Entry::default()
        };
        audit::write(&mut tx, &entry).await?;
        let now = rows::find(&mut tx, &reach, id).await?.ok_or_else(|| Fault::no_such("Alarm", id))?;
        tx.commit().await?;
        Ok(now.into())
    }

    /// A code with which one box goes on as this gateway, with all that it has not sent: `edge-agent enroll --again` there, once,
    /// within an hour. From then on every other box with this identity, such as a copy, is shut out. Until then nothing changes.
    async fn renew_gateway(&self, ctx: &Context<'_>, gateway_id: ID) -> Result<ClaimCode> {
        let (viewer, reach) = reach(ctx, Deed::Onboard).await?;
        let id: Uuid = gateway_id.parse().map_err(|_| Fault::BadInput("gatewayId is not a UUID.".into()))?;
        let mut tx = app(ctx).db.begin().await?;
        let no_such = || Fault::no_such("Gateway", id);
        let site = gateway::site_within(&mut tx, GatewayId(id), &reach).await?.ok_or_else(no_such)?;
        let claim = gateways::renew_claim(&mut *tx, site, GatewayId(id), CLAIM_LIFE).await?;
        let done = json!({ "gatewayId": id, "expiresAt": claim.expires_at });
        audit::write(&mut tx, &at_site(viewer.id, "renewGateway", site, done)).await?;
        tx.commit().await?;
        Ok(claim.into())
    }
}
