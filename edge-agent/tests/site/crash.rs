//! It charges, it survives kill -9, and the outbox holds each session once.

use firmware_sim::{Again, Station};
use shared::model::Event;
use shared::units::Wh;

use crate::agent::{Agent, SOON};

async fn charging(station: &Station, at_least: i64) {
    let enough = |view: &firmware_sim::View| {
        view.connectors.first().is_some_and(|connector| connector.register >= Wh(at_least))
    };
    station.until(SOON, enough).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_cloud_and_through_a_crash_is_kept_once() {
    let mut agent = Agent::with_stations(&["CP1"]).await;
    let station = agent.station("CP1");
    station.booted(SOON).await.unwrap();
    station.plug(1).await.unwrap();
    station.tap(1, "CARD").await.unwrap();
    charging(&station, 1_500).await;
    agent.kill9();
    agent.start();
    charging(&station, 2_500).await;
    station.tap(1, "CARD").await.unwrap();
    station.drained(SOON).await.unwrap();
    station.repeat(Again::Stop, false).await.unwrap();
    station.repeat(Again::Start, false).await.unwrap();
    station.drained(SOON).await.unwrap();

    let journal = station.journal().await;
    let facts = agent.facts().await;
    let (mut started, mut stopped, mut priced) = (Vec::new(), Vec::new(), Vec::new());
    for fact in facts {
        match fact {
            Event::SessionStarted(event) => started.push(event),
            Event::SessionStopped(event) => stopped.push(event),
            Event::SessionPriced(event) => priced.push(event),
            _ => {}
        }
    }
    assert_eq!((journal.len(), started.len(), stopped.len(), priced.len()), (1, 1, 1, 1));
    assert_eq!(Some(stopped[0].energy.0), journal[0].energy_wh());
    assert!(stopped[0].flags.is_empty() && started[0].flags.is_empty(), "{started:?} {stopped:?}");
    let exact = stopped[0].energy.0 * 300_000 / 1000;
    assert!((priced[0].cost.total.micros - exact).abs() <= 5_000, "rounded to a cent");
}
