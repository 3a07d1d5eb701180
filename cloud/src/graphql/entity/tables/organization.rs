//! Who runs sites together.

use super::SITE;
use crate::auth::Deed;
use crate::graphql::entity::table::{Create, Entity, Field, Kind, Relation, Tenancy, Through};

pub(in crate::graphql::entity) static ORGANIZATION: Entity = Entity {
    name: "Organization",
    plural: "Organizations",
    one: "organization",
    many: "organizations",
    input: "OrganizationInput",
    table: "organizations",
    alias: "o",
    fields: &[
        Field::ID,
        Field::text("name", "name").made(Create::Required),
        Field::text("email", "email").made(Create::Required),
        Field::text("phone_number", "phone_number").made(Create::Required),
        Field::new("location", "location", Kind::Place).made(Create::Optional),
        Field::text("address", "address").made(Create::Required),
        Field::new("zip_code", "zip_code", Kind::DOUBLE).made(Create::Required),
        Field::new("created_at", "created_at", Kind::Time).kept(),
        Field::new("updated_at", "updated_at", Kind::Time).kept(),
    ],
    relations: &[Relation { target: &SITE, own: "id", theirs: "organization_id", needed: false }],
    filters: &[Through { key: "Site", target: &SITE, own: "id", theirs: "organization_id" }],
    tenancy: Tenancy::Organization,
    see: Deed::SeeOrganizations,
    change: Deed::ChangeOrganizations,
    unique: "organization",
};
