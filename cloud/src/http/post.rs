//! GraphQL over POST and GET with the manners that apps and their tools know: no simple cross-site requests, no batches, and
//! an answer of the right shape for every way of getting it wrong.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{Address, Server};
use crate::graphql::{Incoming, Reply};

/// Largest body.
const MAX_BODY: usize = 256 * 1024;
/// A body that trickles in slower is not waited for.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Any of these makes a browser ask first.
const PREFLIGHT_HEADERS: [&str; 2] = ["x-apollo-operation-name", "apollo-require-preflight"];
/// A browser sends these without asking.
const SIMPLE_TYPES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

const CSRF: &str = "This operation has been blocked as a potential Cross-Site Request Forgery (CSRF). Please either specify \
a 'content-type' header (with a type that is not one of application/x-www-form-urlencoded, multipart/form-data, text/plain) \
or provide a non-empty value for one of the following headers: x-apollo-operation-name, apollo-require-preflight\n";
const NO_BODY: &str = "POST body missing, invalid Content-Type, or JSON object has no keys.";
const NO_BATCH: &str = "Operation batching disabled.";
const NOT_ACCEPTABLE: &str = "An 'accept' header was provided for this request which does not accept application/json \
or application/graphql-response+json. Accept one of them, or send no such header.";
const METHODS: &str = "Apollo Server supports only GET/POST requests.";

/// POST.
pub(super) async fn answer(State(server): State<Server>, address: Address, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    if !is_preflighted(&headers) {
        return bad_request(CSRF).into_response();
    }
    let media_type = match answer_type(&headers) {
        Ok(media_type) => media_type,
        Err(wrong) => return wrong.into_response(),
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(wrong) => return wrong.into_response(),
    };
    let incoming = match incoming(&headers, &body) {
        Ok(incoming) => incoming,
        Err(wrong) => return wrong.into_response(),
    };
    let caller = server.caller(&headers, address.of(&server, &headers));
    write(media_type, server.api.execute(incoming, caller, false).await)
}

/// GET with the operation in the address: queries only, and only where a browser would have asked first.
pub(super) async fn answer_get(server: &Server, address: Address, request: Request) -> Response {
    let headers = request.headers();
    if !is_preflighted(headers) {
        return bad_request(CSRF).into_response();
    }
    let asked = answer_type(headers).and_then(|media_type| Ok((media_type, from_address(request.uri())?)));
    let (media_type, incoming) = match asked {
        Ok(asked) => asked,
        Err(wrong) => return wrong.into_response(),
    };
    let caller = server.caller(headers, address.of(server, headers));
    write(media_type, server.api.execute(incoming, caller, true).await)
}

/// Neither GET nor POST.
pub(super) async fn other_method() -> Response {
    let wrong = Wrong { status: StatusCode::METHOD_NOT_ALLOWED, ..bad_request(METHODS) };
    ([(header::ALLOW, "GET, POST")], wrong).into_response()
}

fn is_preflighted(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers);
    let asked_for_type = !media_type.is_empty() && !SIMPLE_TYPES.contains(&media_type.as_str());
    asked_for_type
        || PREFLIGHT_HEADERS.iter().any(|name| headers.get(*name).is_some_and(|value| !value.is_empty()))
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn read(body: Body) -> Result<Vec<u8>, Wrong> {
    match tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => {
            Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large", "Payload Too Large"))
        }
        Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT, "request timed out", "Request Timeout")),
    }
}

fn incoming(headers: &HeaderMap, body: &[u8]) -> Result<Incoming, Wrong> {
    if media_type(headers) != "application/json" || body.is_empty() {
        return Err(bad_request(NO_BODY));
    }
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| plain(StatusCode::BAD_REQUEST, &error.to_string(), "Bad Request"))?;
    match body {
        Value::Array(_) => Err(bad_request(NO_BATCH)),
        Value::Object(fields) if !fields.is_empty() => from_fields(fields),
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(bad_request(NO_BODY))
        }
    }
}

fn from_fields(mut fields: Map<String, Value>) -> Result<Incoming, Wrong> {
    let text = |value: Option<Value>, name: &str| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad_request(&format!("`{name}` in a POST body must be a string."))),
    };
    let object = |value: Option<Value>, name: &str| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(fields)),
        Some(Value::String(_)) => Err(bad_request(&format!(
            "`{name}` in a POST body should be provided as an object, not a recursively JSON-encoded string."
        ))),
        Some(_) => Err(bad_request(&format!("`{name}` in a POST body must be an object."))),
    };
    Ok(Incoming {
        query: text(fields.remove("query"), "query")?,
        operation_name: text(fields.remove("operationName"), "operationName")?,
        variables: object(fields.remove("variables"), "variables")?,
        extensions: object(fields.remove("extensions"), "extensions")?,
        document_id: text(fields.remove("documentId"), "documentId")?,
    })
}

fn from_address(uri: &Uri) -> Result<Incoming, Wrong> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InAddress {
        query: Option<String>,
        variables: Option<String>,
        operation_name: Option<String>,
        extensions: Option<String>,
        document_id: Option<String>,
    }
    let axum::extract::Query(asked) = axum::extract::Query::<InAddress>::try_from_uri(uri)
        .map_err(|_| bad_request("The query string cannot be read."))?;
    let object = |text: Option<String>, name: &str| match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => serde_json::from_str(&text)
            .map_err(|_| bad_request(&format!("The `{name}` search parameter contains invalid JSON."))),
    };
    Ok(Incoming {
        query: asked.query,
        variables: object(asked.variables, "variables")?,
        operation_name: asked.operation_name,
        extensions: object(asked.extensions, "extensions")?,
        document_id: asked.document_id,
    })
}

/// The media type to answer in: the newer one when it is asked for, the older one to whoever takes anything.
fn answer_type(headers: &HeaderMap) -> Result<&'static str, Wrong> {
    let mut accepted: Vec<String> = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let ranges = value.to_str().unwrap_or_default().split(',');
        let wanted = ranges.filter(|range| !refuses(range)).filter_map(|range| range.split(';').next());
        accepted.extend(wanted.map(|range| range.trim().to_ascii_lowercase()));
    }
    let takes = |wanted: &str| accepted.iter().any(|it| it == wanted);
    if takes("application/graphql-response+json") {
        Ok("application/graphql-response+json; charset=utf-8")
    } else if !headers.contains_key(header::ACCEPT)
        || ["application/json", "application/*", "*/*", ""].into_iter().any(takes)
    {
        Ok("application/json; charset=utf-8")
    } else {
        Err(Wrong { status: StatusCode::NOT_ACCEPTABLE, ..bad_request(NOT_ACCEPTABLE) })
    }
}

/// Has a media range the weight zero?
fn refuses(range: &str) -> bool {
    let weight = range.split(';').skip(1).find_map(|it| it.trim().strip_prefix("q="));
    weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32))
}

fn write(media_type: &'static str, reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).expect("replies carry HTTP statuses");
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-store")];
    let mut response = (status, headers, reply.body).into_response();
    if let Some(seconds) = reply.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A fault of ours that nobody foresaw; the process lives, and the log has the place.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request's handler panicked");
    let body = json!({"errors": [{
        "message": "Internal server error",
        "extensions": {"code": "INTERNAL_SERVER_ERROR"},
    }]});
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
}

/// Why a request does not get as far as GraphQL.
struct Wrong {
    status: StatusCode,
    body: Value,
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body)).into_response()
    }
}

fn bad_request(message: &str) -> Wrong {
    let body = json!({"errors": [{"message": message, "extensions": {"code": "BAD_REQUEST"}}]});
    Wrong { status: StatusCode::BAD_REQUEST, body }
}

/// The shape of what fails before GraphQL is reached.
fn plain(status: StatusCode, message: &str, error: &str) -> Wrong {
    Wrong { status, body: json!({"message": message, "error": error, "statusCode": status.as_u16()}) }
}
