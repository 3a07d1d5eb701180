//! A tiny CSMS: accepts everybody, answers everything, passes on what it hears, sends what it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use futures_util::{SinkExt, StreamExt};
use shared::ocpp::frame::Frame;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// A running CSMS.
pub(crate) struct Csms {
    /// Where it is.
    pub(crate) url: String,
    /// What stations say; forgotten when nobody listens.
    pub(crate) hears: mpsc::Receiver<String>,
    says: broadcast::Sender<String>,
}

impl Csms {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Csms {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ocpp", listener.local_addr().unwrap());
        let (heard, hears) = mpsc::channel(10_000);
        let (says, _) = broadcast::channel(16);
        let to_say = says.clone();
        tokio::spawn(async move {
            let transactions = Arc::new(AtomicI32::new(0));
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, heard.clone(), to_say.subscribe(), transactions.clone()));
            }
        });
        Csms { url, hears, says }
    }

    /// Sends a frame to every station.
    pub(crate) fn say(&self, text: &str) {
        self.says.send(text.to_owned()).unwrap();
    }
}

async fn serve(
    tcp: TcpStream,
    heard: mpsc::Sender<String>,
    mut to_say: broadcast::Receiver<String>,
    transactions: Arc<AtomicI32>,
) {
    let mut socket = tokio_tungstenite::accept_hdr_async(tcp, greet).await.unwrap();
    loop {
        tokio::select! {
            Ok(text) = to_say.recv() => socket.send(Message::text(text)).await.unwrap(),
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else { break };
                let _ = heard.try_send(text.to_string());
                if let Ok(Frame::Call { id, action, .. }) = Frame::parse(&text) {
                    let answer = format!("[3,\"{id}\",{}]", answer(&action, &transactions));
                    if socket.send(Message::text(answer)).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "tungstenite's signature")]
fn greet(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let protocol = request.headers()["sec-websocket-protocol"].clone();
    response.headers_mut().insert("sec-websocket-protocol", protocol);
    Ok(response)
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
        _ => "{}".into(),
    }
}
