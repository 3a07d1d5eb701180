//! A tiny CSMS: accepts everybody, answers everything, passes on what it hears, sends what it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use futures_util::{SinkExt, StreamExt};
use shared::ocpp::frame::Frame;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// A running CSMS.
pub(crate) struct Csms {
    /// Where it is.
    pub(crate) url: String,
    /// What stations say; forgotten when nobody listens.
    pub(crate) hears: mpsc::Receiver<String>,
    /// Who came, and with what.
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    says: broadcast::Sender<String>,
}

/// What a station showed when it came.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    /// The header.
    pub(crate) authorization: Option<String>,
    /// The certificate, in DER.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// What goes in and out of one connection.
#[derive(Clone)]
struct Ends {
    heard: mpsc::Sender<String>,
    arrived: mpsc::Sender<Arrival>,
    says: broadcast::Sender<String>,
    transactions: Arc<AtomicI32>,
}

impl Csms {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Csms {
        Self::start_behind(None).await
    }

    /// Starts one behind TLS.
    pub(crate) async fn start_tls(tls: Arc<rustls::ServerConfig>) -> Csms {
        Self::start_behind(Some(TlsAcceptor::from(tls))).await
    }

    async fn start_behind(tls: Option<TlsAcceptor>) -> Csms {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let url = format!("{scheme}://{}/ocpp", listener.local_addr().unwrap());
        let (heard, hears) = mpsc::channel(10_000);
        let (arrived, arrivals) = mpsc::channel(100);
        let (says, _) = broadcast::channel(16);
        let ends = Ends { heard, arrived, says: says.clone(), transactions: Arc::default() };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (ends, tls) = (ends.clone(), tls.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else { return serve(tcp, ends, None).await };
                    // Who is not let in, or does not trust us, goes.
                    let Ok(stream) = tls.accept(tcp).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                    let certificate = shown.map(|shown| shown.to_vec());
                    serve(stream, ends, certificate).await;
                });
            }
        });
        Csms { url, hears, arrivals, says }
    }

    /// Sends a frame to every station.
    pub(crate) fn say(&self, text: &str) {
        self.says.send(text.to_owned()).unwrap();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, ends: Ends, certificate: Option<Vec<u8>>) {
    let mut arrival = Arrival { certificate, ..Arrival::default() };
    let mut to_say = ends.says.subscribe();
    #[expect(clippy::result_large_err, reason = "tungstenite's signature")]
    let greet = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let headers = request.headers();
        let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        arrival.authorization = authorization;
        let protocol = headers["sec-websocket-protocol"].clone();
        response.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, greet).await else { return };
    let _ = ends.arrived.try_send(arrival);
    loop {
        tokio::select! {
            Ok(text) = to_say.recv() => socket.send(Message::text(text)).await.unwrap(),
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else { break };
                let _ = ends.heard.try_send(text.to_string());
                if let Ok(Frame::Call { id, action, .. }) = Frame::parse(&text) {
                    let answer = format!("[3,\"{id}\",{}]", answer(&action, &ends.transactions));
                    if socket.send(Message::text(answer)).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

fn answer(action: &str, transactions: &AtomicI32) -> String {
    match action {
        "BootNotification" => {
            r#"{"status":"Accepted","currentTime":"2025-01-01T00:00:00Z","interval":300}"#.into()
        }
        "Heartbeat" => r#"{"currentTime":"2025-01-01T00:00:00Z"}"#.into(),
        "Authorize" => r#"{"idTagInfo":{"status":"Accepted"}}"#.into(),
        "StartTransaction" => {
            let transaction = transactions.fetch_add(1, Ordering::Relaxed) + 1;
            format!(r#"{{"idTagInfo":{{"status":"Accepted"}},"transactionId":{transaction}}}"#)
        }
        "SignCertificate" => r#"{"status":"Accepted"}"#.into(),
        _ => "{}".into(),
    }
}
