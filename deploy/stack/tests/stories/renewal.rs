//! Two boxes with one identity: the operator sees it, presses the button, and the box that he means goes on alone.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stack::edge::Edge;
use stack::puppet::Puppet;
use stack::wait;

use crate::story::{Charging, SOON, Story, cost};

const ALARMS: &str = "{ alarms { id kind title advice button gatewayId count acknowledgedAt } }";

#[tokio::test]
async fn a_copied_gateway_is_shut_out_by_one_button_and_the_right_one_goes_on() {
    let mut story = Story::begin("renewal").await;
    let mut station = story.station("S1").await;
    story.settled().await;
    let first = station.start(&story.site.id_tag, 0).await;
    station.stop(first, 1_000).await;
    story.bills(1).await;

    story.edge.service().stop().await.unwrap();
    let data = story.edge.data().to_owned();
    let copied = data.with_file_name("copied");
    copy_all(&data, &copied);
    let mut copy = story.edge.elsewhere(&copied).unwrap();
    copy.service().set("EDGE_SYNC__MQTT_URL", format!("mqtt://{}", story.proxy.address()));
    copy.start().await.unwrap();
    wait::until("the copy to be taken for the gateway", SOON, || online(&copy)).await.unwrap();
    let mut strayed = Puppet::boot(&copy.ocpp_url(), "S2", &story.site.password).await.unwrap();
    let charged = strayed.start(&story.site.id_tag, 0).await;
    strayed.stop(charged, 4_000).await;
    story.bills(2).await;
    copy.service().stop().await.unwrap();
    // The right one does not know, and uses the same numbers for other things.
    story.edge.start().await.unwrap();
    let mut station = story.station("S1").await;
    let second = station.start(&story.site.id_tag, 1_000).await;
    station.stop(second, 3_000).await;
    story.bills(3).await;
    let alarm = wait::until("the alarm", SOON, || alarm(&story, "epoch_frozen")).await.unwrap();
    assert_eq!(alarm["button"], "renewGateway", "{alarm}");

    story.proxy.cut();
    let unsent = station.start(&story.site.id_tag, 3_000).await;
    station.stop(unsent, 6_000).await;
    story.edge.service().stop().await.unwrap();
    story.proxy.heal();
    let press = "mutation($id: ID!) { renewGateway(gatewayId: $id) { code } }";
    let pressed = story.operator.ask(press, json!({ "id": alarm["gatewayId"] })).await.unwrap();
    let code = pressed["renewGateway"]["code"].as_str().unwrap();
    let (cloud, folder) = (story.cloud.http_url(), data.display().to_string());
    let enroll = |again: bool| {
        let words = ["enroll", "--cloud", &cloud, "--claim", code, "--data", &folder];
        words.into_iter().chain(again.then_some("--again")).collect::<Vec<_>>()
    };
    let without = story.edge.service().tool(&enroll(false), "").unwrap_err();
    assert!(format!("{without:#}").contains("--again"), "{without:#}");
    let told = story.edge.service().tool(&enroll(true), "").unwrap();
    assert!(told.contains(alarm["gatewayId"].as_str().unwrap()), "{told}");
    assert!(story.edge.service().tool(&enroll(true), "").is_err(), "once");

    story.edge.start().await.unwrap();
    let bills = story.bills(4).await;
    let mut billed: Vec<_> = bills.iter().map(|bill| (bill.energy_wh, bill.total_micros)).collect();
    billed.sort_unstable();
    assert_eq!(billed, [1_000, 2_000, 3_000, 4_000].map(|energy| (energy, cost(energy))));
    story.settled().await;
    copy.start().await.unwrap();
    let shut_out = wait::until("the copy to come in", Duration::from_secs(5), || online(&copy)).await;
    assert!(shut_out.is_err(), "its secret is over");
    assert!(online(&story.edge).await.is_some(), "the right one stays");

    let acknowledge = "mutation($id: ID!) { acknowledgeAlarm(id: $id) { acknowledgedAt acknowledgedBy } }";
    story.operator.ask(acknowledge, json!({ "id": alarm["id"] })).await.unwrap();
    assert!(self::alarm(&story, "epoch_frozen").await.is_none(), "it was seen to");
}

async fn online(edge: &Edge) -> Option<()> {
    edge.state().await.ok()?["online"].as_bool()?.then_some(())
}

async fn alarm(story: &Story, kind: &str) -> Option<Value> {
    let answer = story.operator.ask(ALARMS, json!({})).await.ok()?;
    answer["alarms"].as_array()?.iter().find(|alarm| alarm["kind"] == kind).cloned()
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
