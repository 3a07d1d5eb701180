//! SECURITY S5, over real sockets: what is too much is turned away, or made to wait.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::agent::Agent;
use crate::weaknesses::Raw;

async fn http(agent: &Agent, head: &str) -> String {
    let address = agent.url().trim_start_matches("ws://").trim_end_matches("/ocpp").to_owned();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_string(&mut answer)).await;
    answer
}

#[tokio::test]
async fn a_head_of_more_than_8_kib_is_not_read() {
    let agent = Agent::with_stations(&["CP1"]).await;
    Raw::connect(&agent, "CP1").await.unwrap();
    let head = format!("GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(9_000));
    assert!(http(&agent, &head).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn an_address_has_fifty_sockets() {
    let agent = Agent::with("CP1 CP2".split(' ').collect::<Vec<_>>().as_slice(), &[]).await;
    let first = Raw::connect(&agent, "CP1").await.unwrap();
    let address = agent.url().trim_start_matches("ws://").trim_end_matches("/ocpp").to_owned();
    let mut idle = Vec::new();
    for _ in 0..49 {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    // They are let go by themselves after ten seconds without a handshake; until then there is no place.
    assert!(Raw::connect(&agent, "CP2").await.is_err());
    drop(idle);
    for _ in 0..100 {
        if Raw::connect(&agent, "CP2").await.is_ok() {
            return drop(first);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the places did not become free");
}

#[tokio::test]
async fn a_station_that_connects_again_and_again_is_told_to_wait() {
    let agent = Agent::with_stations(&["CP1", "CP2"]).await;
    let mut refused = String::new();
    for _ in 0..30 {
        if let Err(error) = Raw::connect(&agent, "CP1").await {
            refused = error;
            break;
        }
    }
    assert_eq!(refused, "429");
    Raw::connect(&agent, "CP2").await.unwrap();
}

#[tokio::test]
async fn too_many_messages_wait_at_the_socket_and_none_is_lost() {
    let agent = Agent::with_stations(&["CP1"]).await;
    let mut station = Raw::connect(&agent, "CP1").await.unwrap();
    let began = Instant::now();
    for number in 0..130 {
        station.say(&format!(r#"[2,"{number}","Heartbeat",{{}}]"#)).await;
    }
    for number in 0..130 {
        assert!(station.hear().await.unwrap().starts_with(&format!(r#"[3,"{number}","#)));
    }
    // A hundred at once, thirty at ten a second.
    assert!(began.elapsed() >= Duration::from_millis(2_500), "{:?}", began.elapsed());
}
