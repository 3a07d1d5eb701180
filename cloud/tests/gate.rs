//! The gate in front of the embedded broker: who comes in, and how far.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails loudly")]

mod gateway;

use std::time::Duration;

use gateway::{House, meanwhile, until};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, LastWill, MqttOptions, Packet, QoS, SubscribeReasonCode,
};
use shared::sync::{Topic, UpTopic};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The code with which a login is refused.
async fn refusal(options: MqttOptions) -> ConnectReturnCode {
    let (_client, mut connection) = AsyncClient::new(options, 8);
    match timeout(Duration::from_secs(5), connection.poll()).await.unwrap() {
        Err(ConnectionError::ConnectionRefused(code)) => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_enrolled_gateway_with_its_secret_comes_in() {
    let house = House::new().await;
    let (mine, other) = (house.enroll().await, house.enroll().await);
    let mut wrong = mine.options();
    wrong.set_credentials(mine.id.to_string(), &other.secret);
    assert_eq!(refusal(wrong).await, ConnectReturnCode::BadUserNamePassword);
    let mut anonymous = MqttOptions::new(mine.id.to_string(), "127.0.0.1", house.mqtt);
    anonymous.set_keep_alive(Duration::from_secs(5));
    assert_eq!(refusal(anonymous).await, ConnectReturnCode::BadUserNamePassword);
    let mut disguised = MqttOptions::new(other.id.to_string(), "127.0.0.1", house.mqtt);
    disguised.set_credentials(mine.id.to_string(), &mine.secret);
    assert_eq!(refusal(disguised).await, ConnectReturnCode::BadClientId);
    let mut will = mine.options();
    will.set_last_will(LastWill::new(other.topic(UpTopic::Hello).to_string(), "x", QoS::AtLeastOnce, false));
    assert_eq!(refusal(will).await, ConnectReturnCode::NotAuthorized);
    mine.connect().await;
    cloud::db::gateway::revoke(&house.db, mine.id).await.unwrap();
    assert_eq!(refusal(mine.options()).await, ConnectReturnCode::NotAuthorized);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_revoked_while_it_is_connected_is_cut_off_and_the_other_stays() {
    let house = House::new().await;
    let (revoked, other) = (house.enroll().await, house.enroll().await);
    let (mut gateway, mut stays) = (revoked.connect().await, other.connect().await);
    gateway.hello([0; 3], [0; 3]).await;
    cloud::db::gateway::revoke(&house.db, revoked.id).await.unwrap();
    let cut_off = async { while gateway.connection.poll().await.is_ok() {} };
    let cut_off = tokio::time::timeout(Duration::from_secs(30), cut_off);
    meanwhile(&mut stays.connection, cut_off).await.unwrap();
    assert_eq!(refusal(revoked.options()).await, ConnectReturnCode::NotAuthorized);
    stays.hello([0; 3], [0; 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_hears_and_says_nothing_beyond_its_own_topics() {
    let house = House::new().await;
    let (mine, other) = (house.enroll().await, house.enroll().await);
    let mut gateway = mine.connect().await;
    let foreign = [
        Topic::down_filter(other.shard, other.id),
        "#".into(),
        "evb/v1/+/+/up/#".into(),
        format!("$share/g/{}", Topic::down_filter(mine.shard, mine.id)),
    ];
    for filter in foreign {
        gateway.client.subscribe(&filter, QoS::AtLeastOnce).await.unwrap();
        let codes = until(&mut gateway.connection, |packet| match packet {
            Packet::SubAck(ack) => Some(ack.return_codes.clone()),
            _ => None,
        })
        .await;
        assert_eq!(codes, [SubscribeReasonCode::Failure], "{filter}");
    }
    for (topic, retain) in
        [(other.topic(UpTopic::Batch).to_string(), false), (mine.topic(UpTopic::Batch).to_string(), true)]
    {
        let mut gateway = mine.connect().await;
        gateway.client.publish(topic, QoS::AtLeastOnce, retain, "x").await.unwrap();
        let cut_off = async { while gateway.connection.poll().await.is_ok() {} };
        timeout(Duration::from_secs(5), cut_off).await.expect("the gate hangs up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_of_two_connections_stays() {
    let house = House::new().await;
    let identity = house.enroll().await;
    let mut old = identity.connect().await;
    let mut new = identity.connect().await;
    let displaced = async { while old.connection.poll().await.is_ok() {} };
    timeout(Duration::from_secs(5), displaced).await.expect("the older one is sent away");
    new.hello([0; 3], [0; 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_senseless_clients_delay_nobody() {
    let house = House::new().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(("127.0.0.1", house.mqtt)).await.unwrap());
    }
    let halves: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0x10, 0xff, 0xff, 0xff, 0x7f],
        &[0x30, 0, 0x10, 0],
        b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c\x00\x00",
    ];
    for bytes in halves {
        let mut socket = TcpStream::connect(("127.0.0.1", house.mqtt)).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await.expect("cut off").ok();
        assert!(answer.is_empty() || answer == [0x20, 2, 0, 1], "{answer:?}");
    }
    house.enroll().await.connect().await.hello([0; 3], [0; 3]).await;
}
