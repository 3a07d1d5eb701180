//! A day without the internet: charging goes on, and afterwards everything arrives, in order and once.

use stack::wait;

use crate::story::{Charging, SOON, Story, cost};

const SESSIONS: i64 = 60;

#[tokio::test]
async fn a_day_of_sessions_arrives_in_order_and_once() {
    let mut story = Story::begin("offline").await;
    let mut stations = Vec::new();
    for identity in ["S1", "S2", "S3"] {
        stations.push(story.station(identity).await);
    }
    story.settled().await;
    story.proxy.cut();

    let mut expected = Vec::new();
    let mut register = 0;
    for session in 0..SESSIONS {
        let place = usize::try_from(session % 3).unwrap();
        let (station, energy) = (&mut stations[place], 1_000 + 37 * session);
        let transaction = station.start(&story.site.id_tag, register).await;
        for step in 1..=5 {
            station.meter(transaction, register + energy * step / 5, 11_000).await;
        }
        register += energy;
        station.stop(transaction, register).await;
        expected.push((format!("S{}", place + 1), energy, cost(energy)));
        if session == SESSIONS / 2 {
            // The gateway loses power in the middle of the day, too.
            story.edge.service().kill9().unwrap();
            story.edge.start().await.unwrap();
            stations.clear();
            for identity in ["S1", "S2", "S3"] {
                stations.push(story.station(identity).await);
            }
        }
    }
    assert_eq!(story.count("select count(*) from sessions").await, 0, "nothing can have arrived");
    // A link that breaks in the middle of frames is worse than none: it comes back like that first.
    story.proxy.heal();
    story.proxy.drop_after(20_000);
    wait::until("some broken transfers", SOON, || async { (story.proxy.dropped() >= 3).then_some(()) })
        .await
        .unwrap();
    story.proxy.heal();

    let billed: Vec<_> = story
        .bills(expected.len())
        .await
        .into_iter()
        .map(|bill| (bill.station, bill.energy_wh, bill.total_micros))
        .collect();
    expected.sort();
    assert_eq!(billed, expected);
    story.settled().await;
    story.assert_lanes_whole().await;
    let disorder =
        "select count(*) from (select history_id, lag(history_id) over (order by started_at, id) as before
                    from sessions) s where before > history_id";
    assert_eq!(story.count(disorder).await, 0, "sessions became known in the order in which they began");
}
