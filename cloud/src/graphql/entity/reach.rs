//! Which rows somebody reaches, as a condition. Row-level security says the same again.

use sqlx::{Postgres, QueryBuilder};

use super::table::{Entity, Tenancy};
use crate::auth::Reach;

/// Writes the condition that a row is within reach.
pub(super) fn push_reach(entity: &Entity, reach: &Reach, sql: &mut QueryBuilder<Postgres>) {
    if reach.everything {
        sql.push("true");
        return;
    }
    let alias = entity.alias;
    match entity.tenancy {
        Tenancy::Site => push_site(alias, reach, sql),
        Tenancy::AtSite => {
            sql.push(format_args!("{alias}.site_id in (select own.id from sites own where "));
            push_site("own", reach, sql);
            sql.push(")");
        }
        Tenancy::Organization => {
            sql.push(format_args!("({alias}.owner_id = ")).push_bind(reach.user);
            sql.push(format_args!(" or {alias}.id = any(")).push_bind(reach.organizations.clone()).push("))");
        }
        Tenancy::User => {
            sql.push(format_args!("{alias}.id = ")).push_bind(reach.user);
        }
    }
}

fn push_site(alias: &str, reach: &Reach, sql: &mut QueryBuilder<Postgres>) {
    sql.push(format_args!("({alias}.owner_id = ")).push_bind(reach.user);
    sql.push(format_args!(" or {alias}.organization_id = any("))
        .push_bind(reach.organizations.clone())
        .push("))");
}
