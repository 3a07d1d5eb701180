//! A gateway that speaks as another one, or listens to another one, is refused, and the refusal is counted, whatever the
//! broker.

use rumqttc::QoS;
use stack::house::BrokerKind;
use stack::wait;

use crate::story::{Charging, SOON, Story};

#[tokio::test]
async fn the_gate_refuses_foreign_topics() {
    let mut story = Story::begin("gate").await;
    let thief = story.another_gateway("thief").unwrap();
    let gate = story.cloud.mqtt().unwrap();
    let victim = story.edge.identity().unwrap();
    let (client, mut events) = thief.identity().unwrap().mqtt(gate);
    client.subscribe(victim.topic("down/#"), QoS::AtLeastOnce).await.unwrap();
    client.publish(victim.topic("up/batch"), QoS::AtLeastOnce, false, "forged").await.unwrap();
    let run = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    wait::until("a counted refusal", SOON, || async {
        let refused = story.cloud.metric("gate_refused_total", "").await.ok()?;
        (refused > 0.0).then_some(())
    })
    .await
    .unwrap();
    run.abort();
    still_charges(&story).await;
}

#[tokio::test]
async fn a_wrong_secret_does_not_get_in() {
    let story = Story::begin("wrong-secret").await;
    let gate = story.cloud.mqtt().unwrap();
    let mut identity = story.edge.identity().unwrap();
    identity.secret = "guessed".into();
    let (_client, mut events) = identity.mqtt(gate);
    let refusal = tokio::time::timeout(SOON, async { while events.poll().await.is_ok() {} }).await;
    assert!(refusal.is_ok(), "a gateway with a wrong secret was let in");
    still_charges(&story).await;
}

#[tokio::test]
async fn mosquitto_with_the_generated_acl_refuses_foreign_topics() {
    let mut story = Story::with_broker("mosquitto-acl", BrokerKind::Mosquitto).await;
    let thief = story.another_gateway("thief").unwrap();
    let broker = story.mosquitto.as_ref().unwrap().address();
    let victim = story.edge.identity().unwrap();
    let (client, mut events) = thief.identity().unwrap().mqtt(broker);
    client.subscribe(victim.topic("down/#"), QoS::AtLeastOnce).await.unwrap();
    client.publish(victim.topic("up/batch"), QoS::AtLeastOnce, false, "forged").await.unwrap();
    let run = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    still_charges(&story).await;
    run.abort();
    assert_eq!(
        story.cloud.metric("ingest_rejected_total", "").await.unwrap(),
        0.0,
        "the forged frame arrived"
    );
}

/// The victim's own traffic goes on.
async fn still_charges(story: &Story) {
    let mut station = story.station("S1").await;
    let transaction = station.start(&story.site.id_tag, 0).await;
    station.stop(transaction, 500).await;
    assert_eq!(story.bills(1).await[0].energy_wh, 500);
}
