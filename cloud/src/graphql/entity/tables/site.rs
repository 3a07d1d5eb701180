//! Where stations stand.

use super::{CHARGE_POINT, CONNECTOR};
use crate::auth::Deed;
use crate::graphql::entity::table::{Create, Entity, Field, Kind, Relation, Tenancy, Through};

pub(in crate::graphql::entity) static SITE: Entity = Entity {
    name: "Site",
    plural: "Sites",
    one: "site",
    many: "sites",
    input: "SiteInput",
    table: "sites",
    alias: "s",
    fields: &[
        Field::ID,
        Field::text("name", "name").made(Create::Required),
        Field::text("site", "site").made(Create::Required),
        Field::text("site_area", "site_area").made(Create::Required),
        Field::new("location", "location", Kind::Place).required().made(Create::Required),
        Field::text("address", "address").made(Create::Required),
        Field::new("zip_code", "zip_code", Kind::DOUBLE).made(Create::Required),
        Field::text("phone_number", "phone_number").made(Create::Required),
        Field::new("default_price", "default_price", Kind::PRICE).made(Create::Required),
        Field::text("information", "information").made(Create::Required),
        Field::text("dynamic_asset", "dynamic_asset").made(Create::Required),
        Field::text("asset_type", "asset_type").made(Create::Required),
        Field::new("instant_power", "instant_power", Kind::DOUBLE).made(Create::Required),
        Field::text("battery", "battery").required().made(Create::Required),
        Field::new("organizationId", "organization_id", Kind::REFERENCE).made(Create::Optional),
        Field::new("ownerId", "owner_id", Kind::REFERENCE),
    ],
    relations: &[
        Relation { target: &CHARGE_POINT, own: "id", theirs: "site_id", needed: true },
        Relation { target: &CONNECTOR, own: "id", theirs: "site_id", needed: true },
    ],
    filters: &[
        Through { key: "connectors", target: &CONNECTOR, own: "id", theirs: "site_id" },
        Through { key: "chargePoint", target: &CHARGE_POINT, own: "id", theirs: "site_id" },
    ],
    tenancy: Tenancy::Site,
    see: Deed::SeeSites,
    change: Deed::ChangeSites,
    unique: "site",
};
