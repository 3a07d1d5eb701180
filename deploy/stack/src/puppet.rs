//! A charger without a will of its own: it says exactly what it is told, also what no charger should say.
//!
//! Stories about repeats, silence and garbage need each frame under control; well-behaved chargers are simulated by
//! `firmware-sim`.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// A connected charger.
#[derive(Debug)]
pub struct Puppet {
    socket: WebSocketStream<TcpStream>,
    asked: Vec<Call>,
    attentive: bool,
}

/// What the gateway asks the charger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Message id, to be repeated in the answer.
    pub id: String,
    /// OCPP action.
    pub action: String,
    /// Its payload.
    pub payload: Value,
}

impl Puppet {
    /// Connects to `url/identity` with HTTP Basic; a refusal is an error that names the HTTP status.
    pub async fn connect(url: &str, identity: &str, password: &str) -> Result<Self> {
        Self::connect_from(Ipv4Addr::LOCALHOST, url, identity, password).await
    }

    /// The same from another address of this machine (all of 127.0.0.0/8 is).
    pub async fn connect_from(from: Ipv4Addr, url: &str, identity: &str, password: &str) -> Result<Self> {
        let mut request = format!("{url}/{identity}").into_client_request()?;
        let credentials =
            reqwest::Client::new().get("http://x").basic_auth(identity, Some(password)).build()?;
        let authorization = credentials.headers()[http::header::AUTHORIZATION.as_str()].to_str()?;
        request.headers_mut().insert(http::header::AUTHORIZATION, authorization.parse()?);
        request.headers_mut().insert("Sec-WebSocket-Protocol", "ocpp1.6".parse()?);
        let gateway = request.uri().authority().context("a URL with a host")?.as_str().parse()?;
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        match client_async(request, socket.connect(gateway).await?).await {
            Ok((socket, _)) => Ok(Self { socket, asked: Vec::new(), attentive: false }),
            Err(Error::Http(response)) => bail!("refused with {}", response.status().as_u16()),
            Err(error) => Err(error.into()),
        }
    }

    /// Connects, boots and reports connector 1 as available.
    pub async fn boot(url: &str, identity: &str, password: &str) -> Result<Self> {
        let mut puppet = Self::connect(url, identity, password).await?;
        let boot = json!({ "chargePointVendor": "Puppet", "chargePointModel": "Story" });
        let answer = puppet.call("BootNotification", boot).await?;
        if answer["status"] != "Accepted" {
            bail!("not accepted: {answer}");
        }
        puppet.status("Available").await?;
        Ok(puppet)
    }

    /// Reports the status of connector 1.
    pub async fn status(&mut self, status: &str) -> Result<()> {
        let report = json!({ "connectorId": 1, "errorCode": "NoError", "status": status });
        self.call("StatusNotification", report).await.map(drop)
    }

    /// Makes a call with a fresh id and returns the payload of its result.
    pub async fn call(&mut self, action: &str, payload: Value) -> Result<Value> {
        let id = Uuid::new_v4().to_string();
        self.call_with_id(&id, action, payload).await
    }

    /// Makes a call with an id of one's choice; a CALLERROR is an error.
    pub async fn call_with_id(&mut self, id: &str, action: &str, payload: Value) -> Result<Value> {
        self.say(&json!([2, id, action, payload]).to_string()).await?;
        let answer = self.answer(id).await?;
        if answer[0] == 3 {
            Ok(answer[2].clone())
        } else {
            Err(anyhow!("{action} was answered with {answer}"))
        }
    }

    /// Sends any text.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// The whole CALLRESULT or CALLERROR for `id`; what the gateway asks meanwhile is kept for [`Self::asked`].
    pub async fn answer(&mut self, id: &str) -> Result<Value> {
        loop {
            let message = self.hear().await?;
            match message[0].as_u64() {
                Some(2) => self.asked.push(call(&message)?),
                _ if message[1] == id => return Ok(message),
                _ => {}
            }
        }
    }

    /// From now on [`Self::asked`] tells also what the gateway asks of every charger by itself: its settings, its statuses, to
    /// boot. Else those are declined.
    pub fn attentive(mut self) -> Self {
        self.attentive = true;
        self
    }

    /// The next thing the gateway asks.
    pub async fn asked(&mut self) -> Result<Call> {
        loop {
            let call = self.next_asked().await?;
            match call.declined().filter(|_| !self.attentive) {
                Some(answer) => self.reply(&call, answer).await?,
                None => return Ok(call),
            }
        }
    }

    async fn next_asked(&mut self) -> Result<Call> {
        if !self.asked.is_empty() {
            return Ok(self.asked.remove(0));
        }
        loop {
            let message = self.hear().await?;
            if message[0] == 2 {
                return call(&message);
            }
        }
    }

    /// Answers what the gateway asked.
    pub async fn reply(&mut self, call: &Call, payload: Value) -> Result<()> {
        self.say(&json!([3, call.id, payload]).to_string()).await
    }

    /// The next text frame of any kind; an error when the gateway closes or is silent.
    pub async fn hear(&mut self) -> Result<Value> {
        let next = async {
            loop {
                match self.socket.next().await.context("the gateway hung up")?? {
                    Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                    Message::Close(frame) => bail!("the gateway closed: {frame:?}"),
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
                }
            }
        };
        tokio::time::timeout(ANSWER_LIMIT, next).await.context("the gateway is silent")?
    }
}

impl Call {
    /// The answer of a charger that does not do what every charger is asked for.
    fn declined(&self) -> Option<Value> {
        let asks = |name: &str| {
            self.payload["requestedMessage"] == name && self.payload.get("connectorId").is_none()
        };
        match self.action.as_str() {
            "GetConfiguration" if self.payload.get("key").is_none() => Some(json!({})),
            "TriggerMessage" if asks("StatusNotification") || asks("BootNotification") => {
                Some(json!({ "status": "NotImplemented" }))
            }
            _ => None,
        }
    }
}

fn call(message: &Value) -> Result<Call> {
    let text = |index: usize| message[index].as_str().map(str::to_owned).context("not a CALL");
    Ok(Call { id: text(1)?, action: text(2)?, payload: message[3].clone() })
}
