//! The second wall, tried without the first: raw SQL in a viewer's transaction, over every table there is.
//!
//! A table is guarded by row-level security, or closed to the viewers' role; one that is open must be named here, with why.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;
#[allow(dead_code, reason = "the matrix uses the rest")]
#[path = "matrix/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use cloud::auth::Viewer;
use cloud::db::{user, viewer};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use world::{OURS, THEIRS, World};

/// What viewers may read although it is not only theirs.
const OPEN: [(&str, &str); 4] = [
    ("public_sites", "a site's name and address are on the map"),
    ("public_connectors", "a connector's type is on the map"),
    ("public_places", "where a connector is, is on the map"),
    ("own_cards", "which card opens which site, in numbers; the cards and the sites themselves are guarded"),
];

/// A table or view, and what the viewers' role may do with which columns.
struct Relation {
    name: String,
    guarded: bool,
    may: BTreeMap<&'static str, Vec<String>>,
}

#[tokio::test]
async fn postgres_shows_and_changes_nothing_of_another_tenant() {
    let world = World::new().await;
    let db = &world.shared.app.db;
    let relations = relations(db).await;
    let guarded: Vec<_> = relations.iter().filter(|it| it.guarded && !it.may["select"].is_empty()).collect();
    let open =
        relations.iter().filter(|it| !it.guarded && it.may.values().any(|columns| !columns.is_empty()));
    let open: BTreeSet<&str> = open.map(|it| it.name.as_str()).collect();
    let known: BTreeSet<&str> = OPEN.iter().map(|(name, _)| *name).collect();
    assert_eq!(open, known, "open to viewers: guard it, close it, or say in OPEN why they may read it");
    let mut tried = 0;
    for person in 1..=7 {
        let viewer = somebody(db, OURS.base + person).await;
        for it in &guarded {
            tried += sees_nothing(db, &viewer, it).await + changes_nothing(db, &viewer, it).await;
            tried += adds_nothing(db, &viewer, it).await;
        }
    }
    println!(
        "walls: {} relations, {} guarded, 7 viewers: {tried} attempts, 0 got through",
        relations.len(),
        guarded.len()
    );
}

async fn relations(db: &PgPool) -> Vec<Relation> {
    let rows: Vec<(String, bool, String, String)> = sqlx::query_as(
        "select c.relname::text, c.relrowsecurity, a.attname::text, concat_ws(' ',
             case when has_column_privilege('evb_viewer', c.oid, a.attnum, 'select') then 'select' end,
             case when has_column_privilege('evb_viewer', c.oid, a.attnum, 'update') then 'update' end,
             case when has_column_privilege('evb_viewer', c.oid, a.attnum, 'insert') and a.attgenerated = '' then 'insert' end,
             case when has_table_privilege('evb_viewer', c.oid, 'delete') then 'delete' end)
         from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0
           and not a.attisdropped
         order by 1, a.attnum",
    )
    .fetch_all(db)
    .await
    .unwrap();
    let mut relations: Vec<Relation> = vec![];
    for (name, guarded, column, rights) in rows {
        if relations.last().is_none_or(|it| it.name != name) {
            let may = ["select", "update", "insert", "delete"].map(|right| (right, vec![])).into();
            relations.push(Relation { name, guarded, may });
        }
        let relation = relations.last_mut().unwrap();
        for (right, columns) in &mut relation.may {
            if rights.split(' ').any(|it| it == *right) {
                columns.push(format!("\"{column}\""));
            }
        }
    }
    relations
}

async fn somebody(db: &PgPool, id: i64) -> Viewer {
    let standing = user::standing(db, id, None).await.unwrap().unwrap();
    let memberships = standing.memberships();
    Viewer { id, role: standing.role.parse().unwrap(), memberships, ..nobody_yet() }
}

fn nobody_yet() -> Viewer {
    Viewer { id: 0, role: cloud::auth::Role::Driver, memberships: vec![], expires_at: i64::MAX }
}

async fn sees_nothing(db: &PgPool, viewer: &Viewer, it: &Relation) -> usize {
    let mut tx = viewer::begin(db, viewer).await.unwrap();
    let sql = format!(
        "select count(*) from {} where concat_ws(' ', {}) ~ $1",
        it.name,
        it.may["select"].join(", ")
    );
    let seen: i64 =
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(THEIRS.pattern()).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(seen, 0, "{} sees {} of another tenant", viewer.id, it.name);
    1
}

async fn changes_nothing(db: &PgPool, viewer: &Viewer, it: &Relation) -> usize {
    let mut attempts = vec![];
    attempts
        .extend(it.may["update"].first().map(|column| format!("update {} set {column} = {column}", it.name)));
    attempts.extend(it.may["delete"].first().map(|_| format!("delete from {}", it.name)));
    for sql in &attempts {
        let mut tx = viewer::begin(db, viewer).await.unwrap();
        let before = theirs(db.acquire().await.unwrap().as_mut(), it).await;
        if sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut *tx).await.is_ok() {
            viewer::as_ourselves(&mut tx).await.unwrap();
            assert_eq!(theirs(&mut tx, it).await, before, "{} as {}", sql, viewer.id);
        }
    }
    attempts.len()
}

/// How many rows the other tenant has, and when each was last written.
async fn theirs(db: &mut PgConnection, it: &Relation) -> String {
    let sql = format!(
        "select count(*) || ' ' || coalesce(string_agg(xmin::text, ' ' order by t::text), '') from {} t where t::text ~ $1",
        it.name
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).bind(THEIRS.pattern()).fetch_one(db).await.unwrap()
}

/// A copy of each of their rows is refused for whose it would be, not for being there already.
async fn adds_nothing(db: &PgPool, viewer: &Viewer, it: &Relation) -> usize {
    let columns = it.may["insert"].join(", ");
    if columns.is_empty() {
        return 0;
    }
    let sql = format!("select to_jsonb(t)::text from {} t where t::text ~ $1", it.name);
    let rows: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(THEIRS.pattern()).fetch_all(db).await.unwrap();
    for row in &rows {
        let mut tx = viewer::begin(db, viewer).await.unwrap();
        let sql = format!(
            "insert into {0} ({columns}) overriding system value select {columns} from jsonb_populate_record(null::{0}, $1::jsonb)",
            it.name
        );
        let refused = sqlx::query(AssertSqlSafe(sql)).bind(row).execute(&mut *tx).await.unwrap_err();
        let code = refused.as_database_error().and_then(|it| it.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{} as {}: {row}: {refused}", it.name, viewer.id);
    }
    rows.len()
}
