//! What a cloud of an older version would have in Postgres: what this one has, in the tables and columns that there were. And
//! how two databases are compared, schema and content.

use anyhow::{Context, Result};
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

const TABLES: &str = "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace
    and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> '_sqlx_migrations' order by 1";
const COLUMNS: &str = "select column_name::text from information_schema.columns
    where table_schema = 'public' and table_name = $1 and is_generated = 'NEVER' order by 1";
/// The next numbers after those that are taken.
const NUMBERS: &str = "select format('select setval(%L, (select coalesce(max(%I), 0) + 1 from %I), false)',
        pg_get_serial_sequence(format('%I', table_name), column_name), column_name, table_name)
    from information_schema.columns where table_schema = 'public' and is_identity = 'YES'";
const SCHEMA: &str = "
    select format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) as it
        from information_schema.columns where table_schema = 'public'
    union all select indexdef from pg_indexes where schemaname = 'public'
    union all select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'public'::regnamespace
    union all select format('%s %s %s %s %s', tablename, policyname, roles, qual, with_check) from pg_policies
    union all select oid::regprocedure || ' ' || md5(prosrc) from pg_proc where pronamespace = 'public'::regnamespace
    union all select tgrelid::regclass || ' ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select viewname || ' ' || definition from pg_views where schemaname = 'public'
    union all select format('%s %s', relname, relacl) from pg_class where relnamespace = 'public'::regnamespace
    union all select format('migration %s %s', version, success) from _sqlx_migrations
    order by it";
/// What people and money hang on; no program changes it by itself.
const KEPT: [&str; 8] =
    ["users", "sites", "charge_points", "id_tokens", "sessions", "meter_readings", "records", "bills"];

/// Tables that are compared, each with the columns that an old version had.
pub(super) type Shape = Vec<(&'static str, String)>;

/// Fills the tables that an old database has with what a new one has of them. What to compare afterwards.
pub(super) async fn fill(old: &mut PgConnection, new: &PgPool) -> Result<Shape> {
    sqlx::query("set session_replication_role = replica").execute(&mut *old).await?;
    let tables = tables(old).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("truncate {}", tables.join(", ")))).execute(&mut *old).await?;
    for table in tables {
        let columns = columns(old, &table).await?;
        let out = format!("copy (select {columns} from {table}) to stdout");
        let rows: Vec<bytes::Bytes> = new.copy_out_raw(&out).await?.try_collect().await?;
        let mut into = old.copy_in_raw(&format!("copy {table} ({columns}) from stdin")).await?;
        for piece in rows {
            into.send(piece.as_ref()).await?;
        }
        into.finish().await.with_context(|| table)?;
    }
    let numbers: Vec<String> = sqlx::query_scalar(NUMBERS).fetch_all(&mut *old).await?;
    for number in numbers {
        sqlx::raw_sql(AssertSqlSafe(number)).execute(&mut *old).await?;
    }
    sqlx::query("set session_replication_role = origin").execute(&mut *old).await?;
    shape(old).await
}

/// How many migrations are done.
pub(super) async fn version(db: &mut PgConnection) -> Result<i64> {
    let there = "select to_regclass('public._sqlx_migrations') is not null";
    if !sqlx::query_scalar::<_, bool>(there).fetch_one(&mut *db).await? {
        return Ok(0);
    }
    let done = "select coalesce(max(version), 0) from _sqlx_migrations where success";
    Ok(sqlx::query_scalar(done).fetch_one(db).await?)
}

/// Everything that a schema consists of.
pub(super) async fn schema(db: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(SCHEMA).fetch_all(db).await?)
}

/// What is kept, as a sum for each table, over the columns of this shape.
pub(super) async fn content(db: &mut PgConnection, shape: &Shape) -> Result<Vec<String>> {
    let mut sums = Vec::new();
    for (table, columns) in shape {
        let sum = format!(
            "select format('%s: %s rows, %s', '{table}', count(*), md5(coalesce(string_agg(it, '' order by it), '')))
             from (select md5(row({columns})::text) as it from {table}) rows"
        );
        sums.push(sqlx::query_scalar(AssertSqlSafe(sum)).fetch_one(&mut *db).await?);
    }
    Ok(sums)
}

async fn shape(db: &mut PgConnection) -> Result<Shape> {
    let mut shape = Vec::new();
    for table in KEPT {
        shape.push((table, columns(db, table).await?));
    }
    Ok(shape)
}

async fn tables(db: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(TABLES).fetch_all(db).await?)
}

async fn columns(db: &mut PgConnection, table: &str) -> Result<String> {
    let columns: Vec<String> = sqlx::query_scalar(COLUMNS).bind(table).fetch_all(db).await?;
    anyhow::ensure!(!columns.is_empty(), "no table {table}");
    let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    Ok(quoted.join(", "))
}
