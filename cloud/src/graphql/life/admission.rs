//! Unknown stations: who knocks, who waits, and what becomes of them; and known ones that are made to wait.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use serde_json::json;
use shared::id::StationId;
use shared::model::onboarding::{CERTIFICATE_ONLY, LONGEST_WINDOW_MINUTES, WINDOW_MINUTES};
use sqlx::{Postgres, Transaction};

use super::super::entity::Snapshot;
use super::super::error::{Fault, Result};
use super::super::onboarding::{at_site, credential_of};
use super::super::scalar::Time;
use super::super::user::taken;
use super::super::{app, parse_id, reach};
use crate::auth::{Deed, Viewer};
use crate::db::{audit, pending_station as rows, site, station, station_life};
use crate::{clock, documents, live};

/// An unknown station at the door of a site, or waiting inside.
#[derive(SimpleObject)]
pub(in super::super) struct PendingStation {
    /// The identity that it gives: the last part of its OCPP address.
    identity: String,
    site_id: ID,
    /// knocked: it was refused at the door. pending: it was let in and waits. rejected: it was turned away.
    state: String,
    /// Its address in the chargers' network.
    address: String,
    /// The OCPP security profile of the door at which it is.
    security_profile: i32,
    /// Whether it showed a password.
    had_password: bool,
    vendor: Option<String>,
    model: Option<String>,
    serial_number: Option<String>,
    firmware: Option<String>,
    /// How many connectors it has, as far as it told.
    connectors: Option<i32>,
    /// How often it was told of; one that knocks on is told of less.
    seen: i32,
    first_seen_at: Time,
    last_seen_at: Time,
}

impl From<rows::PendingStation> for PendingStation {
    fn from(row: rows::PendingStation) -> Self {
        Self {
            identity: row.station,
            site_id: row.site_id.into(),
            state: row.state,
            address: row.address,
            security_profile: row.security_profile.into(),
            had_password: row.had_password,
            vendor: row.vendor,
            model: row.model,
            serial_number: row.serial_number,
            firmware: row.firmware,
            connectors: row.connectors,
            seen: row.seen,
            first_seen_at: Time(row.first_seen_at),
            last_seen_at: Time(row.last_seen_at),
        }
    }
}

/// Until when a site lets unknown stations in to wait.
#[derive(SimpleObject)]
pub(in super::super) struct OnboardingWindow {
    site_id: ID,
    /// Null: it is closed.
    open_until: Option<Time>,
}

impl OnboardingWindow {
    fn of(site: i64, window: &rows::Window) -> Self {
        let now = clock::now().to_utc().unwrap_or_default();
        Self { site_id: site.into(), open_until: window.open(now).map(Time) }
    }
}

/// Which password an adopted station shall show from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in super::super) enum StationCredentialChoice {
    /// The one that it showed when it came, or its certificate. Nobody has seen that password.
    Presented,
    /// Another one: the given one, else one that is made. It has to be entered at the station.
    New,
}

/// A station that belongs to a site from now on.
#[derive(SimpleObject)]
pub(in super::super) struct AdoptedStation {
    charge_point_id: ID,
    identity: String,
    /// What to enter at the station, where it shall be a new one. Shown this once.
    password: Option<String>,
}

#[derive(Default)]
pub(in super::super) struct AdmissionQuery;

#[Object]
impl AdmissionQuery {
    /// Unknown stations that knocked at a site's gateway during the last week, that wait there, or that were turned away; the
    /// newest first.
    async fn pending_stations(&self, ctx: &Context<'_>, site_id: ID) -> Result<Vec<PendingStation>> {
        let (mut tx, site, _) = open_site(ctx, &site_id).await?;
        Ok(rows::of_site(&mut tx, site).await?.into_iter().map(PendingStation::from).collect())
    }

    /// Does a site let unknown stations in now?
    async fn onboarding_window(&self, ctx: &Context<'_>, site_id: ID) -> Result<OnboardingWindow> {
        let (mut tx, site, _) = open_site(ctx, &site_id).await?;
        Ok(OnboardingWindow::of(site, &rows::window(&mut tx, site).await?))
    }
}

#[derive(Default)]
pub(in super::super) struct AdmissionMutation;

#[Object]
impl AdmissionMutation {
    /// Lets unknown stations in to wait for a decision, for so many minutes (30 when left out, at most a day). They tell who
    /// they are, and charge nobody.
    async fn open_onboarding_window(
        &self,
        ctx: &Context<'_>,
        site_id: ID,
        minutes: Option<i32>,
    ) -> Result<OnboardingWindow> {
        let minutes = minutes.map_or(Ok(WINDOW_MINUTES), u32::try_from).unwrap_or(0);
        if !(1..=LONGEST_WINDOW_MINUTES).contains(&minutes) {
            return Err(Fault::BadInput(format!("minutes is 1 to {LONGEST_WINDOW_MINUTES}.")));
        }
        set_window(ctx, &site_id, "openOnboardingWindow", i32::try_from(minutes).ok()).await
    }

    /// Lets them in no longer. Those that wait go on waiting.
    async fn close_onboarding_window(&self, ctx: &Context<'_>, site_id: ID) -> Result<OnboardingWindow> {
        set_window(ctx, &site_id, "closeOnboardingWindow", None).await
    }

    /// Makes an unknown station the site's own, with its connectors: as many as given, else as many as it told. It is asked
    /// to boot again and is accepted then.
    async fn adopt_station(
        &self,
        ctx: &Context<'_>,
        site_id: ID,
        identity: String,
        credential: StationCredentialChoice,
        password: Option<String>,
        connectors: Option<i32>,
    ) -> Result<AdoptedStation> {
        if connectors.is_some_and(|count| !(1..=station_life::MOST_CONNECTORS).contains(&count)) {
            return Err(Fault::BadInput("connectors is 1 to 99.".into()));
        }
        let identity = identity.trim().to_owned();
        StationId::new(identity.clone()).map_err(|error| Fault::BadInput(error.to_string()))?;
        let wanted = match credential {
            StationCredentialChoice::New => Some(credential_of(&identity, password).await?),
            StationCredentialChoice::Presented if password.is_some() => {
                return Err(Fault::BadInput("A password is given with NEW only.".into()));
            }
            StationCredentialChoice::Presented => None,
        };
        let (viewer, reach) = reach(ctx, Deed::Onboard).await?;
        let site = parse_id(&site_id, "siteId")?;
        let mut tx = app(ctx).db.begin().await?;
        let owned = site::owned(&mut tx, site, &reach).await?.ok_or_else(|| Fault::no_such("Site", site))?;
        let before = Snapshot::of_site(&mut tx, site).await?;
        let known = rows::take(&mut tx, site, &identity).await?;
        let (shown, told) = known.ok_or_else(|| Fault::no_such("PendingStation", &identity))?;
        let (password, stored) = wanted.unzip();
        let stored = stored.or(shown).ok_or_else(|| {
            Fault::BadInput(format!("{identity} has shown no password: adopt it with a NEW one."))
        })?;
        let count = connectors.or(told).unwrap_or(1);
        let id = station_life::adopt(&mut tx, site, owned.owner_id, &identity, &stored, count)
            .await
            .map_err(taken("station identity"))?;
        documents::refresh(&mut tx, site).await?;
        live::notify(&mut tx, &live::Hint::site(site)).await?;
        before.log(&mut tx, viewer.id).await?;
        let done = json!({"identity": identity, "credential": how(credential, &stored)});
        audit::write(&mut tx, &at_site(viewer.id, "adoptStation", site, done)).await?;
        tx.commit().await?;
        Ok(AdoptedStation { charge_point_id: id.into(), identity, password })
    }

    /// Turns an unknown station away: it is told so, and refused from then on, while the window is open, too. It can still be
    /// adopted.
    async fn reject_station(
        &self,
        ctx: &Context<'_>,
        site_id: ID,
        identity: String,
    ) -> Result<PendingStation> {
        let (mut tx, site, viewer) = open_site(ctx, &site_id).await?;
        if !rows::reject(&mut tx, site, &identity, viewer.id).await? {
            return Err(Fault::no_such("PendingStation", &identity));
        }
        documents::refresh(&mut tx, site).await?;
        let all = rows::of_site(&mut tx, site).await?;
        let rejected = all.into_iter().find(|row| row.station == identity);
        let rejected = rejected.ok_or_else(|| Fault::no_such("PendingStation", &identity))?;
        audit::write(&mut tx, &at_site(viewer.id, "rejectStation", site, json!({"identity": identity})))
            .await?;
        tx.commit().await?;
        Ok(rejected.into())
    }

    /// Makes a station wait: it may connect and be configured, but nobody charges there until it is released.
    async fn hold_station(&self, ctx: &Context<'_>, charge_point_id: ID) -> Result<bool> {
        hold(ctx, &charge_point_id, "holdStation", true).await
    }

    /// Lets a held station go on.
    async fn release_station(&self, ctx: &Context<'_>, charge_point_id: ID) -> Result<bool> {
        hold(ctx, &charge_point_id, "releaseStation", false).await
    }
}

/// A transaction about a site that the asking one may put stations into service at.
async fn open_site(ctx: &Context<'_>, id: &ID) -> Result<(Transaction<'static, Postgres>, i64, Viewer)> {
    let (viewer, reach) = reach(ctx, Deed::Onboard).await?;
    let site = parse_id(id, "siteId")?;
    let mut tx = app(ctx).db.begin().await?;
    site::owned(&mut tx, site, &reach).await?.ok_or_else(|| Fault::no_such("Site", site))?;
    Ok((tx, site, viewer))
}

async fn set_window(
    ctx: &Context<'_>,
    site_id: &ID,
    action: &'static str,
    minutes: Option<i32>,
) -> Result<OnboardingWindow> {
    let (mut tx, site, viewer) = open_site(ctx, site_id).await?;
    let window = rows::set_window(&mut tx, site, minutes, viewer.id).await?;
    documents::refresh(&mut tx, site).await?;
    let shown = OnboardingWindow::of(site, &window);
    let done = json!({"minutes": minutes});
    audit::write(&mut tx, &at_site(viewer.id, action, site, done)).await?;
    tx.commit().await?;
    Ok(shown)
}

async fn hold(ctx: &Context<'_>, charge_point_id: &ID, action: &'static str, held: bool) -> Result<bool> {
    let (viewer, reach) = reach(ctx, Deed::Operate).await?;
    let id = parse_id(charge_point_id, "chargePointId")?;
    let found = station::charge_point(&app(ctx).db, id, &reach).await?;
    let site = found.ok_or_else(|| Fault::no_such("ChargePoint", id))?.site_id;
    let mut tx = app(ctx).db.begin().await?;
    let before = Snapshot::of_site(&mut tx, site).await?;
    station_life::hold(&mut tx, id, held).await?;
    documents::refresh(&mut tx, site).await?;
    live::notify(&mut tx, &live::Hint::site(site)).await?;
    before.log(&mut tx, viewer.id).await?;
    audit::write(&mut tx, &at_site(viewer.id, action, site, json!({"chargePointId": id}))).await?;
    tx.commit().await?;
    Ok(held)
}

/// How a credential came about, for the log.
fn how(choice: StationCredentialChoice, stored: &str) -> &'static str {
    match choice {
        StationCredentialChoice::New => "new",
        StationCredentialChoice::Presented if stored == CERTIFICATE_ONLY => "certificate",
        StationCredentialChoice::Presented => "presented",
    }
}
