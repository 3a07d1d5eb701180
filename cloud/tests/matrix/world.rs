//! Two databases: one where a tenant is alone, one where another tenant is, too. Whoever belongs to the first must not notice.

use std::collections::BTreeMap;

use cloud::{App, Config, auth};
use serde_json::json;
use shared::id::{CommandId, GatewayId};
use shared::model::command::{CommandResult, Outcome};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;

use crate::support::{Person, api_with};

/// Where a tenant's numbers begin, what its texts begin with, how its uuids begin.
#[derive(Clone, Copy)]
pub(crate) struct Tenant {
    pub(crate) base: i64,
    pub(crate) text: &'static str,
    pub(crate) hex: &'static str,
}

pub(crate) const OURS: Tenant = Tenant { base: 410_550_000, text: "ours", hex: "aaaaaaaa" };
pub(crate) const THEIRS: Tenant = Tenant { base: 773_421_000, text: "theirs", hex: "bbbbbbbb" };

const PASSWORD: &str = "correct horse battery";
const ADMINISTRATOR: i64 = 9;
/// Tables of the installation as a whole: a tenant has nothing in them.
const NOBODYS_TABLES: [&str; 5] =
    ["_sqlx_migrations", "public_lists", "replicas", "shard_leases", "signing_keys"];

impl Tenant {
    /// Does a line of text show anything of this tenant?
    pub(crate) fn shows_in(self, text: &str) -> bool {
        let numbers = &self.base.to_string()[..6];
        text.contains(self.text) || text.contains(self.hex) || text.contains(numbers)
    }

    pub(crate) fn pattern(self) -> String {
        format!("{}|{}|{}", self.text, self.hex, &self.base.to_string()[..6])
    }
}

/// New rows get the same numbers on both sides.
const REWIND: &str = "select setval(quote_ident(sequencename)::regclass, 1000, false) from pg_sequences where schemaname = 'public';";
/// What gateways hold: everybody's cards are in it, because everybody may charge at public stations.
const DERIVED_TABLES: [&str; 4] = ["document_bodies", "documents", "public_lists", "stale_lists"];

/// One database and the API over it.
pub(crate) struct Side {
    pub(crate) app: App,
    pub(crate) anybody: Person,
    /// Each with the statements that put its rows back.
    tables: BTreeMap<String, String>,
    baseline: BTreeMap<String, Prints>,
}

/// What a table holds: in all, and of the other tenant.
#[derive(Clone, PartialEq, Eq)]
struct Prints {
    all: String,
    theirs: String,
}

pub(crate) struct World {
    _dir: TempDir,
    _postgres: stack::postgres::Postgres,
    pub(crate) alone: Side,
    pub(crate) shared: Side,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let postgres = stack::postgres::Postgres::start(dir.path()).await.unwrap();
        let hash = auth::hash_password(PASSWORD).await.unwrap();
        let alone = Side::new(&postgres, &[OURS], &hash).await;
        let shared = Side::new(&postgres, &[OURS, THEIRS], &hash).await;
        Self { _dir: dir, _postgres: postgres, alone, shared }
    }

    /// From here on, `restore` comes back to what is now.
    pub(crate) async fn keep(&mut self) {
        self.alone.keep().await;
        self.shared.keep().await;
        for (table, prints) in &self.shared.baseline {
            assert!(
                prints.all != self.alone.baseline[table].all || NOBODYS_TABLES.contains(&table.as_str()),
                "table {table} has no row of a tenant: add one to tests/matrix/tenant.sql, or the table to NOBODYS_TABLES"
            );
        }
    }
}

impl Side {
    async fn new(postgres: &stack::postgres::Postgres, tenants: &[Tenant], hash: &str) -> Self {
        let url = postgres.create_database().await.unwrap();
        let db = PgPoolOptions::new().max_connections(2).connect(&url).await.unwrap();
        sqlx::migrate!().run(&db).await.unwrap();
        let administrator = format!(
            "insert into users (id, name, username, phone, role, password_hash)
             values ({ADMINISTRATOR}, 'administrator', 'administrator', '+1', 'administrator', '{hash}')"
        );
        run(&db, administrator).await;
        for tenant in tenants {
            let sql = include_str!("tenant.sql")
                .replace("{b}", &tenant.base.to_string())
                .replace("{t}", tenant.text)
                .replace("{h}", tenant.hex)
                .replace("{password}", hash);
            run(&db, sql).await;
        }
        let unhindered = |config: &mut Config| {
            config.api.points_per_second_and_address = 0;
            config.api.points_per_second_and_user = 0;
        };
        let (router, app) = api_with(&url, unhindered).await;
        tokio::spawn(answer_commands(app.clone()));
        let anybody = Person { router, token: None };
        Self { app, anybody, tables: BTreeMap::new(), baseline: BTreeMap::new() }
    }

    async fn keep(&mut self) {
        let tables: Vec<String> = sqlx::query_scalar(
            "select relname::text from pg_class
             where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by relname",
        )
        .fetch_all(&self.app.db)
        .await
        .unwrap();
        run(&self.app.db, "create schema kept".into()).await;
        for table in tables {
            run(&self.app.db, format!("create table kept.{table} as table public.{table}")).await;
            let columns = columns(&self.app.db, &table).await;
            let sql = format!(
                "delete from public.{table};
                 insert into public.{table} ({columns}) overriding system value select {columns} from kept.{table};"
            );
            self.tables.insert(table, sql);
        }
        run(&self.app.db, REWIND.into()).await;
        self.baseline = self.prints().await;
    }

    /// Somebody, signed in.
    pub(crate) async fn person(&self, username: &str) -> Person {
        let login = "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken } }";
        let input = json!({"input": {"username": username, "password": PASSWORD}});
        let token = self.anybody.get(login, input).await["login"]["accessToken"].as_str().unwrap().to_owned();
        Person { token: Some(token), ..self.anybody.clone() }
    }

    async fn prints(&self) -> BTreeMap<String, Prints> {
        let of = |table: &String| {
            format!(
                "select '{table}', coalesce(md5(string_agg(t::text, '' order by t::text)), ''),
                        coalesce(md5(string_agg(t::text, '' order by t::text) filter (where t::text ~ '{}')), '')
                 from public.{table} t",
                THEIRS.pattern()
            )
        };
        let sql = self.tables.keys().map(of).collect::<Vec<_>>().join(" union all ");
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.app.db).await.unwrap();
        rows.into_iter().map(|(table, all, theirs)| (table, Prints { all, theirs })).collect()
    }

    /// How much was ever written, by anybody: while it stays the same, no row has changed.
    pub(crate) async fn written(&self) -> String {
        sqlx::query_scalar("select pg_current_wal_insert_lsn()::text").fetch_one(&self.app.db).await.unwrap()
    }

    /// Puts every row back. Returns the tables in which something of the other tenant had changed.
    pub(crate) async fn restore(&self) -> Vec<String> {
        let prints = self.prints().await;
        let changed: Vec<&String> =
            self.tables.keys().filter(|it| prints[*it] != self.baseline[*it]).collect();
        let touched = changed.iter().filter(|it| {
            prints[**it].theirs != self.baseline[**it].theirs && !DERIVED_TABLES.contains(&it.as_str())
        });
        let touched = touched.map(|it| (*it).clone()).collect();
        if !changed.is_empty() {
            // No trigger and no foreign key stands in the way of going back.
            let mut sql = String::from("set local session_replication_role = replica;");
            sql.extend(changed.iter().map(|table| self.tables[*table].as_str()));
            sql += REWIND;
            run(&self.app.db, sql).await;
        }
        touched
    }
}

async fn columns(db: &PgPool, table: &str) -> String {
    sqlx::query_scalar(
        "select string_agg(quote_ident(column_name), ', ') from information_schema.columns
         where table_schema = 'public' and table_name = $1 and is_generated = 'NEVER'",
    )
    .bind(table)
    .fetch_one(db)
    .await
    .unwrap()
}

async fn run(db: &PgPool, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(format!("begin; {sql}; commit;"))).execute(db).await.unwrap();
}

/// Every station says no at once, so that nobody waits.
async fn answer_commands(app: App) {
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let open = "select gateway_id, id from commands where state <> 'finished'";
        let open: Vec<(uuid::Uuid, uuid::Uuid)> =
            sqlx::query_as(open).fetch_all(&app.db).await.unwrap_or_default();
        for (gateway, id) in open {
            let mut tx = app.db.begin().await.unwrap();
            let result = CommandResult::plain(CommandId(id), Outcome::Rejected, "no", cloud::clock::now());
            cloud::command::finish(&mut tx, GatewayId(gateway), &result).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}
