//! A site with its charge points and connectors, saved in one call and one transaction.
//!
//! Every id that is sent must be the asking one's, what is not sent is kept, and the same input twice changes nothing:
//! charge points are known by id or identity, connectors by id, number, or label.

mod input;

use std::collections::HashSet;

use async_graphql::{Context, InputObject, Json, Object, SimpleObject};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::entity::Snapshot;
use super::error::{Fault, Result};
use super::scalar::Float;
use super::user::taken;
use super::{app, reach};
use crate::auth::{Deed, Reach};
use crate::db::document;
use crate::db::site::{self, KnownConnector};
use crate::documents;
use crate::live::{self, Hint};
use input::{ChargePointInput, ConnectorInput, SiteInput};
pub(super) use input::{MAX_TEXT, currency_of, point, price};

#[derive(InputObject)]
pub(super) struct CustomSiteCreateInputDto {
    /// The site's fields and `chargepoints`, each with its fields and `connectors`. With an `id` it is changed, else made.
    data: Json<serde_json::Value>,
}

#[derive(SimpleObject)]
pub(super) struct CustomSiteCreateResponse {
    site_id: Option<Float>,
}

#[derive(Default)]
pub(super) struct SavingMutation;

#[Object]
impl SavingMutation {
    /// Makes or changes a site with its charge points and connectors; all of it or nothing.
    async fn create_or_update_site_with_charge_points(
        &self,
        ctx: &Context<'_>,
        input: CustomSiteCreateInputDto,
    ) -> Result<CustomSiteCreateResponse> {
        let (viewer, reach) = reach(ctx, Deed::ChangeSites).await?;
        let input = SiteInput::read(&input.data.0)?;
        let mut tx = app(ctx).db.begin().await?;
        let mut saving = Saving { tx: &mut tx, viewer: viewer.id, reach, touched: Hint::default() };
        let (id, before) = saving.site(&input).await?;
        let touched = saving.touched;
        documents::refresh(&mut tx, id).await?;
        live::notify(&mut tx, &touched).await?;
        before.log(&mut tx, viewer.id).await?;
        tx.commit().await?;
        Ok(CustomSiteCreateResponse { site_id: Some(id.into()) })
    }
}

struct Saving<'a> {
    tx: &'a mut PgConnection,
    viewer: i64,
    /// Which sites may be changed.
    reach: Reach,
    /// What others have to hear of.
    touched: Hint,
}

/// What charge points and connectors take from their site.
struct Site {
    id: i64,
    owner: Option<i64>,
    currency: String,
}

impl Saving<'_> {
    /// The site, and how it was.
    async fn site(&mut self, input: &SiteInput) -> Result<(i64, Snapshot)> {
        let id = match input.id {
            Some(id) => id,
            None => site::insert(self.tx, self.viewer).await?,
        };
        // Locked first, so that two savings of one site come one after the other.
        site::owned(self.tx, id, &self.reach).await?.ok_or_else(|| Fault::no_such("Site", id))?;
        let before = Snapshot::of_site(self.tx, id).await?;
        let before = if input.id.is_none() { before.emptied() } else { before };
        if let Some(organization) = input.fields.organization_id
            && !site::organization_within(self.tx, organization, &self.reach).await?
        {
            return Err(Fault::no_such("Organization", organization));
        }
        if let Some(zone) = &input.fields.timezone
            && !site::is_timezone(self.tx, zone).await?
        {
            return Err(Fault::BadInput(format!("data.timezone {zone:?} is no IANA time zone.")));
        }
        if site::update(self.tx, id, &input.fields).await? || input.id.is_none() {
            self.touched.sites.push(id);
        }
        let row = site::owned(self.tx, id, &self.reach).await?.ok_or_else(|| Fault::no_such("Site", id))?;
        let site = Site { id, owner: row.owner_id, currency: row.currency };
        for charge_point in &input.charge_points {
            self.charge_point(&site, charge_point).await?;
        }
        Ok((id, before))
    }

    async fn charge_point(&mut self, site: &Site, input: &ChargePointInput) -> Result<()> {
        let identity = input.fields.hardware_id.as_deref();
        let known = site::charge_point(self.tx, site.id, input.id, identity).await?;
        let id = match (known, input.id) {
            (Some(id), _) => id,
            (None, Some(id)) => return Err(Fault::no_such("ChargePoint", id)),
            (None, None) => site::insert_charge_point(self.tx, site.id, site.owner, identity)
                .await
                .map_err(taken("chargePointHardwareId"))?,
        };
        let changed = site::update_charge_point(self.tx, id, &input.fields)
            .await
            .map_err(taken("chargePointHardwareId"))?;
        if (changed || known.is_none()) && !self.touched.sites.contains(&site.id) {
            self.touched.sites.push(site.id);
        }
        let known = site::connectors(self.tx, id).await?;
        for (connector, place) in input.connectors.iter().zip(places(&known, &input.connectors)?) {
            self.connector(site, id, connector, place).await?;
        }
        Ok(())
    }

    async fn connector(
        &mut self,
        site: &Site,
        charge_point: i64,
        input: &ConnectorInput,
        place: Place<'_>,
    ) -> Result<()> {
        let (id, known) = match place {
            Place::Known(known) => (known.id, Some(known)),
            Place::New(number) => (
                site::insert_connector(self.tx, charge_point, number).await.map_err(taken("connectorId"))?,
                None,
            ),
        };
        let tariff = self.tariff(site, input, known).await?;
        let changed = site::update_connector(self.tx, id, input.number, &input.fields, tariff)
            .await
            .map_err(taken("connectorId"))?;
        if changed || known.is_none() {
            self.touched.connectors.push(id);
        }
        Ok(())
    }

    async fn tariff(
        &mut self,
        site: &Site,
        input: &ConnectorInput,
        known: Option<&KnownConnector>,
    ) -> Result<Option<Uuid>> {
        let unit = input.fields.price_unit.as_deref().or_else(|| known?.price_unit.as_deref());
        let price = input.fields.price.or_else(|| known?.price).unwrap_or(Decimal::ZERO);
        Ok(foreign_tariff(self.tx, &site.currency, unit, price).await?)
    }
}

/// The tariff of a price in another currency than the site's; prices in the site's own need none.
pub(super) async fn foreign_tariff(
    tx: &mut PgConnection,
    currency: &str,
    unit: Option<&str>,
    price: Decimal,
) -> sqlx::Result<Option<Uuid>> {
    let foreign = unit.and_then(|unit| currency_of(unit).ok().flatten()).filter(|it| it.code() != currency);
    let Some(foreign) = foreign.filter(|_| !price.is_zero()) else { return Ok(None) };
    let Some(tariff) = documents::price_per_kwh(foreign.code(), price) else { return Ok(None) };
    document::keep_tariff(tx, &tariff).await?;
    Ok(Some(tariff.id.0))
}

/// Which connector an input means.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Known(&'a KnownConnector),
    New(i32),
}

/// Finds for each input its connector: by id, by number, else by label; what is left is new and takes the next free number.
fn places<'a>(known: &'a [KnownConnector], inputs: &[ConnectorInput]) -> Result<Vec<Place<'a>>> {
    let mut taken: HashSet<i64> = HashSet::new();
    let mut found: Vec<Option<&KnownConnector>> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let hit = match (input.id, input.number) {
            (Some(id), _) => {
                Some(known.iter().find(|it| it.id == id).ok_or_else(|| Fault::no_such("Connector", id))?)
            }
            (None, Some(number)) => known.iter().find(|it| it.connector_id == Some(number)),
            (None, None) => None,
        };
        if hit.is_some_and(|it| !taken.insert(it.id)) {
            return Err(Fault::BadInput("One connector is meant twice.".into()));
        }
        found.push(hit);
    }
    for (input, hit) in
        inputs.iter().zip(&mut found).filter(|(input, _)| input.id.is_none() && input.number.is_none())
    {
        *hit = known.iter().find(|it| it.label == input.fields.label && !taken.contains(&it.id));
        taken.extend(hit.map(|it| it.id));
    }
    let mut numbers: HashSet<i32> = known.iter().filter_map(|it| it.connector_id).collect();
    numbers.extend(inputs.iter().filter_map(|it| it.number));
    let mut free = (1..).filter(move |number| !numbers.contains(number));
    let place = |(input, hit): (&ConnectorInput, Option<&'a KnownConnector>)| match hit {
        Some(known) => Place::Known(known),
        None => Place::New(input.number.or_else(|| free.next()).expect("numbers do not run out")),
    };
    Ok(inputs.iter().zip(found).map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::site::ConnectorFields;

    fn known(id: i64, number: i32, label: Option<&str>) -> KnownConnector {
        KnownConnector {
            id,
            connector_id: Some(number),
            label: label.map(Into::into),
            price: None,
            price_unit: None,
        }
    }

    fn input(id: Option<i64>, number: Option<i32>, label: Option<&str>) -> ConnectorInput {
        ConnectorInput {
            id,
            number,
            fields: ConnectorFields { label: label.map(Into::into), ..Default::default() },
        }
    }

    fn found(known: &[KnownConnector], inputs: &[ConnectorInput]) -> Vec<(bool, i64)> {
        let one = |place: Place<'_>| match place {
            Place::Known(it) => (true, it.id),
            Place::New(number) => (false, number.into()),
        };
        places(known, inputs).unwrap().into_iter().map(one).collect()
    }

    #[test]
    fn connectors_are_known_by_id_then_number_then_label() {
        let rows = [known(10, 1, Some("A")), known(11, 2, Some("B"))];
        let inputs =
            [input(Some(11), None, None), input(None, Some(1), Some("x")), input(None, None, Some("B"))];
        assert_eq!(found(&rows, &inputs), [(true, 11), (true, 10), (false, 3)]);
        assert_eq!(found(&rows, &[input(None, None, Some("B"))]), [(true, 11)]);
    }

    #[test]
    fn new_ones_take_free_numbers_and_are_found_again() {
        let inputs = [input(None, None, None), input(None, Some(1), None), input(None, None, None)];
        assert_eq!(found(&[], &inputs), [(false, 2), (false, 1), (false, 3)]);
        let rows = [known(10, 1, None), known(11, 2, None), known(12, 3, None)];
        assert_eq!(found(&rows, &inputs), [(true, 11), (true, 10), (true, 12)]);
    }

    #[test]
    fn a_foreign_id_and_one_meant_twice_are_refused() {
        let rows = [known(10, 1, None)];
        assert!(matches!(places(&rows, &[input(Some(99), None, None)]), Err(Fault::NotFound(_))));
        let twice = [input(Some(10), None, None), input(None, Some(1), None)];
        assert!(matches!(places(&rows, &twice), Err(Fault::BadInput(_))));
    }
}
