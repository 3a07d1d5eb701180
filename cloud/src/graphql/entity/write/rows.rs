//! Rows locked, written and deleted; each as JSON under the API's names, for the log and whoever lives from it.

use std::collections::HashMap;

use serde_json::Value as Json;
use sqlx::types::Json as Column;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::cells::Cells;
use crate::auth::Reach;
use crate::graphql::entity::reach::push_reach;
use crate::graphql::entity::table::{Entity, Field, Tenancy};
use crate::graphql::error::Result;
use crate::graphql::filter::Where;

/// Which rows are meant.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    These(&'a [i64]),
    Passing(&'a Where),
    /// Those whose column has this value.
    Linked(&'static str, i64),
}

/// A row as JSON: its fields, and whose it is.
fn record(entity: &Entity) -> String {
    let pair = |field: &Field| format!("'{}', {}", field.name, entity.sql(field.column));
    let mut pairs: Vec<String> = entity.fields.iter().map(pair).collect();
    let alias = entity.alias;
    match entity.tenancy {
        Tenancy::AtSite => {
            for (name, column) in [("ownerId", "owner_id"), ("organizationId", "organization_id")] {
                pairs.push(format!(
                    "'{name}', (select at.{column} from sites at where at.id = {alias}.site_id)"
                ));
            }
        }
        Tenancy::Organization => pairs.push(format!("'ownerId', {alias}.owner_id")),
        Tenancy::Site | Tenancy::User => {}
    }
    format!("jsonb_build_object({})", pairs.join(", "))
}

/// Rows within reach, locked until the end of the transaction.
pub(super) async fn locked(
    tx: &mut PgConnection,
    entity: &'static Entity,
    reach: &Reach,
    which: Which<'_>,
    most: usize,
) -> Result<Vec<(i64, Json)>> {
    let id = entity.sql("id");
    let mut sql = QueryBuilder::new(format!("select {id}, {}", record(entity)));
    sql.push(format_args!(" from {} {} where ", entity.table, entity.alias));
    push_reach(entity, reach, &mut sql);
    sql.push(" and ");
    match which {
        Which::These(ids) => {
            sql.push(format_args!("{id} = any(")).push_bind(ids.to_vec()).push(")");
        }
        Which::Passing(filter) => filter.push(&mut sql)?,
        Which::Linked(column, value) => {
            sql.push(format_args!("{} = ", entity.sql(column))).push_bind(value);
        }
    }
    sql.push(format_args!(" order by {id} limit ")).push_bind(i64::try_from(most).unwrap_or(i64::MAX));
    sql.push(format_args!(" for update of {}", entity.alias));
    let rows: Vec<(i64, Column<Json>)> = sql.build_query_as().persistent(false).fetch_all(tx).await?;
    Ok(rows.into_iter().map(|(id, row)| (id, row.0)).collect())
}

/// Rows as they are now.
pub(super) async fn records(
    tx: &mut PgConnection,
    entity: &'static Entity,
    ids: &[i64],
) -> sqlx::Result<HashMap<i64, Json>> {
    records_by(tx, entity, "id", ids).await
}

/// The same, by another column.
pub(super) async fn records_by(
    tx: &mut PgConnection,
    entity: &'static Entity,
    column: &'static str,
    values: &[i64],
) -> sqlx::Result<HashMap<i64, Json>> {
    let (id, record) = (entity.sql("id"), record(entity));
    let mut sql = QueryBuilder::<Postgres>::new(format!(
        "select {id}, {record} from {} {}",
        entity.table, entity.alias
    ));
    sql.push(format_args!(" where {} = any(", entity.sql(column))).push_bind(values.to_vec()).push(")");
    let rows: Vec<(i64, Column<Json>)> = sql.build_query_as().fetch_all(tx).await?;
    Ok(rows.into_iter().map(|(id, row)| (id, row.0)).collect())
}

/// A new row; what is not said of it is the column's default, or the field's.
pub(super) async fn insert(
    tx: &mut PgConnection,
    entity: &'static Entity,
    cells: &Cells,
    owner: Option<String>,
) -> sqlx::Result<i64> {
    let missing: Vec<_> = entity
        .fields
        .iter()
        .filter(|field| cells.get(field.name).is_none())
        .filter_map(|field| Some((field.column, field.default?)))
        .collect();
    let written = cells.0.iter().map(|(field, _)| field.column);
    let columns: Vec<&str> = written
        .chain(missing.iter().map(|(column, _)| *column))
        .chain(owner.as_ref().map(|_| "owner_id"))
        .collect();
    if columns.is_empty() {
        let sql = format!("insert into {} default values returning id", entity.table);
        return sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(tx).await;
    }
    let mut sql =
        QueryBuilder::new(format!("insert into {} ({}) values (", entity.table, columns.join(", ")));
    let mut separator = "";
    for (field, cell) in &cells.0 {
        sql.push(separator);
        cell.push(field, &mut sql);
        separator = ", ";
    }
    for value in missing.iter().map(|(_, default)| *default).chain(owner.as_deref()) {
        sql.push(format_args!("{separator}{value}"));
        separator = ", ";
    }
    sql.push(") returning id");
    sql.build_query_scalar().persistent(false).fetch_one(tx).await
}

/// Writes cells into a row; false when it has these values already, so that `updated_at` tells the truth.
pub(super) async fn update(
    tx: &mut PgConnection,
    entity: &'static Entity,
    id: i64,
    cells: &Cells,
) -> sqlx::Result<bool> {
    if cells.0.is_empty() {
        return Ok(false);
    }
    let columns: Vec<&str> = cells.0.iter().map(|(field, _)| field.column).collect();
    let each =
        |part: &dyn Fn(&str) -> String| columns.iter().map(|it| part(it)).collect::<Vec<_>>().join(", ");
    let assigned = each(&|column| format!("{column} = new.{column}"));
    let (old, new) = (each(&|column| entity.sql(column)), each(&|column| format!("new.{column}")));
    let mut sql = QueryBuilder::new(format!(
        "update {} {} set {assigned}, updated_at = now() from (select ",
        entity.table, entity.alias
    ));
    for (place, (field, cell)) in cells.0.iter().enumerate() {
        sql.push(if place == 0 { "" } else { ", " });
        cell.push(field, &mut sql);
        sql.push(format_args!(" as {}", field.column));
    }
    sql.push(format_args!(") new where {} = ", entity.sql("id"))).push_bind(id);
    sql.push(format_args!(" and ({old}) is distinct from ({new})"));
    Ok(sql.build().persistent(false).execute(tx).await?.rows_affected() > 0)
}

pub(super) async fn delete(tx: &mut PgConnection, entity: &'static Entity, ids: &[i64]) -> sqlx::Result<()> {
    let mut sql = QueryBuilder::<Postgres>::new(format!("delete from {} where id = any(", entity.table));
    sql.push_bind(ids.to_vec()).push(")");
    sql.build().execute(tx).await?;
    Ok(())
}
