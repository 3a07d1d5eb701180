//! The second wall: what Postgres itself hides from a viewer, and the log that cannot be rewritten.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use cloud::auth::{MemberRole, Role, Viewer};
use cloud::db::{audit, viewer};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

async fn database() -> (TempDir, stack::postgres::Postgres, PgPool) {
    let dir = TempDir::new().unwrap();
    let postgres = stack::postgres::Postgres::start(dir.path()).await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let db = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    sqlx::migrate!().run(&db).await.unwrap();
    (dir, postgres, db)
}

fn somebody(id: i64, role: Role) -> Viewer {
    Viewer { id, role, memberships: vec![], expires_at: i64::MAX }
}

/// Ann owns site 1 and organization 1 with site 2, where Ben is an operator; site 3 and its session are Cem's, Dia charged there.
const WORLD: &str = "
    insert into users (id, name, role) overriding system value values
        (1, 'ann', 'business-owner'), (2, 'ben', 'driver'), (3, 'cem', 'business-owner'), (4, 'dia', 'driver');
    insert into organizations (id, owner_id, name) overriding system value values (1, 1, 'ann & co');
    insert into organization_members values (1, 2, 'operator');
    insert into sites (id, owner_id, organization_id, name) overriding system value values
        (1, 1, null, 'a1'), (2, 1, 1, 'a2'), (3, 3, null, 'c3');
    insert into charge_points (id, site_id) overriding system value values (1, 1), (2, 2), (3, 3);
    insert into connectors (id, site_id, charge_point_id, label) overriding system value values
        (1, 1, 1, 'k1'), (2, 2, 2, 'k2'), (3, 3, 3, 'k3');
    insert into sessions (id, gateway_id, site_id, user_id, station, evse) values
        (gen_random_uuid(), gen_random_uuid(), 3, 4, 'c', 1);
    insert into bills (session_id, user_id, currency, total_micros, lines) select id, 4, 'USD', 1, '[]' from sessions;";

async fn seen(db: &PgPool, who: &Viewer) -> String {
    let mut tx = viewer::begin(db, who).await.unwrap();
    sqlx::query_scalar(
        "select format('sites %s cps %s connectors %s organizations %s members %s users %s sessions %s bills %s',
            (select string_agg(id::text, '' order by id) from sites),
            (select string_agg(id::text, '' order by id) from charge_points),
            (select string_agg(id::text, '' order by id) from connectors),
            (select count(*) from organizations), (select count(*) from organization_members),
            (select string_agg(name, ',' order by id) from users), (select count(*) from sessions),
            (select count(*) from bills))",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn postgres_itself_hides_what_is_not_the_viewers() {
    let (_dir, _postgres, db) = database().await;
    sqlx::raw_sql(WORLD).execute(&db).await.unwrap();
    let [ann, ben, cem, dia] =
        [(1, Role::BusinessOwner), (2, Role::Driver), (3, Role::BusinessOwner), (4, Role::Driver)]
            .map(|(id, role)| somebody(id, role));

    let nothing = "organizations 0 members 0";
    assert_eq!(
        seen(&db, &ann).await,
        "sites 12 cps 12 connectors 12 organizations 1 members 1 users ann sessions 0 bills 0"
    );
    assert_eq!(
        seen(&db, &ben).await,
        "sites 2 cps 2 connectors 2 organizations 1 members 1 users ben sessions 0 bills 0"
    );
    assert_eq!(
        seen(&db, &cem).await,
        format!("sites 3 cps 3 connectors 3 {nothing} users cem sessions 1 bills 1")
    );
    assert_eq!(
        seen(&db, &dia).await,
        format!("sites  cps  connectors  {nothing} users dia sessions 1 bills 1")
    );
    let all = seen(&db, &somebody(99, Role::Administrator)).await;
    assert!(all.contains("sites 123") && all.contains("ann,ben,cem,dia"), "{all}");

    let affected = async |who: &Viewer, sql: &'static str| {
        let mut tx = viewer::begin(&db, who).await.unwrap();
        sqlx::query(sql).execute(&mut *tx).await.map(|done| done.rows_affected())
    };
    let rename = "update sites set name = 'mine'";
    assert_eq!(affected(&ann, rename).await.unwrap(), 2);
    assert_eq!(affected(&ben, rename).await.unwrap(), 0, "an operator changes no site");
    assert_eq!(affected(&cem, "delete from connectors").await.unwrap(), 1);
    for forbidden in [
        "insert into connectors (site_id) values (1)",
        "update connectors set site_id = 1",
        "update sites set owner_id = 1",
        "insert into organization_members values (1, 3, 'owner')",
        "update users set role = 'administrator'",
        "select password_hash from users",
        "select credential from charge_points",
        "select * from signing_keys",
        "select * from records",
        "select append_audit(3, null, 'x', 'Site', null, null, null, null, null, 1)",
    ] {
        assert!(affected(&cem, forbidden).await.is_err(), "{forbidden}");
    }
    sqlx::query("update users set name = name").execute(&db).await.unwrap();
}

#[tokio::test]
async fn an_owner_is_a_member_and_the_log_is_a_chain() {
    let (_dir, _postgres, db) = database().await;
    sqlx::raw_sql(WORLD).execute(&db).await.unwrap();
    let memberships =
        async |id| cloud::db::user::standing(&db, id, None).await.unwrap().unwrap().memberships();
    assert_eq!(memberships(1).await, [(1, MemberRole::Owner)]);
    assert_eq!(memberships(2).await, [(1, MemberRole::Operator)]);
    assert_eq!(memberships(3).await, []);

    let write = async |action: &str| {
        let mut tx = viewer::begin(&db, &somebody(1, Role::BusinessOwner)).await.unwrap();
        sqlx::query("update sites set name = $1 where id = 1").bind(action).execute(&mut *tx).await.unwrap();
        viewer::as_ourselves(&mut tx).await.unwrap();
        let entry = audit::Entry { actor: Some(1), action, entity: "Site", ..Default::default() };
        let id = audit::write(&mut tx, &entry).await.unwrap();
        tx.commit().await.unwrap();
        id
    };
    let all = tokio::join!(write("a"), write("b"), write("c"));
    let mut ids = [all.0, all.1, all.2];
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3], "no gaps, whoever comes first");
    for sql in ["update audit set actor = 2", "delete from audit", "truncate audit"] {
        let refused = sqlx::query(sql).execute(&db).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    let broken: i64 = sqlx::query_scalar(
        "select count(*) from (select a.digest is distinct from
             audit_digest(coalesce(lag(a.digest) over (order by a.id), ''), a) as broken from audit a) it where broken",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(broken, 0);
}
