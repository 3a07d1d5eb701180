//! `/dev/mail`: the messages that were shown here instead of being sent, for whoever tries the service out.
//!
//! Everything on it came from strangers: it is escaped, the page runs no script, and only `localhost` is answered to, so that
//! no other site's name can be made to point here and read the codes.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{self, HeaderMap};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;

use crate::auth::Auth;
use crate::courier::Kept;

/// Where the page is.
const PATH: &str = "/dev/mail";
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("../../assets/mailbox/page.css");
const NOTHING_YET: &str = "<p>No message yet. Ask for a code: <code>mutation { sendCodeLogin(input: {email: \
    \"you@example.com\"}) { status } }</code></p>";

#[derive(Clone)]
struct Page {
    auth: Arc<Auth>,
    anywhere: bool,
}

/// The page, where it is wanted; otherwise nothing at all.
pub(super) fn router(auth: Arc<Auth>, anywhere: bool) -> Router {
    if auth.courier().mailbox().is_none() {
        return Router::new();
    }
    tracing::warn!("one-time codes are shown at {PATH} instead of being sent (auth.dev_mailbox)");
    Router::new().route(PATH, get(page)).with_state(Page { auth, anywhere })
}

async fn page(State(page): State<Page>, headers: HeaderMap) -> Response {
    if !page.anywhere && !names_this_machine(&headers) {
        return (StatusCode::FORBIDDEN, "Open this page as http://localhost.\n").into_response();
    }
    let messages = page.auth.courier().mailbox().map(|mailbox| mailbox.messages()).unwrap_or_default();
    let wants = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let mut response = if wants.contains("application/json") {
        axum::Json(messages).into_response()
    } else {
        Html(written(&messages)).into_response()
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

fn written(messages: &[Kept]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Messages</title>\
         <meta http-equiv=\"refresh\" content=\"3\"><meta name=\"viewport\" content=\"width=device-width\">\
         <style>{STYLE}</style></head><body><h1>Messages</h1>\
         <p class=\"note\">Shown here instead of being sent, newest first.</p>"
    );
    for message in messages {
        let (to, subject) = (escaped(&message.to), escaped(&message.subject));
        let at = message.at.format("%H:%M:%S");
        let text = with_code(&escaped(message.text.trim_end()));
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "<article><header><span>To {to}</span><time>{at} UTC</time></header><h2>{subject}</h2><p>{text}</p></article>"
        );
    }
    if messages.is_empty() {
        page.push_str(NOTHING_YET);
    }
    page + "</body></html>"
}

/// The code, which such a message begins with, in large.
fn with_code(text: &str) -> String {
    match text.split_once(' ') {
        Some((code, rest)) if code.len() == 6 && code.bytes().all(|it| it.is_ascii_digit()) => {
            format!("<strong>{code}</strong> {rest}")
        }
        _ => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        let hostile = "<img src=x onerror=\"alert('1')\">&".to_owned();
        let kept =
            Kept { to: hostile.clone(), at: crate::clock::utc(), subject: hostile.clone(), text: hostile };
        let page = written(&[kept]);
        assert!(
            !page.contains("<img")
                && page.matches("&lt;img src=x onerror=&quot;alert(&#39;1&#39;)").count() == 3
        );
        assert_eq!(with_code("123456 is it"), "<strong>123456</strong> is it");
    }

    #[test]
    fn only_this_machines_names_are_answered_to() {
        let of = |host: &'static str| HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]", "LOCALHOST"] {
            assert!(names_this_machine(&of(host)), "{host}");
        }
        for host in ["evil.example:8080", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example", ""]
        {
            assert!(!names_this_machine(&of(host)), "{host}");
        }
    }
}
