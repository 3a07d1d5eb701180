//! The parts that the other stories lean on: Postgres that dies and returns, a proxy that cuts, drops and stalls.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use stack::postgres::Postgres;
use stack::proxy::Proxy;
use stack::workdir::Workdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn postgres_keeps_its_rows_when_killed() {
    let dir = Workdir::new("postgres").unwrap();
    let mut postgres = Postgres::start(dir.path()).await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("create table kept as select 42 as n").execute(&mut connection).await.unwrap();
    postgres.kill9().unwrap();
    assert!(PgConnection::connect(&url).await.is_err());
    postgres.restart().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let kept: i32 = sqlx::query_scalar("select n from kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 42);
}

#[tokio::test]
async fn proxy_forwards_cuts_heals_and_drops() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut client, b"hello").await, b"hello");

    proxy.cut();
    assert_eq!(say(&mut client, b"anyone?").await, b"");

    proxy.heal();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.delay(Duration::from_millis(5));
    assert_eq!(say(&mut client, b"again").await, b"again");

    proxy.drop_after(3);
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"truncated").await.unwrap();
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.ok();
    assert!(b"tru".starts_with(&heard), "{heard:?}");
}

/// Sends, and reads as much as was sent; less means that the other side closed.
async fn say(client: &mut TcpStream, words: &[u8]) -> Vec<u8> {
    if client.write_all(words).await.is_err() {
        return Vec::new();
    }
    let mut heard = vec![0; words.len()];
    match client.read_exact(&mut heard).await {
        Ok(_) => heard,
        Err(_) => Vec::new(),
    }
}

async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = socket.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
            });
        }
    });
    address
}
