//! The generated API over a real database: every family of operations, for those whose rows they are and for those whose not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mistakes;
mod reading;
#[path = "../support/mod.rs"]
mod support;
mod watching;
mod writing;

use serde_json::{Value, json};
use support::Person;
use support::world::World;

/// An owner with two sites, and others who are not he.
struct Cast {
    world: World,
    owner_id: i64,
    owner: Person,
    stranger: Person,
    driver: Person,
    admin: Person,
    /// With stations and connectors A, B, C, D; empty.
    sites: [i64; 2],
}

const SAVE: &str = "mutation($input: CustomSiteCreateInputDto!) { createOrUpdateSiteWithChargePoints(input: $input) { siteId } }";

impl Cast {
    async fn new() -> Self {
        let world = World::new().await;
        let (owner_id, owner) = world.person("owner", "business-owner").await;
        let (_, stranger) = world.person("stranger", "business-owner").await;
        let (_, driver) = world.person("driver", "driver").await;
        let (_, admin) = world.person("admin", "administrator").await;
        let mut sites = [0; 2];
        for (site, input) in sites.iter_mut().zip([full_site(), empty_site()]) {
            let made = owner.get(SAVE, json!({"input": {"data": input}})).await;
            *site = made["createOrUpdateSiteWithChargePoints"]["siteId"].as_i64().unwrap();
        }
        Self { world, owner_id, owner, stranger, driver, admin, sites }
    }

    fn people(&self) -> [&Person; 4] {
        [&self.owner, &self.stranger, &self.driver, &self.admin]
    }
}

fn full_site() -> Value {
    let connector = |label: &str, number: u8, kind: &str, power: u8, price: f64| {
        json!({"label": label, "connectorId": number, "connectorTypeName": kind, "connectorTypeId": "1",
               "power": power, "maxPower": 60, "price": price, "priceUnit": "$/kWh"})
    };
    json!({
        "name": "Full", "site": "Site", "zip_code": 100_000, "phone_number": "+7923923923", "default_price": 0.25,
        "information": "Information", "instant_power": 100, "address": "1 Main St",
        "location": {"type": "Point", "coordinates": [-122.4, 37.7]},
        "chargepoints": [
            {"chargePointHardwareId": "15", "chargePointName": "first", "power": 100, "connectors": [
                connector("A", 1, "Type 1", 7, 0.25), connector("B", 2, "Type 1", 7, 0.25), connector("C", 3, "CCS2", 50, 0.45)]},
            {"chargePointHardwareId": "16", "connectors": [connector("D", 1, "CCS2", 50, 0.45)]},
        ],
    })
}

fn empty_site() -> Value {
    json!({"name": "Empty", "zip_code": 1, "default_price": 0.5})
}

#[tokio::test]
async fn the_entities() {
    let cast = Cast::new().await;
    reading::all(&cast).await;
    mistakes::all(&cast).await;
    watching::all(&cast).await;
    writing::all(&cast).await;
}
