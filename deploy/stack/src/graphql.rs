//! A small GraphQL client, as an app would have one: POST for operations, `graphql-transport-ws` for subscriptions.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A client of one endpoint, with or without a token.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// A running subscription.
#[derive(Debug)]
pub struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// A client of `url` (`http://…/graphql`) that has not logged in.
    pub fn new(url: impl Into<String>) -> Self {
        // Only a failure to install twice is possible, and that is what we want.
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { http: reqwest::Client::new(), url: url.into(), token: None }
    }

    /// The same client as somebody else.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The token in use.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The whole answer, errors included.
    pub async fn answer(&self, query: &str, variables: Value) -> Result<Value> {
        let mut request = self.http.post(&self.url).json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Ok(request.send().await?.json().await?)
    }

    /// The answer's `data`; an answer with errors is an error that quotes the first one.
    pub async fn ask(&self, query: &str, variables: Value) -> Result<Value> {
        data(self.answer(query, variables).await?).with_context(|| format!("asked {query}"))
    }

    /// Logs in with username (or e-mail) and password.
    pub async fn log_in(&self, username: &str, password: &str) -> Result<Self> {
        let login = "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken } }";
        let input = json!({ "input": { "username": username, "password": password } });
        let answer = self.ask(login, input).await?;
        let token = answer.pointer("/login/accessToken").and_then(Value::as_str).context("no accessToken")?;
        Ok(self.with_token(token))
    }

    /// Subscribes over `graphql-transport-ws`.
    pub async fn subscribe(&self, query: &str, variables: Value) -> Result<Subscription> {
        let mut request = self.url.replacen("http", "ws", 1).into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse()?);
        let (socket, _) = connect_async(request).await?;
        let mut subscription = Subscription { socket };
        let payload = self
            .token
            .as_ref()
            .map_or(json!({}), |token| json!({ "Authorization": format!("Bearer {token}") }));
        subscription.say(&json!({ "type": "connection_init", "payload": payload })).await?;
        let ack = subscription.hear().await?;
        if ack["type"] != "connection_ack" {
            bail!("no connection_ack but {ack}");
        }
        let payload = json!({ "query": query, "variables": variables });
        subscription.say(&json!({ "type": "subscribe", "id": "1", "payload": payload })).await?;
        Ok(subscription)
    }
}

impl Subscription {
    /// The `data` of the next event.
    pub async fn next(&mut self, limit: Duration) -> Result<Value> {
        let message = tokio::time::timeout(limit, self.hear())
            .await
            .map_err(|_| anyhow!("no event within {} s", limit.as_secs()))??;
        match message["type"].as_str() {
            Some("next") => data(message["payload"].clone()),
            _ => bail!("the subscription ended: {message}"),
        }
    }

    /// The `data` of the first event that `wanted` accepts.
    pub async fn first(&mut self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let event = self.next(deadline.saturating_duration_since(tokio::time::Instant::now())).await?;
            if wanted(&event) {
                return Ok(event);
            }
        }
    }

    async fn say(&mut self, message: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// The next message that is not a keep-alive.
    async fn hear(&mut self) -> Result<Value> {
        loop {
            let message = self.socket.next().await.context("the socket closed")??;
            if let Message::Text(text) = &message {
                let message: Value = serde_json::from_str(text)?;
                match message["type"].as_str() {
                    Some("ping") => self.say(&json!({ "type": "pong" })).await?,
                    Some("pong") => {}
                    _ => return Ok(message),
                }
            } else if message.is_close() {
                bail!("the server closed the socket: {message:?}");
            }
        }
    }
}

fn data(mut answer: Value) -> Result<Value> {
    if let Some(error) = answer.pointer("/errors/0") {
        bail!("the answer has an error: {error}");
    }
    Ok(answer["data"].take())
}
