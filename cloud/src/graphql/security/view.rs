//! How stations are secured, how far it is what is done about it, and what they reported.

use async_graphql::{Context, ID, Object, SimpleObject, Subscription};
use chrono::{DateTime, TimeDelta, Utc};

use super::super::command::charge_point;
use super::super::error::{Fault, Result};
use super::super::filter::Paging;
use super::super::live::{self, Live};
use super::super::scalar::Time;
use super::super::{app, parse_id, reach};
use crate::auth::{Deed, Reach, Viewer};
use crate::db::security::{self as rows, Wanted, Whose};
use crate::db::viewer;
use crate::{App, clock};

/// A certificate with fewer days left is to be renewed; the alert and the gauge are of the same.
const SOON: TimeDelta = TimeDelta::days(crate::watch::CERTIFICATE_DAYS);
/// Events that a watcher is shown.
const NEWEST: (i64, i64) = (10, 0);

/// How a station's connection is secured, as its gateway told it last.
#[derive(SimpleObject, Clone, PartialEq)]
pub(in super::super) struct StationSecurity {
    charge_point_id: ID,
    /// The station's identity.
    station: String,
    /// The OCPP security profile by which it came last: 1 password, 2 password over TLS, 3 certificates on both sides; 0
    /// none. Null: not yet told.
    profile: Option<i32>,
    /// The lowest by which it may come from now on.
    minimum: Option<i32>,
    /// With which it came last.
    certificate: Option<StationCertificate>,
    /// Since when it has a password that the gateway made and nobody has seen.
    password_since: Option<Time>,
    /// When this was told.
    at: Option<Time>,
    /// What is or was done about it, the latest ten first.
    progress: Vec<SecurityProgress>,
}

/// A station's certificate.
#[derive(SimpleObject, Clone, PartialEq)]
pub(in super::super) struct StationCertificate {
    /// Hexadecimal.
    serial: String,
    valid_from: Time,
    valid_until: Time,
    /// Has it less than 30 days left, or none?
    expires_soon: bool,
}

/// Something that is or was done about a station's security.
#[derive(SimpleObject, Clone, PartialEq)]
pub(in super::super) struct SecurityProgress {
    /// The order that it comes from; null: the gateway or the station began by itself.
    command_id: Option<ID>,
    /// Password, Certificate or Profile.
    work: String,
    /// InstallingRoot, AwaitingRequest, DeliveringCertificate, WritingAddress, Writing, AwaitingReturn; in the end Done or
    /// Failed. Until Done, what the station had before is good.
    step: String,
    /// More, for a person.
    detail: Option<String>,
    /// Does nothing follow?
    ended: bool,
    began_at: Time,
    updated_at: Time,
}

/// Something that a station reported about its security.
#[derive(SimpleObject, Clone, PartialEq)]
pub(in super::super) struct SecurityEvent {
    id: ID,
    site_id: ID,
    /// Null: it is none of the site's, or no longer.
    charge_point_id: Option<ID>,
    /// The station's identity.
    station: String,
    /// What, in the station's word, such as `TamperDetectionActivated`.
    kind: String,
    /// More, in the station's words: text of a stranger.
    tech_info: Option<String>,
    /// Does the OCPP security whitepaper call it critical?
    critical: bool,
    /// When, by the station's clock if that is to be believed.
    at: Time,
    /// When it was here.
    received_at: Time,
}

impl StationSecurity {
    fn of(row: rows::Security, now: DateTime<Utc>) -> Self {
        let certificate =
            row.certificate_serial.zip(row.certificate_not_before).zip(row.certificate_not_after);
        Self {
            charge_point_id: row.charge_point_id.into(),
            station: row.station,
            profile: row.profile.map(i32::from),
            minimum: row.minimum.map(i32::from),
            certificate: certificate.map(|((serial, from), until)| StationCertificate {
                serial,
                valid_from: Time(from),
                valid_until: Time(until),
                expires_soon: until < now + SOON,
            }),
            password_since: row.password_since.map(Time),
            at: row.at.map(Time),
            progress: row.works.0.into_iter().map(SecurityProgress::from).collect(),
        }
    }
}

impl From<rows::Work> for SecurityProgress {
    fn from(row: rows::Work) -> Self {
        Self {
            command_id: row.command.map(|id| id.to_string().into()),
            work: row.work,
            step: row.step,
            detail: Some(row.detail).filter(|text| !text.is_empty()),
            ended: row.ended,
            began_at: Time(row.began_at),
            updated_at: Time(row.at),
        }
    }
}

impl From<rows::SecurityEvent> for SecurityEvent {
    fn from(row: rows::SecurityEvent) -> Self {
        Self {
            id: row.id.into(),
            site_id: row.site_id.into(),
            charge_point_id: row.charge_point_id.map(ID::from),
            station: row.station,
            kind: row.kind,
            tech_info: row.tech_info,
            critical: row.critical,
            at: Time(row.at),
            received_at: Time(row.received_at),
        }
    }
}

#[derive(Default)]
pub(in super::super) struct SecurityQuery;

#[Object]
impl SecurityQuery {
    /// How a site's stations are secured, or one station, by their names.
    async fn station_security(
        &self,
        ctx: &Context<'_>,
        site_id: Option<ID>,
        charge_point_id: Option<ID>,
        paging: Option<Paging>,
    ) -> Result<Vec<StationSecurity>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let whose = whose(site_id.as_ref(), charge_point_id.as_ref())?;
        if whose.site.is_none() && whose.charge_point.is_none() {
            return Err(Fault::BadInput("Say of which site or which charge point.".into()));
        }
        stations(app(ctx), &viewer, &reach, whose, Paging::rows(paging.as_ref())?).await
    }

    /// What the stations that one operates reported about their security, the newest first: all of them, a site's or one.
    #[expect(clippy::too_many_arguments, reason = "each narrows the list")]
    async fn security_events(
        &self,
        ctx: &Context<'_>,
        site_id: Option<ID>,
        charge_point_id: Option<ID>,
        #[graphql(desc = "In the station's word; case does not matter.")] kind: Option<String>,
        #[graphql(desc = "Only what the whitepaper calls critical, or only the rest.")] critical: Option<
            bool,
        >,
        #[graphql(desc = "Not before.")] from: Option<Time>,
        #[graphql(desc = "Before.")] to: Option<Time>,
        paging: Option<Paging>,
    ) -> Result<Vec<SecurityEvent>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let whose = whose(site_id.as_ref(), charge_point_id.as_ref())?;
        let (from, to) = (from.map(|it| it.0), to.map(|it| it.0));
        let wanted = Wanted { whose, kind, critical, from, to };
        events(app(ctx), &viewer, &reach, &wanted, Paging::rows(paging.as_ref())?).await
    }
}

fn whose(site: Option<&ID>, charge_point: Option<&ID>) -> Result<Whose> {
    let id = |id: Option<&ID>, name| id.map(|id| parse_id(id, name)).transpose();
    Ok(Whose { site: id(site, "siteId")?, charge_point: id(charge_point, "chargePointId")? })
}

async fn stations(
    app: &App,
    viewer: &Viewer,
    reach: &Reach,
    whose: Whose,
    page: (i64, i64),
) -> Result<Vec<StationSecurity>> {
    let now = clock::now().to_utc().unwrap_or_default();
    let mut tx = viewer::begin(&app.db, viewer).await?;
    let rows = rows::of_stations(&mut tx, reach, whose, page).await?;
    Ok(rows.into_iter().map(|row| StationSecurity::of(row, now)).collect())
}

async fn events(
    app: &App,
    viewer: &Viewer,
    reach: &Reach,
    wanted: &Wanted,
    page: (i64, i64),
) -> Result<Vec<SecurityEvent>> {
    let mut tx = viewer::begin(&app.db, viewer).await?;
    let rows = rows::events(&mut tx, reach, wanted, page).await?;
    Ok(rows.into_iter().map(SecurityEvent::from).collect())
}

#[derive(Default)]
pub(in super::super) struct SecuritySubscription;

#[Subscription]
impl SecuritySubscription {
    /// How a station is secured, then again whenever that is otherwise or something done about it is a step further.
    async fn station_security_changed(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
    ) -> Result<Live<StationSecurity>> {
        let site = charge_point(ctx, &charge_point_id).await?.site_id;
        let whose = whose(None, Some(&charge_point_id))?;
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let (app, watcher) = (app(ctx).clone(), viewer.clone());
        let states = live::states(
            app.live.security(),
            move |changed: &i64| *changed == site,
            move || {
                let (app, viewer, reach, id) =
                    (app.clone(), watcher.clone(), reach.clone(), charge_point_id.clone());
                async move {
                    let found = stations(&app, &viewer, &reach, whose, (1, 0)).await?.pop();
                    found.ok_or_else(|| Fault::no_such("ChargePoint", id.as_str()))
                }
            },
        );
        Ok(live::while_signed_in(&viewer, live::distinct(states)))
    }

    /// The newest ten events that a site's stations reported about their security, then again whenever there is another.
    async fn security_events_changed(
        &self,
        ctx: &Context<'_>,
        site_id: ID,
    ) -> Result<Live<Vec<SecurityEvent>>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let whose = whose(Some(&site_id), None)?;
        let (app, watcher) = (app(ctx).clone(), viewer.clone());
        let states = live::states(
            app.live.security(),
            move |changed: &i64| Some(*changed) == whose.site,
            move || {
                let (app, viewer, reach) = (app.clone(), watcher.clone(), reach.clone());
                async move {
                    let wanted = Wanted { whose, ..Wanted::default() };
                    events(&app, &viewer, &reach, &wanted, NEWEST).await
                }
            },
        );
        Ok(live::while_signed_in(&viewer, live::distinct(states)))
    }
}
