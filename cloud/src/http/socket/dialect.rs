//! The words of the two subprotocols. They say the same; only the names differ.

use serde::Deserialize;
use serde_json::Value;

use crate::graphql::Incoming;

/// Which subprotocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `graphql-transport-ws`.
    Transport,
    /// The older `graphql-ws`.
    Legacy,
}

/// What a client says.
#[derive(Debug)]
pub(super) enum FromClient {
    Init(Value),
    Start { id: String, payload: Incoming },
    Stop { id: String },
    Ping,
    Pong,
    Terminate,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    id: Option<Value>,
    #[serde(default)]
    payload: Value,
}

impl Dialect {
    pub(super) const NAMES: [&'static str; 2] = ["graphql-transport-ws", "graphql-ws"];

    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"graphql-transport-ws" => Some(Dialect::Transport),
            b"graphql-ws" => Some(Dialect::Legacy),
            _ => None,
        }
    }

    /// `None` when it is no message of this subprotocol.
    pub(super) fn read(self, text: &str) -> Option<FromClient> {
        let Raw { kind, id, payload } = serde_json::from_str(text).ok()?;
        // Some old clients count their subscriptions with numbers.
        let id = id.and_then(|id| match id {
            Value::String(id) => Some(id),
            Value::Number(id) => Some(id.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        match (self, kind.as_str()) {
            (_, "connection_init") => Some(FromClient::Init(payload)),
            (Dialect::Transport, "subscribe") | (Dialect::Legacy, "start") => {
                Some(FromClient::Start { id: id?, payload: serde_json::from_value(payload).ok()? })
            }
            (Dialect::Transport, "complete") | (Dialect::Legacy, "stop") => {
                Some(FromClient::Stop { id: id? })
            }
            (Dialect::Transport, "ping") => Some(FromClient::Ping),
            (Dialect::Transport, "pong") => Some(FromClient::Pong),
            (Dialect::Legacy, "connection_terminate") => Some(FromClient::Terminate),
            _ => None,
        }
    }

    pub(super) fn ack(self) -> String {
        r#"{"type":"connection_ack"}"#.into()
    }

    /// The text to send now and then; none where the socket's own ping does it.
    pub(super) fn keep_alive(self) -> Option<&'static str> {
        match self {
            Dialect::Transport => None,
            Dialect::Legacy => Some(r#"{"type":"ka"}"#),
        }
    }

    pub(super) fn next(self, id: &str, answer: &str) -> String {
        let kind = match self {
            Dialect::Transport => "next",
            Dialect::Legacy => "data",
        };
        format!(r#"{{"id":{},"type":"{kind}","payload":{answer}}}"#, quoted(id))
    }

    /// `answer` is `{"errors": […]}`; the one takes the list, the other the first of it.
    pub(super) fn error(self, id: &str, answer: &str) -> String {
        let mut answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let errors = answer["errors"].take();
        let payload = match self {
            Dialect::Transport => errors,
            Dialect::Legacy => errors.get(0).cloned().unwrap_or_default(),
        };
        format!(r#"{{"id":{},"type":"error","payload":{payload}}}"#, quoted(id))
    }

    pub(super) fn complete(self, id: &str) -> String {
        format!(r#"{{"id":{},"type":"complete"}}"#, quoted(id))
    }
}

fn quoted(id: &str) -> String {
    Value::String(id.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_words() {
        use Dialect::{Legacy, Transport};
        let start = r#"{"type":"start","id":"1","payload":{"query":"{a}"}}"#;
        let subscribe = r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":{"b":1}}}"#;
        assert!(matches!(Legacy.read(start), Some(FromClient::Start { .. })));
        assert!(matches!(Transport.read(subscribe), Some(FromClient::Start { .. })));
        assert!(Transport.read(start).is_none() && Legacy.read(subscribe).is_none());
        assert!(
            matches!(Legacy.read(r#"{"type":"stop","id":7}"#), Some(FromClient::Stop { id }) if id == "7")
        );
        assert!(Transport.read("[]").is_none() && Transport.read(r#"{"type":"subscribe"}"#).is_none());
    }

    #[test]
    fn answers_are_wrapped() {
        assert_eq!(
            Dialect::Transport.next("a\"b", r#"{"data":1}"#),
            r#"{"id":"a\"b","type":"next","payload":{"data":1}}"#
        );
        assert_eq!(Dialect::Legacy.next("1", "{}"), r#"{"id":"1","type":"data","payload":{}}"#);
        let refused = r#"{"errors":[{"message":"m"}]}"#;
        assert_eq!(
            Dialect::Transport.error("1", refused),
            r#"{"id":"1","type":"error","payload":[{"message":"m"}]}"#
        );
        assert_eq!(
            Dialect::Legacy.error("1", refused),
            r#"{"id":"1","type":"error","payload":{"message":"m"}}"#
        );
    }
}
