//! Subscriptions over real sockets, in both subprotocols, and the limits of a connection.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::{NOWHERE, api};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

struct Socket(WebSocketStream<TcpStream>);

async fn serve() -> SocketAddr {
    let (router, _) = api(NOWHERE).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

impl Socket {
    async fn open(address: SocketAddr, subprotocol: Option<&str>) -> Self {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        if let Some(name) = subprotocol {
            request.headers_mut().insert("sec-websocket-protocol", name.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Socket(socket),
            Err(error) => panic!("{error}"),
        }
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message, or the code that closed the connection.
    async fn hear(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await.expect("in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] != "ka" {
                        return message;
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => return json!(u16::from(frame.code)),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ready(address: SocketAddr, subprotocol: &str, payload: Value) -> Self {
        let mut socket = Socket::open(address, Some(subprotocol)).await;
        socket.say(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(socket.hear().await, json!({"type": "connection_ack"}));
        socket
    }
}

const TRANSPORT: &str = "graphql-transport-ws";
const LEGACY: &str = "graphql-ws";

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
