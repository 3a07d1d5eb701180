//! Those whom the cloud talks to when it sends a message: an SMTP server and an HTTP API, as far as these tests need them.
//! (`deploy/clients/mail` does the same with a mail server that is not ours.)

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};

/// A mail server that keeps what it is given.
pub(crate) struct Smtp {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<(Option<Outage>, Vec<String>)>>,
}

/// How a mail server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    Hangs,
    Refuses,
    Closes,
}

impl Smtp {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<(Option<Outage>, Vec<String>)>>::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(talk(socket, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn outage(&self, outage: Option<Outage>) {
        self.state.lock().unwrap().0 = outage;
    }

    pub(crate) fn letters(&self) -> Vec<String> {
        self.state.lock().unwrap().1.clone()
    }
}

async fn talk(socket: TcpStream, state: Arc<Mutex<(Option<Outage>, Vec<String>)>>) -> Option<()> {
    let mut socket = BufStream::new(socket);
    let outage = state.lock().unwrap().0;
    match outage {
        Some(Outage::Hangs) => tokio::time::sleep(std::time::Duration::from_secs(60)).await,
        Some(Outage::Closes) => return None,
        Some(Outage::Refuses) => say(&mut socket, "421 try later").await?,
        None => say(&mut socket, "220 here").await?,
    }
    loop {
        let line = hear(&mut socket).await?.to_uppercase();
        match line.get(..4)? {
            "EHLO" | "HELO" | "MAIL" | "RSET" => say(&mut socket, "250 ok").await?,
            "RCPT" if line.contains("NOBODY@") => say(&mut socket, "550 no such mailbox").await?,
            "RCPT" => say(&mut socket, "250 ok").await?,
            "DATA" => {
                say(&mut socket, "354 go on").await?;
                let mut letter = String::new();
                loop {
                    match hear(&mut socket).await?.as_str() {
                        "." => break,
                        line => letter = letter + line + "\r\n",
                    }
                }
                state.lock().unwrap().1.push(letter);
                say(&mut socket, "250 ok").await?;
            }
            _ => return None,
        }
    }
}

async fn hear(socket: &mut BufStream<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let length = socket.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn say(socket: &mut BufStream<TcpStream>, line: &str) -> Option<()> {
    socket.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
    socket.flush().await.ok()
}

/// A provider's API that always gives the same answer.
pub(crate) struct Http {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Http {
    pub(crate) async fn start(status: u16) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        let answer = move |request: axum::extract::Request| async move {
            let (parts, body) = request.into_parts();
            let headers: String = parts
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
                .collect();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            kept.lock().unwrap().push(format!("{headers}\r\n{}", String::from_utf8_lossy(&body)));
            axum::http::StatusCode::from_u16(status).unwrap()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
