//! People. What one may do is shown and never written here.

use crate::auth::Deed;
use crate::graphql::entity::table::{Create, Entity, Field, Kind, Tenancy, Text};

const fn account(name: &'static str, column: &'static str) -> Field {
    Field::new(name, column, Kind::Text(Text::Account)).made(Create::Optional)
}

pub(in crate::graphql::entity) static USER: Entity = Entity {
    name: "User",
    plural: "Users",
    one: "user",
    many: "users",
    input: "CreateUser",
    table: "users",
    alias: "u",
    fields: &[
        Field::ID.made(Create::Optional),
        Field::text("name", "name").made(Create::Optional),
        account("username", "username"),
        account("phone", "phone").promised(),
        account("email", "email"),
        Field::text("country", "country").made(Create::Optional),
        Field::text("state", "state").made(Create::Optional),
        Field::text("address", "address").made(Create::Optional),
        Field::text("unit", "unit").made(Create::Optional),
        Field::text("city", "city").made(Create::Optional),
        Field::new("zip", "zip", Kind::DOUBLE).made(Create::Optional),
        Field::text("role", "role").required().shown(),
    ],
    relations: &[],
    filters: &[],
    tenancy: Tenancy::User,
    see: Deed::ManageUsers,
    change: Deed::ManageUsers,
    unique: "username, phone or email",
};
