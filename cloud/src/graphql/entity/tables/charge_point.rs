//! Charging stations.

use super::CONNECTOR;
use crate::auth::Deed;
use crate::graphql::entity::table::{Create, Entity, Field, Kind, Relation, Tenancy, Text, Through};

pub(in crate::graphql::entity) static CHARGE_POINT: Entity = Entity {
    name: "ChargePoint",
    plural: "ChargePoints",
    one: "chargePoint",
    many: "chargePoints",
    input: "ChargePointInput",
    table: "charge_points",
    alias: "cp",
    fields: &[
        Field::ID,
        Field::new("chargePointHardwareId", "charge_point_hardware_id", Kind::Text(Text::Identity))
            .made(Create::Optional),
        Field::text("chargePointName", "charge_point_name").made(Create::Optional).or("''"),
        Field::text("owner", "owner"),
        Field::text("status", "status"),
        Field::new("instantPower", "instant_power", Kind::DOUBLE).made(Create::Optional).or("0"),
        Field::new("power", "power", Kind::DOUBLE).made(Create::Optional).or("0"),
        Field::new("public", "public", Kind::Boolean).made(Create::Optional),
        Field::new("ocpp_event_timestamp", "last_seen_at", Kind::Time).kept(),
        Field::new("created_at", "created_at", Kind::Time).kept(),
        Field::new("updated_at", "updated_at", Kind::Time).kept(),
        Field::text("vendor", "vendor").shown(),
        Field::text("model", "model").shown(),
        Field::text("serialNumber", "serial_number").shown(),
        Field::text("firmware", "firmware").shown(),
        Field::new("heldAt", "held_at", Kind::Time).shown(),
        Field::text("stationStatus", "station_status").shown(),
        Field::text("stationError", "station_error").shown(),
        Field::new("clockSkewMs", "clock_skew_ms", Kind::DOUBLE).shown(),
        Field::new("deleted_at", "deleted_at", Kind::Time),
        Field::new("siteId", "site_id", Kind::REFERENCE).required().made(Create::Required),
    ],
    relations: &[Relation { target: &CONNECTOR, own: "id", theirs: "charge_point_id", needed: false }],
    filters: &[Through { key: "connectors", target: &CONNECTOR, own: "id", theirs: "charge_point_id" }],
    tenancy: Tenancy::AtSite,
    see: Deed::SeeSites,
    change: Deed::ChangeSites,
    unique: "chargePointHardwareId",
};
