//! The real agent behind real sockets, for what is about sockets.

use std::process::{Child, Command};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edge_agent::core::Write;
use edge_agent::store::{Stamp, Store};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::id::{BootId, StationId};
use shared::model::document::{DocumentBody, StationEntry, StationsDoc};
use shared::model::quirks::{StationQuirks, Suggestion};
use shared::model::{Event, Lane};
use shared::sync::{ClockQuality, Document};
use shared::units::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

/// As hexadecimal digits, sixteen bytes of which not all are printable.
pub(crate) const PASSWORD: &str = "00112233445566778899aabbccddeeff";
const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Live {
    folder: TempDir,
    process: Child,
    pub(crate) listening: Value,
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Live {
    /// An agent that knows a station by the book, `BOOK`, and one that is peculiar, `ODD`.
    pub(crate) async fn with(quirks: StationQuirks) -> Live {
        Live::with_settings(quirks, &[]).await
    }

    pub(crate) async fn with_settings(quirks: StationQuirks, settings: &[(&str, &str)]) -> Live {
        let folder = TempDir::new().unwrap();
        write_stations(&folder, quirks).await;
        Live::at_home_in(folder, settings).await
    }

    /// An agent that knows where its cloud's broker is.
    pub(crate) async fn enrolled_at(broker: &str) -> Live {
        let folder = TempDir::new().unwrap();
        write_stations(&folder, StationQuirks::default()).await;
        let identity = format!(
            "gateway = \"{}\"\nshard = 1\nsecret = \"{}\"\nmqtt_url = \"{broker}\"\n",
            Uuid::from_u128(1),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([7; 32]),
        );
        std::fs::write(folder.path().join("identity.toml"), identity).unwrap();
        Live::at_home_in(folder, &[]).await
    }

    async fn at_home_in(folder: TempDir, settings: &[(&str, &str)]) -> Live {
        let doors =
            ["OCPP__LISTEN", "TLS__LISTEN", "TLS__MUTUAL_LISTEN", "LOCAL__LISTEN", "FILES__TLS_LISTEN"];
        let process = Command::new(env!("CARGO_BIN_EXE_edge-agent"))
            .arg("run")
            .env("EDGE_DATA_DIR", folder.path())
            .envs(doors.map(|door| (format!("EDGE_{door}"), "127.0.0.1:0")))
            .envs(settings.iter().copied())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let file = folder.path().join("listening.json");
        let listening = loop {
            if let Ok(text) = std::fs::read_to_string(&file) {
                break serde_json::from_str(&text).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Live { folder, process, listening }
    }

    /// Where a door or a page is.
    pub(crate) fn at(&self, name: &str) -> String {
        self.listening[name].as_str().unwrap_or_else(|| panic!("{name}: {}", self.listening)).to_owned()
    }

    pub(crate) async fn dial(&self, station: &str) -> Result<Line, String> {
        let login = format!("{station}:{PASSWORD}");
        self.dial_as(station, login.as_bytes(), Some("ocpp1.6"), "127.0.0.1").await
    }

    pub(crate) async fn dial_as(
        &self,
        station: &str,
        login: &[u8],
        offer: Option<&str>,
        from: &str,
    ) -> Result<Line, String> {
        let address = self.at("ocpp");
        let mut request = format!("ws://{address}/ocpp/{station}").into_client_request().unwrap();
        let basic = format!("Basic {}", STANDARD.encode(login));
        request.headers_mut().insert(http::header::AUTHORIZATION, basic.parse().unwrap());
        if let Some(offer) = offer {
            request.headers_mut().insert("Sec-WebSocket-Protocol", offer.parse().unwrap());
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        match client_async(request, socket.connect(address.parse().unwrap()).await.unwrap()).await {
            Ok((socket, response)) => {
                let chosen = response.headers().get("Sec-WebSocket-Protocol").cloned();
                let chosen = chosen.map(|it| it.to_str().unwrap().to_owned());
                Ok(Line { socket, chosen, calls: 0 })
            }
            Err(Error::Http(response)) => Err(response.status().as_str().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The status line that answers a request as it is written here.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.at("ocpp")).await.unwrap();
        socket.write_all(request.replace('\n', "\r\n").as_bytes()).await.unwrap();
        let mut answer = [0; 64];
        let length = socket.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.at("local")).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// An order of the installer's; what came of it.
    pub(crate) fn order(
        &self,
        station: &str,
        operation: &str,
    ) -> impl Future<Output = String> + std::marker::Send + use<> {
        let token = std::fs::read_to_string(self.folder.path().join("local-token")).unwrap();
        let (at, body) = (self.at("local"), "{}");
        let request = format!(
            "POST /api/stations/{station}/{operation} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        );
        async move {
            let mut socket = TcpStream::connect(at).await.unwrap();
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            answer
        }
    }

    /// The agent's log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What the agent tells the cloud of, once that is there.
    pub(crate) async fn tells(&self, what: impl Fn(&Event) -> bool) -> Event {
        let look = async {
            loop {
                let facts = self.facts().await;
                if let Some(found) = facts.into_iter().find(|event| what(event)) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(SOON, look).await.expect("the agent tells of it")
    }

    pub(crate) async fn suggests(&self, suggestion: Suggestion) {
        self.tells(|event| matches!(event, Event::QuirkSuggested(it) if it.suggestion == suggestion)).await;
    }

    /// A look at the outbox from beside.
    async fn facts(&self) -> Vec<Event> {
        let copy = TempDir::new().unwrap();
        for name in ["edge.sqlite3", "edge.sqlite3-wal"] {
            let _ = std::fs::copy(self.folder.path().join(name), copy.path().join(name));
        }
        let Ok(opened) = Store::open(copy.path()) else { return vec![] };
        let mut facts = Vec::new();
        for lane in Lane::ALL {
            let records = opened.store.records(lane, 0, 10_000).await.unwrap();
            facts.extend(records.iter().map(|(_, record)| record.event(lane).unwrap()));
        }
        facts
    }
}

/// A charger's end of a connection.
pub(crate) struct Line {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) chosen: Option<String>,
    calls: u32,
}

impl Line {
    /// The payload of the answer; what the agent asks meanwhile is not answered.
    pub(crate) async fn call(&mut self, action: &str, payload: Value) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls.to_string();
        let text = json!([2, id, action, payload]).to_string();
        self.socket.send(Message::text(text)).await.map_err(|error| error.to_string())?;
        loop {
            let answer = self.hear().await?;
            if answer[0] == 3 && answer[1] == id.as_str() {
                return Ok(answer[2].clone());
            }
        }
    }

    pub(crate) async fn hear(&mut self) -> Result<Value, String> {
        loop {
            match tokio::time::timeout(SOON, self.socket.next()).await.map_err(|_| "silence")? {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_))) | None => return Err("closed".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
    }

    /// It boots, starts and stops: it works.
    pub(crate) async fn works(&mut self) {
        let boot = json!({ "chargePointVendor": "V", "chargePointModel": "M" });
        assert_eq!(self.call("BootNotification", boot).await.unwrap()["status"], "Accepted");
        let begun = json!({ "connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": "2025-11-22T12:00:00Z" });
        let transaction = self.call("StartTransaction", begun).await.unwrap()["transactionId"].clone();
        let ended =
            json!({ "transactionId": transaction, "meterStop": 9, "timestamp": "2025-11-22T13:00:00Z" });
        self.call("StopTransaction", ended).await.unwrap();
    }
}

async fn write_stations(folder: &TempDir, quirks: StationQuirks) {
    let digest = Sha256::new().chain_update(b"salt").chain_update(PASSWORD).finalize();
    let credential = format!("sha256${}${}", STANDARD.encode(b"salt"), STANDARD.encode(digest));
    let entry = |name: &str, quirks: StationQuirks| StationEntry {
        station: StationId::new(name).unwrap(),
        credential: credential.clone(),
        quirks,
        since: None,
    };
    let stations = vec![entry("BOOK", StationQuirks::default()), entry("ODD", quirks)];
    let body = DocumentBody::Stations(StationsDoc { timezone: "UTC".into(), stations });
    let store = Store::open(folder.path()).unwrap().store;
    let stamp = Stamp {
        at: Timestamp(1_763_812_800_000),
        clock: ClockQuality::Synced,
        boot: BootId(Uuid::nil()),
        mono_ms: 0,
    };
    store.commit(stamp, vec![Write::Document(Document { version: 1, body })], vec![]).await.unwrap();
}
