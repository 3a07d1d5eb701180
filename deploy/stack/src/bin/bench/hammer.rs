//! 16 clients that ask one server the same sort of thing over and over.
//!
//! They write HTTP by hand: on two cores a comfortable client would be half of what is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::figure::{millis, per_second, percentile};

const CLIENTS: usize = 16;

/// What they got.
pub(crate) struct Answers {
    times: Vec<Duration>,
    time: Duration,
    bytes: usize,
}

impl Answers {
    /// `1234/s, p50 0.1 ms, p99 0.2 ms`, and how large one answer is.
    pub(crate) fn told(mut self) -> String {
        let rate = per_second(u64::try_from(self.times.len()).unwrap_or_default(), self.time);
        let (p50, p99) = (percentile(&mut self.times, 50), percentile(&mut self.times, 99));
        format!("{rate}, p50 {}, p99 {}", millis(p50), millis(p99))
    }

    /// Size of one answer in kB.
    pub(crate) fn kilobytes(&self) -> usize {
        self.bytes / 1_000
    }
}

/// Asks from all clients for so long, after one answer each to warm up.
pub(crate) async fn hammer(
    address: SocketAddr,
    time: Duration,
    body: impl Fn(usize) -> Value,
) -> Result<Answers> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let body = body(client).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        clients.spawn(ask_for(time, address, request));
    }
    let mut all = Answers { times: Vec::new(), time, bytes: 0 };
    while let Some(answers) = clients.join_next().await {
        let (times, bytes) = answers??;
        all.times.extend(times);
        all.bytes = all.bytes.max(bytes);
    }
    Ok(all)
}

async fn ask_for(time: Duration, address: SocketAddr, request: String) -> Result<(Vec<Duration>, usize)> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    socket.get_ref().set_nodelay(true)?;
    let (mut times, mut body) = (Vec::new(), Vec::new());
    ask(&mut socket, &request, &mut body).await?;
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        let begin = Instant::now();
        ask(&mut socket, &request, &mut body).await?;
        times.push(begin.elapsed());
    }
    Ok((times, body.len()))
}

async fn ask(socket: &mut BufReader<TcpStream>, request: &str, body: &mut Vec<u8>) -> Result<()> {
    socket.get_mut().write_all(request.as_bytes()).await?;
    let (mut length, mut line) = (None, String::new());
    loop {
        line.clear();
        ensure!(socket.read_line(&mut line).await? > 0, "the server hung up");
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    body.resize(length.context("an answer of known length")?, 0);
    socket.read_exact(body).await?;
    let begins = String::from_utf8_lossy(&body[..body.len().min(300)]);
    ensure!(
        body.starts_with(b"{\"data\":{") && !body.windows(9).take(300).any(|it| it == b"\"errors\":"),
        "{begins}"
    );
    Ok(())
}
