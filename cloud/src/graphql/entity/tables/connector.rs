//! What a car is plugged into.

use super::{CHARGE_POINT, SITE};
use crate::auth::Deed;
use crate::graphql::entity::table::{Create, Entity, Field, Kind, Number, Relation, Tenancy, Text, Through};

pub(in crate::graphql::entity) static CONNECTOR: Entity = Entity {
    name: "Connector",
    plural: "Connectors",
    one: "connector",
    many: "connectors",
    input: "ConnectorInput",
    table: "connectors",
    alias: "c",
    fields: &[
        Field::ID,
        Field::text("label", "label").made(Create::Optional),
        Field::new("connectorId", "connector_id", Kind::Number(Number::Evse)).made(Create::Optional),
        Field::text("chargePointHardwareId", "charge_point_hardware_id").made(Create::Optional),
        Field::text("connectorTypeName", "connector_type_name").made(Create::Optional).or("''"),
        Field::text("connectorTypeId", "connector_type_id").made(Create::Optional),
        Field::new("statusId", "status_id", Kind::DOUBLE).or("0"),
        // Broken, until its station says otherwise.
        Field::text("statusName", "status_name").or("'Faulted'"),
        Field::text("information", "information").made(Create::Optional),
        Field::new("instantPower", "instant_power", Kind::DOUBLE).made(Create::Optional),
        Field::new("power", "power", Kind::DOUBLE).made(Create::Optional).or("0"),
        Field::new("maxPower", "max_power", Kind::DOUBLE).made(Create::Optional).or("0"),
        Field::new("price", "price", Kind::PRICE).made(Create::Optional).or("0"),
        Field::new("priceUnit", "price_unit", Kind::Text(Text::PriceUnit))
            .made(Create::Optional)
            .or("'$/kWh'"),
        Field::new("consumption", "consumption", Kind::DOUBLE),
        Field::new("inactivity", "inactivity", Kind::DOUBLE),
        Field::new("created_at", "created_at", Kind::Time).kept(),
        Field::new("updated_at", "updated_at", Kind::Time).kept(),
        Field::new("deleted_at", "deleted_at", Kind::Time),
        Field::new("chargePointId", "charge_point_id", Kind::REFERENCE).unfiltered().made(Create::Required),
        Field::new("siteId", "site_id", Kind::REFERENCE).required().unfiltered().made(Create::Required),
    ],
    relations: &[
        Relation { target: &CHARGE_POINT, own: "charge_point_id", theirs: "id", needed: false },
        Relation { target: &SITE, own: "site_id", theirs: "id", needed: true },
    ],
    filters: &[
        Through { key: "site", target: &SITE, own: "site_id", theirs: "id" },
        Through { key: "chargePoint", target: &CHARGE_POINT, own: "charge_point_id", theirs: "id" },
    ],
    tenancy: Tenancy::AtSite,
    see: Deed::SeeSites,
    change: Deed::ChangeSites,
    unique: "connectorId",
};
