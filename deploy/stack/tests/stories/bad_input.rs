//! Nonsense from outside: each piece gets the answer that the protocol or a person expects, is counted, and harms nobody.

use std::net::Ipv4Addr;

use serde_json::json;
use stack::puppet::Puppet;
use stack::service::Service;
use stack::wait;
use stack::workdir::Workdir;

use crate::story::{Charging, SOON, Story};

#[tokio::test]
async fn strangers_are_refused() {
    let story = Story::begin("strangers").await;
    let (url, password) = (story.edge.ocpp_url(), &story.site.password);
    let unknown = Puppet::connect(&url, "NOBODY", password).await.unwrap_err().to_string();
    let wrong = Puppet::connect(&url, "S1", "wrong").await.unwrap_err().to_string();
    assert_eq!((unknown.as_str(), wrong.as_str()), ("refused with 404", "refused with 401"));
    for result in ["unknown", "wrong_password"] {
        assert_eq!(story.edge.metric("edge_logins_total", result).await.unwrap(), 1.0, "{result} is counted");
    }
    charges(&story).await;
}

#[tokio::test]
async fn a_second_box_in_a_stations_name_is_held_off_while_the_first_one_lives() {
    let story = Story::begin("second-box").await;
    let (url, password) = (story.edge.ocpp_url(), story.site.password.clone());
    let mut first = story.station("S1").await;
    let alive = tokio::spawn(async move { while first.hear().await.is_ok() {} });

    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    let refused = Puppet::connect_from(elsewhere, &url, "S1", &password).await.unwrap_err().to_string();
    assert_eq!(refused, "refused with 409");
    assert!(!alive.is_finished(), "the first one stays");
    wait::until("an operator hears of it", SOON, || async {
        (story.count("select count(*) from alarms where kind = 'duplicate_identity'").await == 1)
            .then_some(())
    })
    .await
    .unwrap();

    // A line that broke without a word: the station itself comes back from the same address, at once.
    Puppet::connect(&url, "S1", &password).await.unwrap().call("Heartbeat", json!({})).await.unwrap();
    assert!(story.edge.metric("edge_links_displaced_total", "").await.unwrap() >= 1.0);
    charges(&story).await;
}

#[tokio::test]
async fn garbage_is_answered_counted_and_disturbs_nobody() {
    let story = Story::begin("garbage").await;
    let mut station = story.station("S1").await;

    station.say(r#"[2,"u1","NoSuchAction",{}]"#).await.unwrap();
    let unknown = station.answer("u1").await.unwrap();
    assert_eq!((unknown[0].as_u64(), unknown[2].as_str()), (Some(4), Some("NotImplemented")));

    // Fields that are missing or wrong: chargers in the field send such, repeat them for ever when they are refused, and
    // hold energy that flowed. They get an answer, but nobody's account is charged.
    station.say(r#"[2,"u2","StartTransaction",{"connectorId":1}]"#).await.unwrap();
    let missing = station.answer("u2").await.unwrap();
    assert_ne!(missing[2]["idTagInfo"]["status"], "Accepted", "{missing}");
    station
        .say(r#"[2,"u3","StopTransaction",{"transactionId":"x","meterStop":1,"timestamp":"yesterday"}]"#)
        .await
        .unwrap();
    station.answer("u3").await.unwrap();
    assert!(story.edge.metric("edge_frames_odd_total", "").await.unwrap() >= 2.0);

    for nonsense in ["this is not JSON", "{}", "[2]", "[9,\"id\"]"] {
        station.say(nonsense).await.unwrap();
    }
    station.call("Heartbeat", json!({})).await.unwrap();
    // An unknown message type (9) is ignored, as OCPP-J 1.6 §4.1.3 asks.
    assert_eq!(story.edge.metric("edge_frames_bad_total", "not a frame").await.unwrap(), 3.0);
    charges(&story).await;
    assert_eq!(
        story.count("select count(*) from bills where user_id is not null").await,
        1,
        "only the real session"
    );
}

#[tokio::test]
async fn an_oversize_frame_ends_only_its_own_connection() {
    let story = Story::begin("oversize").await;
    let mut station = story.station("S1").await;
    let mut other = story.station("S2").await;
    let data = "x".repeat(4 << 20);
    let payload = json!({ "vendorId": "big", "data": data });
    let answered = station.call("DataTransfer", payload).await;
    assert!(answered.is_err(), "{answered:?}");
    other.call("Heartbeat", json!({})).await.unwrap();
    charges(&story).await;
}

#[tokio::test]
async fn too_deep_a_query_is_refused() {
    let story = Story::begin("too-deep").await;
    let mut query = "name".to_owned();
    for _ in 0..40 {
        query = format!("ofType {{ {query} }}");
    }
    let query = format!("{{ __schema {{ types {{ {query} }} }} }}");
    let answer = story.cloud.graphql().answer(&query, json!({})).await.unwrap();
    assert!(answer["errors"][0]["message"].is_string(), "{answer}");
    assert!(answer["data"].is_null());
    let text = answer.to_string();
    assert!(!text.contains("stacktrace") && !text.contains("select "), "{text}");
    story.driver.ask("{ me { id } }", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_typo_in_the_configuration_names_key_and_line() {
    let dir = Workdir::new("typo").unwrap();
    for (program, text) in [
        ("edge-agent", "[ocpp]\nlisten = \"127.0.0.1:0\"\nheartbeet_seconds = 10\n"),
        ("cloud", "[http]\nlisten = \"127.0.0.1:0\"\nheartbeet_seconds = 10\n"),
    ] {
        let file = dir.path().join(format!("{program}.toml"));
        std::fs::write(&file, text).unwrap();
        let service = Service::new(program, dir.path()).unwrap();
        let error =
            service.tool(&["run", "--config", &file.display().to_string()], "").unwrap_err().to_string();
        assert!(error.contains("heartbeet_seconds") && error.contains("line 3"), "{program}: {error}");
    }
}

/// The rest of the site is not disturbed.
async fn charges(story: &Story) {
    let mut station = story.station("S3").await;
    let transaction = station.start(&story.site.id_tag, 0).await;
    station.stop(transaction, 250).await;
    let billed = "select count(*) from bills join sessions on id = session_id where station = 'S3' and energy_wh = 250";
    wait::until("the bill", SOON, || async { (story.count(billed).await == 1).then_some(()) }).await.unwrap();
}
