//! OCPP-J frames. Read leniently, so that a sloppy station keeps working; written strictly.
//!
//! The caller bounds a frame's size; its depth is bounded here. A text that is no frame still tells the message id where
//! that can be read, so that the sender gets its CALLERROR.

use serde_json::value::RawValue;

use super::error::ErrorCode;
use super::lenient::json;

/// The message id of an answer to a call whose own id could not be read.
pub const UNREADABLE_ID: &str = "-1";

/// One OCPP-J message.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A request.
    Call {
        /// The message id.
        id: String,
        /// What is asked.
        action: String,
        /// With what.
        payload: Box<RawValue>,
    },
    /// The answer to a request.
    Result {
        /// The request's message id.
        id: String,
        /// The answer.
        payload: Box<RawValue>,
    },
    /// The refusal of a request.
    Error {
        /// The request's message id.
        id: String,
        /// Why.
        code: ErrorCode,
        /// For a person.
        description: String,
        /// More, in no defined form.
        details: Box<RawValue>,
    },
    /// A message type of no version that we speak; 1.6 ignores it (OCPP-J 1.6 §4.1.3).
    Unknown {
        /// Its number.
        kind: i64,
    },
}

/// A text that is no frame, and as much of its head as could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadFrame {
    /// The message type: 2 call, 3 result, 4 error.
    pub kind: Option<i64>,
    /// The message id.
    pub id: Option<String>,
    /// A call's action.
    pub action: Option<String>,
    /// What is wrong.
    pub reason: &'static str,
}

impl Frame {
    /// Reads a frame.
    pub fn parse(text: &str) -> Result<Frame, BadFrame> {
        parse(text).map_err(|reason| {
            let (kind, id, action) = head(text);
            BadFrame { kind, id, action, reason }
        })
    }

    /// Reads a frame that is broken in the ways firmware breaks them: a member without a value, a raw control character
    /// inside a string. For messages that must not be lost.
    pub fn parse_mended(text: &str) -> Option<Frame> {
        parse(&mend(text)).ok()
    }

    /// The frame as it goes over the wire.
    pub fn to_text(&self) -> String {
        match self {
            Frame::Call { id, action, payload } => call_text(id, action, payload),
            Frame::Result { id, payload } => result_text(id, payload),
            Frame::Error { id, code, description, details } => error_text(id, code, description, details),
            Frame::Unknown { kind } => format!("[{kind}]"),
        }
    }
}

/// The text of a CALL.
pub fn call_text(id: &str, action: &str, payload: &RawValue) -> String {
    format!("[2,{},{},{}]", quoted(id), quoted(action), payload.get())
}

/// The text of a CALLRESULT.
pub fn result_text(id: &str, payload: &RawValue) -> String {
    format!("[3,{},{}]", quoted(id), payload.get())
}

/// The text of a CALLERROR, its description cut to the 255 characters that are allowed.
pub fn error_text(id: &str, code: &ErrorCode, description: &str, details: &RawValue) -> String {
    let description: String = description.chars().take(255).collect();
    format!("[4,{},{},{},{}]", quoted(id), quoted(code.v16()), quoted(&description), details.get())
}

/// `{}`.
pub fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".into()).expect("valid JSON")
}

const DEEPEST: usize = 32;
const LONGEST_ID: usize = 255;
const MOST_ELEMENTS: usize = 5;

fn parse(text: &str) -> Result<Frame, &'static str> {
    if depth(text) > DEEPEST {
        return Err("nested too deeply");
    }
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| "not JSON")?;
    let mut elements = [None; MOST_ELEMENTS];
    let mut count = 0;
    let is_array = json::items(whole, |item| {
        if let Some(slot) = elements.get_mut(count) {
            *slot = Some(item);
        }
        count += 1;
    });
    if !is_array {
        return Err("not an array");
    }
    let [kind, id, third, fourth, fifth] = elements;
    let kind: i64 = kind.and_then(|raw| raw.get().parse().ok()).ok_or("no message type")?;
    if !(2..=4).contains(&kind) {
        return Ok(Frame::Unknown { kind });
    }
    let id = id.and_then(message_id).ok_or("no message id")?;
    let text = |raw: Option<&RawValue>| raw.and_then(json::text).map(|text| text.into_owned());
    let owned = |raw: Option<&RawValue>| raw.map_or_else(empty_object, ToOwned::to_owned);
    Ok(match kind {
        2 => Frame::Call { id, action: text(third).ok_or("no action")?, payload: owned(fourth) },
        3 => Frame::Result { id, payload: owned(third) },
        _ => Frame::Error {
            id,
            code: ErrorCode::read(&text(third).unwrap_or_default()),
            description: text(fourth).unwrap_or_default(),
            details: owned(fifth),
        },
    })
}

fn message_id(raw: &RawValue) -> Option<String> {
    json::text(raw).filter(|id| id.len() <= LONGEST_ID).map(|id| id.into_owned())
}

/// How deep brackets nest, strings aside.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The first elements of a text that is no valid frame, as far as they go.
fn head(text: &str) -> (Option<i64>, Option<String>, Option<String>) {
    let Some(rest) = text.trim_start().strip_prefix('[') else { return (None, None, None) };
    let (kind, rest) = leading(rest);
    let (id, rest) = leading(rest);
    let (action, _) = leading(rest);
    let kind = kind.and_then(|raw| raw.get().parse().ok());
    let id = id.as_deref().and_then(message_id);
    let action = action.as_deref().filter(|raw| json::is_string(raw)).and_then(json::text);
    (kind, id, action.map(|text| text.into_owned()))
}

/// The value at the start of `text`, and what follows its comma.
fn leading(text: &str) -> (Option<Box<RawValue>>, &str) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
    match values.next() {
        Some(Ok(value)) => {
            let rest = text[values.byte_offset()..].trim_start();
            (Some(value), rest.strip_prefix(',').unwrap_or(""))
        }
        Some(Err(_)) | None => (None, ""),
    }
}

/// Puts `null` where a member's value is missing and escapes raw control characters inside strings.
fn mend(text: &str) -> String {
    let mut mended = String::with_capacity(text.len() + 16);
    let (mut in_string, mut escaped, mut value_due) = (false, false, false);
    for c in text.chars() {
        if in_string {
            if c < ' ' {
                mended.push_str(&format!("\\u{:04x}", u32::from(c)));
                escaped = false;
                continue;
            }
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            if value_due && matches!(c, ',' | '}' | ']') {
                mended.push_str("null");
            }
            value_due = c == ':' || (value_due && c.is_whitespace());
            in_string = c == '"';
        }
        mended.push(c);
    }
    mended
}

/// A JSON string literal.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_depth_is_bounded() {
        let nested = |depth: usize| format!("[2,\"1\",\"A\",{}{}]", "[".repeat(depth), "]".repeat(depth));
        assert!(Frame::parse(&nested(31)).is_ok());
        let bad = Frame::parse(&nested(32)).unwrap_err();
        assert_eq!((bad.id.as_deref(), bad.reason), (Some("1"), "nested too deeply"));
        assert!(Frame::parse(&"[".repeat(100_000)).is_err());
        assert!(Frame::parse(r#"[2,"1","A",{"text":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}]"#).is_ok());
    }

    #[test]
    fn descriptions_are_cut_when_written() {
        let text = error_text("1", &ErrorCode::GenericError, &"é".repeat(300), &empty_object());
        let Ok(Frame::Error { description, .. }) = Frame::parse(&text) else { panic!("{text}") };
        assert_eq!(description.chars().count(), 255);
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::hash_map(".{0,6}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn calls_survive_the_wire(id in "[ -~é]{0,30}[a-z]", action in "[A-Za-z]{1,20}", value in any_json()) {
            let payload = serde_json::value::to_raw_value(&value).unwrap();
            let text = Frame::Call { id: id.clone(), action: action.clone(), payload }.to_text();
            let Ok(Frame::Call { id: read_id, action: read_action, payload }) = Frame::parse(&text) else {
                return Err(TestCaseError::fail(text));
            };
            prop_assert_eq!(read_id, id);
            prop_assert_eq!(read_action, action);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(payload.get()).unwrap(), value);
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = Frame::parse(&text);
            let _ = Frame::parse_mended(&text);
        }

        #[test]
        fn mending_leaves_what_is_whole_alone(value in any_json()) {
            let text = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(mend(&text), text);
        }
    }
}
