//! What grows for ever is kept by months, what is once is once across them, and what was parked can be tried again.

mod gateway;

use cloud::config::Retention;
use cloud::db::months;
use cloud::ingest::replay::{Replayed, replay};
use gateway::{House, priced, record, started, stopped};
use shared::id::{Epoch, SessionId};
use shared::model::Lane;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_is_the_same_fact_in_another_month() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let session = SessionId(Uuid::now_v7());
    let facts = vec![
        record(&started(session), 1),
        record(&stopped(session, 10_000), 2),
        record(&priced(session, 10_000), 3),
    ];
    gateway.batch(Lane::Billing, 1, facts.clone()).await;
    sqlx::query("update records set received_at = received_at - interval '1 month'")
        .execute(&house.db)
        .await
        .unwrap();
    // The month before has no table of its own any more than next year has.
    assert_eq!(gateway.batch(Lane::Billing, 1, facts.clone()).await, 3, "the same numbers");
    gateway.epoch = Epoch(Uuid::new_v4());
    gateway.hello([0; 3], [0; 3]).await;
    assert_eq!(gateway.batch(Lane::Billing, 1, facts).await, 3, "and under new ones");
    assert_eq!(house.count("select count(*) from records").await, 3);
    assert_eq!(house.count("select count(*) from bills").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn months_are_made_ahead_and_dropped_when_their_time_is_over() {
    let house = House::new().await;
    let db = &house.db;
    let ahead = "select count(*) from pg_inherits where inhparent = 'meter_readings'::regclass
                   and inhrelid::regclass::text = 'meter_readings_' || to_char(now() at time zone 'utc' + interval '3 months', 'YYYY_MM')";
    assert_eq!(house.count(ahead).await, 1, "as soon as there is a database");
    sqlx::raw_sql(
        "create table meter_readings_2020_01 partition of meter_readings for values from ('2020-01-01Z') to ('2020-02-01Z');
         insert into meter_readings (session_id, taken_at)
             select gen_random_uuid(), t from unnest('{2020-01-07, 2021-05-05}'::timestamptz[] || now() || now() + interval '5 years') t",
    )
    .execute(db)
    .await
    .unwrap();
    assert_eq!(
        house.count("select count(*) from meter_readings_others").await,
        2,
        "2021, and a clock far ahead"
    );
    let retention = Retention { readings_months: 2, records_months: 3 };
    let both = tokio::join!(months::look(db, &retention), months::look(db, &retention));
    both.0.and(both.1).unwrap();
    assert_eq!(
        house.count("select count(*) from pg_class where relname = 'meter_readings_2020_01'").await,
        0
    );
    assert_eq!(
        house.count("select count(*) from meter_readings").await,
        2,
        "what is of today, and what claims to be later"
    );
    // A month that is there in part already is not made; nothing fails.
    sqlx::query("select keep_months('meter_readings', 'taken_at', 61, null)").execute(db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_records_are_applied_once_what_they_lacked_is_there() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let session = SessionId(Uuid::now_v7());
    let mut unknown = record(&started(SessionId(Uuid::now_v7())), 1);
    (unknown.header.kind, unknown.header.key) = (999, "of a newer agent".into());
    let early = vec![unknown, record(&stopped(session, 10_000), 2), record(&priced(session, 10_000), 3)];
    assert_eq!(gateway.batch(Lane::Billing, 1, early).await, 3);
    assert_eq!(house.count("select count(*) from quarantine").await, 3);
    let first = replay(&house.db).await.unwrap();
    assert_eq!((first.done, first.left.len()), (0, 3), "nothing has changed: {first:?}");

    assert_eq!(gateway.batch(Lane::Billing, 4, vec![record(&started(session), 4)]).await, 4);
    assert_eq!(house.count("select count(*) from bills").await, 0);
    let Replayed { done, left } = replay(&house.db).await.unwrap();
    assert_eq!((done, left.len()), (2, 1));
    assert!(left[0].1.contains("999"), "{left:?}");
    assert_eq!(house.count("select count(*) from bills where total_micros = 2500000").await, 1);
    assert_eq!(house.count("select count(*) from records").await, 4, "none is there twice");
    assert_eq!(house.count("select count(*) from audit where entity = 'Quarantine'").await, 2);
    assert_eq!(replay(&house.db).await.unwrap().done, 0);
}
