//! The five entities. Field names, nullability and what an input takes are the first API's.

mod charge_point;
mod connector;
mod organization;
mod site;
mod user;

use super::table::Entity;
pub(super) use charge_point::CHARGE_POINT;
pub(super) use connector::CONNECTOR;
pub(super) use organization::ORGANIZATION;
pub(super) use site::SITE;
pub(super) use user::USER;

pub(super) static ALL: [&Entity; 5] = [&SITE, &CHARGE_POINT, &CONNECTOR, &USER, &ORGANIZATION];
