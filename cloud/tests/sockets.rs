//! Subscriptions over real sockets, in both subprotocols, and the limits of a connection.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;

use cloud::config::Live;
use serde_json::{Value, json};
use support::socket::{LEGACY, Socket, TRANSPORT};
use support::{NOWHERE, api, api_with};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

async fn serve() -> SocketAddr {
    support::socket::serve(api(NOWHERE).await.0).await
}

#[tokio::test]
async fn both_subprotocols_answer_in_their_own_words() {
    let address = serve().await;
    for (name, start, next) in [(TRANSPORT, "subscribe", "next"), (LEGACY, "start", "data")] {
        let mut socket = Socket::ready(address, name, json!({"Authorization": "Bearer stale"})).await;
        socket.say(json!({"type": start, "id": "1", "payload": {"query": "{ __typename }"}})).await;
        assert_eq!(
            socket.hear().await,
            json!({"type": next, "id": "1", "payload": {"data": {"__typename": "Query"}}})
        );
        assert_eq!(socket.hear().await, json!({"type": "complete", "id": "1"}));
    }
}

#[tokio::test]
async fn what_never_begins_is_an_error_and_what_is_guarded_says_so() {
    let address = serve().await;
    let mut socket = Socket::ready(address, TRANSPORT, Value::Null).await;
    socket.say(json!({"type": "subscribe", "id": "a", "payload": {"query": "subscription { nope }"}})).await;
    let answer = socket.hear().await;
    assert_eq!(
        (&answer["type"], &answer["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("GRAPHQL_VALIDATION_FAILED"))
    );

    let guarded = "subscription { chargingProgressUpdated(input: {}) { power_usage } }";
    socket.say(json!({"type": "subscribe", "id": "b", "payload": {"query": guarded}})).await;
    let answer = socket.hear().await;
    assert_eq!(answer["payload"]["errors"][0]["message"], "Unauthorized", "{answer}");
    assert_eq!(socket.hear().await, json!({"type": "complete", "id": "b"}));

    let mut old = Socket::ready(address, LEGACY, json!({})).await;
    old.say(json!({"type": "start", "id": 1, "payload": {"query": "{"}})).await;
    let answer = old.hear().await;
    assert_eq!(
        (&answer["type"], &answer["id"], &answer["payload"]["extensions"]["code"]),
        (&json!("error"), &json!("1"), &json!("GRAPHQL_PARSE_FAILED"))
    );
}

#[tokio::test]
async fn breaking_the_rules_closes_the_connection_with_their_codes() {
    let address = serve().await;
    let subscribe = |id: &str| json!({"type": "subscribe", "id": id, "payload": {"query": "{ __typename }"}});
    assert_eq!(Socket::open(address, None).await.hear().await, 4406);

    let mut early = Socket::open(address, Some(TRANSPORT)).await;
    early.say(subscribe("1")).await;
    assert_eq!(early.hear().await, 4401);

    let mut rubbish = Socket::ready(address, TRANSPORT, Value::Null).await;
    rubbish.say(json!({"type": "start", "id": "1"})).await;
    assert_eq!(rubbish.hear().await, 4400);

    let mut twice = Socket::ready(address, TRANSPORT, Value::Null).await;
    twice.say(json!({"type": "connection_init"})).await;
    assert_eq!(twice.hear().await, 4429);
}

#[tokio::test]
async fn a_connection_has_so_many_subscriptions_and_no_more() {
    // Nothing answers at that database, so each of these waits.
    let mut socket = Socket::ready(serve().await, TRANSPORT, Value::Null).await;
    let waiting = "subscription { subsribeConnectorStatus(input: {connectorId: 1}) { status } }";
    for id in 0..51 {
        socket.say(json!({"type": "subscribe", "id": id.to_string(), "payload": {"query": waiting}})).await;
    }
    assert_eq!(socket.hear().await, 4429);
}

#[tokio::test]
async fn pings_are_answered() {
    let mut socket = Socket::ready(serve().await, TRANSPORT, Value::Null).await;
    socket.say(json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn a_client_that_closes_gets_its_answer() {
    let mut socket = Socket::ready(serve().await, TRANSPORT, Value::Null).await;
    let leave = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
    socket.0.close(Some(leave)).await.unwrap();
    assert_eq!(socket.hear().await, 1000, "else libraries report a broken connection (1006)");
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_subscriptions() {
    let limits = Live { connections_per_address: 2, subscriptions_per_address: 3, ..Live::default() };
    let address = support::socket::serve(api_with(NOWHERE, |config| config.live = limits).await.0).await;
    let mut first = Socket::ready(address, TRANSPORT, Value::Null).await;
    let mut second = Socket::ready(address, LEGACY, Value::Null).await;
    assert_eq!(Socket::open(address, Some(TRANSPORT)).await.hear().await, 4429);

    let waiting = "subscription { subsribeConnectorStatus(input: {connectorId: 1}) { status } }";
    for id in ["1", "2"] {
        first.say(json!({"type": "subscribe", "id": id, "payload": {"query": waiting}})).await;
    }
    first.say(json!({"type": "ping"})).await;
    assert_eq!(first.hear().await, json!({"type": "pong"}));
    for id in ["3", "4"] {
        second.say(json!({"type": "start", "id": id, "payload": {"query": waiting}})).await;
    }
    let refused = second.hear().await;
    assert_eq!((&refused["id"], &refused["type"]), (&json!("4"), &json!("error")));
    assert_eq!(refused["payload"]["extensions"]["code"], "TOO_MANY_REQUESTS", "{refused}");
    assert_eq!(refused["payload"]["message"], "At most 3 subscriptions from one address: end others first");

    // One ends, another may begin: it is no error that is heard first.
    first.say(json!({"type": "complete", "id": "1"})).await;
    first.say(json!({"type": "subscribe", "id": "5", "payload": {"query": waiting}})).await;
    first.say(json!({"type": "ping"})).await;
    assert_eq!(first.hear().await, json!({"type": "pong"}));
    drop(second);
    let third = async {
        loop {
            let mut socket = Socket::open(address, Some(TRANSPORT)).await;
            socket.say(json!({"type": "connection_init"})).await;
            if socket.hear().await == json!({"type": "connection_ack"}) {
                break;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), third).await.expect("the place is free again");
}
