//! What stations are set to and what a site wants of them. The gateway compares and writes the differences by itself.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde_json::json;
use shared::model::settings::{LONGEST_VALUE, WantedSetting as Wanted, folded};

use super::super::error::{Fault, Result};
use super::super::onboarding::at_site;
use super::super::scalar::Time;
use super::super::security::writable;
use super::super::{app, parse_id, reach};
use crate::auth::Deed;
use crate::db::{audit, setting as rows, site, station};
use crate::documents;

/// Settings wanted of a site or of a station.
const MOST: usize = 100;
/// OCPP 1.6 §7.29 CiString50.
const LONGEST_KEY: usize = 50;

/// A setting as it is wanted.
#[derive(InputObject)]
pub(in super::super) struct WantedSettingInput {
    /// Its name, such as MeterValueSampleInterval. Case does not matter.
    key: String,
    value: String,
}

/// A setting as it is wanted.
#[derive(SimpleObject)]
pub(in super::super) struct WantedSetting {
    key: String,
    value: String,
}

/// What is wanted of one station, before what the site wants.
#[derive(SimpleObject)]
pub(in super::super) struct WantedOfStation {
    charge_point_id: ID,
    settings: Vec<WantedSetting>,
}

/// What a site wants its stations to be set to.
#[derive(SimpleObject)]
pub(in super::super) struct WantedConfiguration {
    site_id: ID,
    /// Of every station.
    settings: Vec<WantedSetting>,
    /// Of single ones.
    stations: Vec<WantedOfStation>,
}

/// A setting of a station.
#[derive(SimpleObject)]
pub(in super::super) struct StationSetting {
    key: String,
    /// As the station told it; null when it did not, or keeps it secret.
    value: Option<String>,
    readonly: Option<bool>,
    /// As it is wanted, if it is.
    wanted: Option<String>,
    /// Of wanted ones: InStep, Changed, NeedsReboot, Refused, Unknown (the station has no such setting) or Waiting.
    state: Option<String>,
    /// For a person.
    detail: Option<String>,
}

/// What a station is set to.
#[derive(SimpleObject)]
pub(in super::super) struct StationConfiguration {
    charge_point_id: ID,
    /// When all of it was read; null: not yet.
    read_at: Option<Time>,
    /// By name.
    settings: Vec<StationSetting>,
}

#[derive(Default)]
pub(in super::super) struct SettingsQuery;

#[Object]
impl SettingsQuery {
    /// What a site wants its stations to be set to.
    async fn wanted_configuration(&self, ctx: &Context<'_>, site_id: ID) -> Result<WantedConfiguration> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        let site = parse_id(&site_id, "siteId")?;
        let mut tx = app(ctx).db.begin().await?;
        site::owned(&mut tx, site, &reach).await?.ok_or_else(|| Fault::no_such("Site", site))?;
        Ok(shown(site, rows::wanted(&mut tx, site).await?))
    }

    /// What a station is set to, what is wanted of it, and how that stands.
    async fn station_configuration(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
    ) -> Result<StationConfiguration> {
        let (_, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&charge_point_id, "chargePointId")?;
        station::charge_point(&app(ctx).db, id, &reach)
            .await?
            .ok_or_else(|| Fault::no_such("ChargePoint", id))?;
        let mut tx = app(ctx).db.begin().await?;
        let settings = rows::of_station(&mut tx, id).await?;
        let read_at = rows::read_at(&mut tx, id).await?;
        let settings = settings.into_iter().map(|it| StationSetting {
            key: it.key,
            value: it.value,
            readonly: it.readonly,
            wanted: it.wanted,
            state: it.state,
            detail: it.detail.filter(|text| !text.is_empty()),
        });
        Ok(StationConfiguration {
            charge_point_id: id.into(),
            read_at: read_at.map(Time),
            settings: settings.collect(),
        })
    }
}

#[derive(Default)]
pub(in super::super) struct SettingsMutation;

#[Object]
impl SettingsMutation {
    /// Wants these settings, and no others any more, of all stations of a site or, with `chargePointId`, of that one (its word
    /// goes before the site's). Gateways compare and write what differs, now and whenever a station's firmware changes.
    async fn set_wanted_configuration(
        &self,
        ctx: &Context<'_>,
        site_id: ID,
        charge_point_id: Option<ID>,
        settings: Vec<WantedSettingInput>,
    ) -> Result<WantedConfiguration> {
        let settings = checked(settings)?;
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let site = parse_id(&site_id, "siteId")?;
        let station = match &charge_point_id {
            None => None,
            Some(id) => {
                let id = parse_id(id, "chargePointId")?;
                let found = station::charge_point(&app(ctx).db, id, &reach).await?;
                let at_site = found.is_some_and(|it| it.site_id == site);
                Some(at_site.then_some(id).ok_or_else(|| Fault::no_such("ChargePoint", id))?)
            }
        };
        let mut tx = app(ctx).db.begin().await?;
        site::owned(&mut tx, site, &reach).await?.ok_or_else(|| Fault::no_such("Site", site))?;
        rows::want(&mut tx, site, station, &settings).await?;
        documents::refresh(&mut tx, site).await?;
        let now = rows::wanted(&mut tx, site).await?;
        let done = json!({"chargePointId": station, "settings": settings});
        audit::write(&mut tx, &at_site(viewer.id, "setWantedConfiguration", site, done)).await?;
        tx.commit().await?;
        Ok(shown(site, now))
    }
}

fn checked(settings: Vec<WantedSettingInput>) -> Result<Vec<Wanted>> {
    if settings.len() > MOST {
        return Err(Fault::BadInput(format!("At most {MOST} settings.")));
    }
    let mut checked: Vec<Wanted> = Vec::with_capacity(settings.len());
    for WantedSettingInput { key, value } in settings {
        let key = key.trim().to_owned();
        if !(1..=LONGEST_KEY).contains(&key.chars().count()) || value.chars().count() > LONGEST_VALUE {
            return Err(Fault::BadInput(format!(
                "A key has 1 to {LONGEST_KEY} characters, a value at most {LONGEST_VALUE}."
            )));
        }
        writable(&key)?;
        if checked.iter().any(|known| folded(&known.key) == folded(&key)) {
            return Err(Fault::BadInput(format!("{key} is there twice.")));
        }
        checked.push(Wanted { key, value });
    }
    Ok(checked)
}

fn shown(site: i64, rows: Vec<(Option<i64>, String, String)>) -> WantedConfiguration {
    let mut wanted = WantedConfiguration { site_id: site.into(), settings: vec![], stations: vec![] };
    for (charge_point, key, value) in rows {
        let setting = WantedSetting { key, value };
        let Some(id) = charge_point else {
            wanted.settings.push(setting);
            continue;
        };
        let id = ID::from(id);
        match wanted.stations.iter_mut().find(|it| it.charge_point_id == id) {
            Some(known) => known.settings.push(setting),
            None => {
                wanted.stations.push(WantedOfStation { charge_point_id: id, settings: vec![setting] });
            }
        }
    }
    wanted
}
