//! What gateways say, over the embedded broker, into a real database: once in effect, whatever is repeated, lost or wrong.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing")]

mod gateway;

use std::time::Duration;

use cloud::command::{self, NewCommand};
use gateway::{House, T0, meanwhile, priced, record, started, station, status, stopped};
use shared::id::{BootId, Epoch, SessionId};
use shared::model::document::DocumentBody;
use shared::model::event::{MeterGap, SecurityNoticed, SessionMetered};
use shared::model::{
    CommandBody, CommandResult, ConnectorStatus, Event as Fact, Lane, MeterReading, Outcome,
};
use shared::sync::{Down, Up, UpTopic, Verdict};
use shared::units::{Percent, Timestamp, Watts, Wh};
use tokio::time::Instant;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_billed_once_however_often_it_is_told() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    let welcome = gateway.hello([0; 3], [0; 3]).await;
    assert_eq!((welcome.verdict, welcome.watermarks), (Verdict::Continue, [0; 3]));

    let session = SessionId(Uuid::now_v7());
    let metered = Fact::SessionMetered(SessionMetered {
        session,
        reading: MeterReading {
            power: Some(Watts(11_000)),
            soc: Some(Percent(40)),
            ..MeterReading::of_register(Timestamp(T0 + 60_000), Wh(1_200))
        },
    });
    // The meter lane may well be ahead of the billing lane.
    assert_eq!(gateway.batch(Lane::Meter, 1, vec![record(&metered, 1)]).await, 1);
    assert_eq!(gateway.batch(Lane::Billing, 1, vec![record(&started(session), 1)]).await, 1);
    let open: (Option<i64>, Option<i64>, Option<i64>, Option<i16>) =
        sqlx::query_as("select user_id, energy_wh, power_w, soc from sessions")
            .fetch_one(&house.db)
            .await
            .unwrap();
    assert_eq!(open, (Some(1), Some(200), Some(11_000), Some(40)));

    let end = vec![
        record(&started(session), 1),
        record(&stopped(session, 10_000), 2),
        record(&priced(session, 10_000), 3),
    ];
    for _ in 0..3 {
        assert_eq!(gateway.batch(Lane::Billing, 1, end.clone()).await, 3);
    }
    // Under another epoch, as after a disaster, with other numbers.
    gateway.epoch = Epoch(Uuid::new_v4());
    gateway.hello([3, 0, 0], [0; 3]).await;
    assert_eq!(gateway.batch(Lane::Billing, 1, end[1..].to_vec()).await, 2);

    let bill: (Option<i64>, i64, Option<i64>, i64) = sqlx::query_as(
        "select b.user_id, b.total_micros, b.edge_total_micros, s.energy_wh from bills b join sessions s on s.id = b.session_id",
    )
    .fetch_one(&house.db)
    .await
    .unwrap();
    assert_eq!(bill, (Some(1), 2_500_000, Some(2_500_000), 10_000));
    assert_eq!(
        house.count("select count(*) from sessions where stopped_at is not null and soc = 40").await,
        1
    );
    assert_eq!(house.count("select count(*) from records where lane = 0").await, 3);
    assert_eq!(house.count("select count(*) from quarantine").await, 0);
    assert_eq!(house.count("select count(*) from alarms where kind <> 'gateway_memory_lost'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_that_were_given_up_are_known_and_a_gateways_alarm_is_its_own() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let session = SessionId(Uuid::now_v7());
    let gap = Fact::MeterGap(MeterGap {
        session,
        from: Timestamp(T0 + 1_000),
        to: Timestamp(T0 + 9_000),
        count: 7,
        energy_first: Some(Wh(1_100)),
        energy_last: Some(Wh(1_900)),
    });
    for epoch in 0..2 {
        assert_eq!(gateway.batch(Lane::Meter, 1, vec![record(&gap, 1)]).await, 1, "epoch {epoch}");
        gateway.epoch = Epoch(Uuid::new_v4());
        gateway.hello([1, 1, 0], [0; 3]).await;
    }
    let known: Vec<(i64, Option<i64>, Option<i64>)> =
        sqlx::query_as("select readings, energy_first_wh, energy_last_wh from meter_gaps")
            .fetch_all(&house.db)
            .await
            .unwrap();
    assert_eq!(known, [(7, Some(1_100), Some(1_900))]);

    let restored = Fact::SecurityNoticed(SecurityNoticed {
        station: None,
        what: "database_restored".into(),
        detail: "it was gone".into(),
        at: Timestamp(T0),
    });
    assert_eq!(gateway.batch(Lane::Billing, 1, vec![record(&restored, 2)]).await, 1);
    let alarms =
        "select count(*) from alarms where kind = 'database_restored' and subject = gateway_id::text";
    assert_eq!(house.count(alarms).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_of_one_name_at_two_gateways_have_an_alarm_each() {
    let house = House::new().await;
    let trouble = Fact::SecurityNoticed(SecurityNoticed {
        station: Some(station()),
        what: "duplicate_identity".into(),
        detail: "two stations say the same name".into(),
        at: Timestamp(T0),
    });
    for _ in 0..2 {
        let elsewhere = house.build_site().await;
        let mut gateway = house.enroll_at(elsewhere).await.connect().await;
        gateway.hello([0; 3], [0; 3]).await;
        for seq in 1..=2 {
            assert_eq!(gateway.batch(Lane::Billing, seq, vec![record(&trouble, seq)]).await, seq);
        }
    }
    let alarms =
        "select count(distinct site_id) from alarms where kind = 'duplicate_identity' and subject = 'CP1'
                  and count = 2";
    assert_eq!(house.count(alarms).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_answered_with_the_old_watermark() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let fact = |n| record(&status(1, ConnectorStatus::Available, i64::try_from(n).unwrap()), n);
    assert_eq!(gateway.batch(Lane::Status, 2, vec![fact(2)]).await, 0);
    assert_eq!(gateway.batch(Lane::Status, 1, vec![fact(1), fact(2)]).await, 2);
    assert_eq!(gateway.batch(Lane::Status, 2, vec![fact(2), fact(3)]).await, 3);
    assert_eq!(house.count("select count(*) from records").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_are_parked_and_the_lane_goes_on() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let session = SessionId(Uuid::now_v7());
    let good = record(&started(session), 1);
    let mut unknown = record(&started(SessionId(Uuid::now_v7())), 2);
    (unknown.header.kind, unknown.header.key) = (999, "new/1".into());
    let mut garbage = record(&stopped(session, 1), 3);
    garbage.body = vec![0xff; 9];
    let orphan = record(&stopped(SessionId(Uuid::now_v7()), 5), 4);
    // `meter_start` is fine, the difference to it is not: Postgres itself has to find this one.
    let overflow = record(
        &Fact::SessionMetered(SessionMetered {
            session,
            reading: MeterReading::of_register(Timestamp(T0), Wh(i64::MIN)),
        }),
        5,
    );
    let fine = record(
        &Fact::SessionMetered(SessionMetered {
            session,
            reading: MeterReading::of_register(Timestamp(T0), Wh(1_700)),
        }),
        6,
    );
    assert_eq!(gateway.batch(Lane::Billing, 1, vec![unknown, good, garbage, orphan]).await, 4);
    assert_eq!(gateway.batch(Lane::Meter, 1, vec![overflow]).await, 1);
    assert_eq!(gateway.batch(Lane::Meter, 2, vec![fine]).await, 2);
    assert_eq!(
        house.count("select count(*) from records").await,
        5,
        "what Postgres cannot hold is raw in quarantine only"
    );
    assert_eq!(house.count("select energy_wh from sessions").await, 700);
    let reasons: Vec<String> = sqlx::query_scalar("select reason from quarantine order by lane, seq")
        .fetch_all(&house.db)
        .await
        .unwrap();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons[0].contains("unknown kind 999"), "{reasons:?}");
    assert!(reasons[2].contains("no such session"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloned_gateway_is_noticed_by_other_facts_under_known_numbers() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    assert_eq!(
        gateway.batch(Lane::Billing, 1, vec![record(&started(SessionId(Uuid::now_v7())), 1)]).await,
        1
    );
    gateway.send(Lane::Billing, 1, vec![record(&started(SessionId(Uuid::now_v7())), 1)]).await;
    assert!(matches!(gateway.welcome().await.verdict, Verdict::NewEpoch(_)));
    assert_eq!(house.count("select count(*) from sessions").await, 1);
    assert_eq!(house.count("select count(*) from alarms where kind = 'epoch_frozen'").await, 1);
    assert!(matches!(gateway.hello([1, 0, 0], [1, 0, 0]).await.verdict, Verdict::NewEpoch(_)));
    gateway.epoch = Epoch(Uuid::new_v4());
    assert_eq!(gateway.hello([1, 0, 0], [0; 3]).await.verdict, Verdict::Continue);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_told_to_start_over() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let facts =
        (1..=5).map(|n| record(&status(1, ConnectorStatus::Available, n), n.unsigned_abs())).collect();
    assert_eq!(gateway.batch(Lane::Status, 1, facts).await, 5);
    sqlx::query("update cursors set moved_at = now() - interval '1 hour'").execute(&house.db).await.unwrap();
    let welcome = gateway.hello([0, 0, 3], [0, 0, 3]).await;
    assert!(matches!(welcome.verdict, Verdict::NewEpoch(_)), "{welcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_lost_its_database_gets_its_documents_again_and_a_person_hears_of_it() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let fact = record(&status(1, ConnectorStatus::Available, 1), 1);
    assert_eq!(gateway.batch(Lane::Status, 1, vec![fact]).await, 1);
    sqlx::query("update documents set held_version = version").execute(&house.db).await.unwrap();
    gateway.epoch = Epoch(Uuid::new_v4());
    assert_eq!(gateway.hello([0; 3], [0; 3]).await.verdict, Verdict::Continue);
    let forgotten = async {
        while house.count("select count(*) from documents where held_version > 0").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forgotten).await.unwrap();
    gateway.hear(|down| if let Down::Want(doc) = down { Some(doc.body.name()) } else { None }).await;
    assert_eq!(house.count("select count(*) from alarms where kind = 'gateway_memory_lost'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_arrive_after_the_welcome_and_when_they_change() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let mut names = vec![];
    while names.len() < 6 {
        let name =
            gateway.hear(|down| if let Down::Want(doc) = down { Some(doc.body.name()) } else { None }).await;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_unstable();
    assert!(names[1].starts_with("public-tokens/"), "{names:?}");
    names.remove(1);
    assert_eq!(names, ["admission", "settings", "stations", "tariffs", "tokens"]);
    sqlx::query("insert into id_tokens (user_id, token) values (1, 'another')")
        .execute(&house.db)
        .await
        .unwrap();
    let has_it = |down: &Down| match down {
        Down::Want(doc) => match &doc.body {
            DocumentBody::PublicTokens(part) => {
                part.tokens.iter().any(|entry| entry.token == "another").then_some(part.part)
            }
            _ => None,
        },
        _ => None,
    };
    let part = gateway.hear(has_it).await;
    assert_eq!(house.count("select held_version from documents where name = 'tokens'").await, 0);
    sqlx::query("update users set is_active = false").execute(&house.db).await.unwrap();
    let emptied = |down: &Down| match down {
        Down::Want(doc) => match &doc.body {
            DocumentBody::PublicTokens(it) => (it.part == part && it.tokens.is_empty()).then_some(()),
            _ => None,
        },
        _ => None,
    };
    gateway.hear(emptied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_makes_the_connector_known_priced_and_live() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let mut live = house.live.sites();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        gateway.batch(Lane::Status, 1, vec![record(&status(2, ConnectorStatus::Charging, 1), 1)]).await,
        1
    );
    let charging = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            let change = live.recv().await.unwrap();
            if let Some(connector) = change.sites.iter().flat_map(|site| &site.connectors).next_back() {
                return connector.status.clone();
            }
        }
    });
    assert_eq!(charging.await.unwrap().as_deref(), Some("Charging"));
    // Older news changes nothing.
    assert_eq!(
        gateway.batch(Lane::Status, 2, vec![record(&status(2, ConnectorStatus::Preparing, 0), 2)]).await,
        2
    );
    assert_eq!(
        house
            .count("select count(*) from connectors where connector_id = 2 and status_name = 'Charging'")
            .await,
        1
    );
    let priced = gateway
        .hear(|down| match down {
            Down::Want(doc) => match &doc.body {
                shared::model::document::DocumentBody::Tariffs(doc) if !doc.assigned.is_empty() => {
                    Some(doc.clone())
                }
                _ => None,
            },
            _ => None,
        })
        .await;
    assert_eq!(priced.tariffs, [gateway::tariff()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reaches_the_gateway_and_its_first_result_counts() {
    let house = House::new().await;
    let mut gateway = house.enroll().await.connect().await;
    gateway.hello([0; 3], [0; 3]).await;
    let new = |ttl| NewCommand {
        gateway: gateway.identity.id,
        station: station(),
        body: CommandBody::ClearCache,
        issued_by: Some(1),
        ttl: Duration::from_millis(ttl),
        waits: false,
    };
    let (first, silent) = (new(20_000), new(300));
    let id = command::issue(&house.db, first).await.unwrap();
    let heard = gateway
        .hear(|down| if let Down::Command(command) = down { Some(command.clone()) } else { None })
        .await;
    assert_eq!((heard.id, &heard.body), (id, &CommandBody::ClearCache));

    let result = CommandResult::plain(id, Outcome::Accepted, "done", Timestamp(T0));
    gateway.publish(UpTopic::Result, &Up::Result(result.clone())).await;
    let wait = command::wait(&house.db, &house.live, id, Instant::now() + Duration::from_secs(5));
    let waited = meanwhile(&mut gateway.connection, wait).await;
    assert_eq!(waited.unwrap(), Some(result));
    let later = CommandResult::plain(id, Outcome::Rejected, "", Timestamp(T0));
    assert_eq!(gateway.batch(Lane::Billing, 1, vec![record(&Fact::CommandFinished(later), 1)]).await, 1);
    assert_eq!(house.count("select count(*) from commands where outcome = 'Accepted'").await, 1);

    let id = command::issue(&house.db, silent).await.unwrap();
    let ended =
        command::wait(&house.db, &house.live, id, Instant::now() + Duration::from_secs(5)).await.unwrap();
    assert_eq!(ended.map(|result| result.outcome), Some(Outcome::Expired));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_without_the_right_seal_changes_nothing() {
    let house = House::new().await;
    let (mut gateway, other) = (house.enroll().await.connect().await, house.enroll().await);
    gateway.hello([0; 3], [0; 3]).await;
    let batch = shared::sync::Batch {
        epoch: gateway.epoch,
        boot: BootId(Uuid::nil()),
        lane: Lane::Billing,
        first_seq: 1,
        records: vec![record(&started(SessionId(Uuid::now_v7())), 1)],
    };
    let topic = gateway.identity.topic(UpTopic::Batch);
    let forged = other.key().seal(&topic, &Up::Batch(batch));
    for payload in [forged, vec![], vec![1; 17], vec![0; 100_000]] {
        gateway.client.publish(topic.to_string(), rumqttc::QoS::AtLeastOnce, false, payload).await.unwrap();
    }
    assert_eq!(
        gateway.batch(Lane::Billing, 1, vec![record(&started(SessionId(Uuid::now_v7())), 1)]).await,
        1
    );
    assert_eq!(house.count("select count(*) from sessions").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_code_works_once() {
    let house = House::new().await;
    let claim = cloud::gateways::create_claim(&house.db, house.site, Duration::from_secs(60)).await.unwrap();
    assert_eq!(house.post_enroll(&claim.code).await.0, 200);
    assert_eq!(house.post_enroll(&claim.code).await.0, 403);
    assert_eq!(house.post_enroll("made-up").await.0, 403);
    let expired = cloud::gateways::create_claim(&house.db, house.site, Duration::ZERO).await.unwrap();
    assert_eq!(house.post_enroll(&expired.code).await.0, 403);
}
